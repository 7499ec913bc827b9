import numpy as np
import pytest
import torch
from torch.utils.data import TensorDataset

from runtime.errors import DataError
from trainer.datasets import TorchOptions, from_torch


def dataset(n=40, dtype=torch.float32):
    x = torch.arange(n * 6).reshape(n, 1, 2, 3).to(dtype)
    return TensorDataset(x / 10 if dtype.is_floating_point else x % 200, torch.arange(n) % 4)


def test_a_torch_dataset_of_reals_becomes_integers_by_one_scale():
    splits = from_torch(dataset(), dataset(8), TorchOptions(validation=0.2))
    assert [len(part) for _, part in splits.named()] == [32, 8, 8]
    assert splits.info.classes == ("0", "1", "2", "3")
    assert splits.train.x.dtype == np.uint8
    back = splits.test.x * splits.info.scale
    assert np.allclose(back, dataset(8).tensors[0], atol=splits.info.scale)


def test_whole_numbers_that_fit_keep_their_value():
    splits = from_torch(dataset(dtype=torch.uint8), dataset(8, torch.uint8))
    assert np.array_equal(splits.test.x, dataset(8, torch.uint8).tensors[0].numpy())


def test_negative_values_make_the_input_signed():
    pairs = [(torch.tensor([-1.0, 0.5]), 0), (torch.tensor([1.0, 0.25]), 1)] * 4
    splits = from_torch(pairs, pairs)
    assert splits.info.signed
    assert splits.train.x.dtype == np.int16
    assert splits.train.x.min() == -255


def test_groups_hold_validation_apart():
    splits = from_torch(dataset(), dataset(8), groups=[k // 8 for k in range(40)])
    assert not set(splits.train.groups) & set(splits.validation.groups)


def test_real_targets_are_kept_as_reals():
    pairs = [(np.array([k, 1], np.int64), np.array([k / 2])) for k in range(20)]
    splits = from_torch(pairs, pairs)
    assert splits.info.classes == ()
    assert splits.test.y.dtype == np.float32
    assert splits.test.y.shape == (20, 1)


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([], "found no samples"),
        ([(torch.zeros(2), 0), (torch.zeros(3), 1)], r"sample 1 of \(3,\), expected \(2,\)"),
        ([torch.zeros(2)], "not a pair"),
        ([(torch.tensor([float("nan")]), 0), (torch.tensor([1.0]), 0)] * 4, "found NaN"),
    ],
)
def test_datasets_that_cannot_be_used_are_refused(pairs, message):
    with pytest.raises(DataError, match=message):
        from_torch(pairs, dataset(4))


def test_groups_must_be_as_many_as_samples():
    with pytest.raises(DataError, match="found 3 groups, expected one for each of 40"):
        from_torch(dataset(), dataset(4), groups=[0, 1, 2])
