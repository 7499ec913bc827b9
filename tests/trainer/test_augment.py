"""Augmentation of raw samples: what moves, and that nothing else does."""

from __future__ import annotations

import numpy as np

from trainer.augment import Augmentation, mirrored


def images(count: int = 64) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (count, 3, 5, 6)).astype(np.uint8)


def test_a_flip_mirrors_about_half_of_the_images_and_leaves_the_rest_and_the_given_ones_alone() -> None:
    x = images()
    before = x.copy()
    found = Augmentation(flip=True)(x, np.random.default_rng(1))
    same = (found == x).all((1, 2, 3))
    mirror = (found == x[..., ::-1]).all((1, 2, 3))
    assert (same ^ mirror).all()
    assert 16 < mirror.sum() < 48
    np.testing.assert_array_equal(x, before)


def test_two_mirrors_are_none() -> None:
    x = images(3)
    which = np.array([True, False, True])
    np.testing.assert_array_equal(mirrored(mirrored(x, which), which), x)


def test_without_a_flip_nothing_is_drawn_for_it() -> None:
    x = images()
    shifts = [Augmentation(pixels=1, flip=flip)(x, np.random.default_rng(2)) for flip in (False, True)]
    again = Augmentation(pixels=1)(x, np.random.default_rng(2))
    np.testing.assert_array_equal(shifts[0], again)
    assert (shifts[1] != again).any()
