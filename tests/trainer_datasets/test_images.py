import sys

import numpy as np
import pytest
from sklearn.datasets import load_digits

from runtime.errors import ConfigError, DataError
from trainer.datasets import load

from .files import write_cifar_binary


def test_digits_keep_their_order_and_test_on_the_last_360():
    splits, bunch = load("digits"), load_digits()
    assert np.array_equal(splits.test.x[:, 0], bunch.images[1437:])
    assert np.array_equal(splits.test.y, bunch.target[1437:])
    assert len(splits.train) + len(splits.validation) == 1437
    assert (splits.info.low, splits.info.high, splits.info.bits) == (0, 16, 5)


def test_digits_name_the_package_they_need(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(DataError, match="pip install scikit-learn"):
        load("digits")


def test_cifar_loads_the_binary_version(tmp_path):
    write_cifar_binary(tmp_path / "cifar-10-batches-bin")
    splits = load("cifar10", tmp_path)
    assert splits.train.x.shape == (90, 3, 32, 32)
    row = np.fromfile(tmp_path / "cifar-10-batches-bin" / "test_batch.bin", np.uint8)[1:3073]
    assert np.array_equal(splits.test.x[0].reshape(-1), row)


def test_the_cifar_subset_turns_to_channels_first(tmp_path):
    draw = np.random.default_rng(0)
    x, y = draw.integers(0, 256, (20, 32, 32, 3), dtype=np.uint8), np.arange(20, dtype=np.uint8) % 10
    np.savez(tmp_path / "cifar10_subset.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    splits = load("cifar10", tmp_path)
    assert np.array_equal(splits.test.x[3, 1], x[3, :, :, 1])
    assert splits.info.name == "cifar10 subset"


def test_pickled_cifar_is_refused_by_name(tmp_path):
    (tmp_path / "cifar-10-batches-py").mkdir()
    with pytest.raises(DataError, match=r"never read here.*binary version"):
        load("cifar10", tmp_path)


def test_a_truncated_cifar_batch_is_refused(tmp_path):
    folder = tmp_path / "cifar-10-batches-bin"
    write_cifar_binary(folder)
    (folder / "data_batch_2.bin").write_bytes(bytes(3000))
    with pytest.raises(DataError, match="found 3000 bytes, expected a multiple of 3073"):
        load("cifar10", tmp_path)
    (folder / "data_batch_2.bin").unlink()
    with pytest.raises(DataError, match=r"no file .*data_batch_2.bin"):
        load("cifar10", tmp_path)


def test_a_cifar_label_out_of_range_is_refused(tmp_path):
    write_cifar_binary(tmp_path / "cifar-10-batches-bin")
    (tmp_path / "cifar-10-batches-bin" / "test_batch.bin").write_bytes(bytes([10]) + bytes(3072))
    with pytest.raises(DataError, match="label 10 at sample 0"):
        load("cifar10", tmp_path)


def test_an_unknown_data_set_is_refused_with_the_known_ones():
    with pytest.raises(ConfigError, match=r"found 'minst', expected one of cifar10, digits.* or module:NAME"):
        load("minst")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shuffle": True}, "data \\(digits\\).shuffle: found an unknown key"),
        ({"validation": "many"}, "validation: found"),
        ({"seed": -1}, "split seed: found -1"),
        ({"validation": 1.5}, "found 1.5, expected a number between 0 and 1"),
    ],
)
def test_options_are_checked(options, message):
    with pytest.raises(ConfigError, match=message):
        load("digits", None, options)
