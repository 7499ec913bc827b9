import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.errors import ConfigError, DataError
from trainer.datasets import DatasetInfo, Samples, Splits
from trainer.datasets.split import split_off, split_off_groups

INFO = DatasetInfo("set", ("a", "b"), (2,), 0, 9, False, "", "", group_kind="person")


def samples(y, groups=None):
    x = np.arange(2 * len(y)).reshape(-1, 2) % 10
    return Samples(x, np.array(y), None if groups is None else np.array(groups))


def test_every_class_gives_its_share():
    rest, held = split_off(samples([0] * 80 + [1] * 20), 0.1, seed=3)
    assert (np.bincount(held.y).tolist(), np.bincount(rest.y).tolist()) == ([8, 2], [72, 18])


def test_the_same_seed_gives_the_same_split_and_another_another():
    one, two, other = (split_off(samples([0, 1] * 50), 0.2, seed)[1].x for seed in (1, 1, 2))
    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)


@settings(max_examples=50, deadline=None)
@given(st.integers(2, 12), st.integers(0, 99), st.floats(0.05, 0.6))
def test_groups_stay_whole_and_classes_stay_trained(n_groups, seed, fraction):
    draw = np.random.default_rng(seed)
    groups = np.concatenate([[g] * int(draw.integers(2, 9)) for g in range(n_groups)])
    y = np.concatenate([np.arange((groups == g).sum()) % 2 for g in range(n_groups)])
    rest, held = split_off(samples(y, groups), fraction, seed)
    assert not set(rest.groups) & set(held.groups)
    assert len(rest) + len(held) == len(y)
    assert len(held) > 0
    assert set(rest.y) == {0, 1}


def test_a_group_that_alone_holds_a_class_is_never_held_out():
    y, groups = [0, 0, 0, 0, 1, 1], [1, 1, 2, 2, 3, 3]
    for seed in range(10):
        assert 3 not in split_off(samples(y, groups), 0.4, seed)[1].groups


def test_named_groups_are_held_out():
    held = split_off_groups(samples([0, 1] * 3, [1, 1, 2, 2, 3, 3]), (2,))[1]
    assert set(held.groups) == {2}


def test_an_unknown_group_is_refused():
    with pytest.raises(ConfigError, match=r"found 9, expected some of \[1, 2\]"):
        split_off_groups(samples([0, 1], [1, 2]), (9,))


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1])
def test_a_share_outside_0_to_1_is_refused(fraction):
    with pytest.raises(ConfigError, match="between 0 and 1"):
        split_off(samples([0, 1, 0, 1]), fraction, 0)


def test_one_group_cannot_be_split():
    with pytest.raises(DataError, match="found 1 in the training data"):
        split_off(samples([0, 1], [1, 1]), 0.5, 0)


def test_a_class_of_one_sample_cannot_be_split():
    with pytest.raises(DataError, match="class 1: found 1 training sample"):
        split_off(samples([0, 0, 1]), 0.5, 0)


def test_a_group_in_two_splits_is_refused():
    with pytest.raises(DataError, match="found person 2 in both train and test"):
        Splits(samples([0, 1], [1, 2]), samples([0], [3]), samples([1], [2]), INFO)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (samples([]), "found no samples"),
        (samples([0, 2]), r"label 2 at sample 1, expected 0\.\.1"),
        (samples([-1]), "label -1"),
        (Samples(np.zeros((1, 3), int), np.array([0])), r"samples of \(3,\), expected \(2,\)"),
        (Samples(np.zeros((1, 2)), np.array([0])), "type float64, expected integers"),
        (Samples(np.zeros((1, 2), int), np.array([0, 1])), "found 2 labels, expected one for each of 1"),
    ],
)
def test_splits_that_cannot_be_right_are_refused(bad, message):
    good = samples([0, 1])
    with pytest.raises(DataError, match=f"validation.*{message}"):
        Splits(good, bad, good, INFO)
