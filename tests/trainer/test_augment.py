"""Augmentation of raw samples: what moves, and that nothing else does."""

from __future__ import annotations

import numpy as np

from trainer.affine import affine
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


def test_affine_maps_of_nothing_change_nothing() -> None:
    x = images()
    np.testing.assert_array_equal(affine(x, 0.0, 0.0, 0.0, np.random.default_rng(1)), x)


def test_an_image_is_turned_about_its_middle_by_at_most_the_angle() -> None:
    x = np.zeros((200, 1, 21, 31), np.uint8)
    x[:, 0, 10, 22:25] = 240  # eight columns right of the middle
    found = Augmentation(rotate_degrees=30.0)(x, np.random.default_rng(2))
    assert found.dtype == x.dtype
    assert found.shape == x.shape
    rows, columns = np.indices((21, 31))
    mass = found[:, 0].astype(float)
    y = (mass * (rows - 10)).sum((1, 2)) / mass.sum((1, 2))
    right = (mass * (columns - 15)).sum((1, 2)) / mass.sum((1, 2))
    angle = np.rad2deg(np.arctan2(y, right))
    assert angle.min() < -20
    assert angle.max() > 20
    assert np.abs(angle).max() < 32
    np.testing.assert_allclose(np.hypot(y, right), 8.0, atol=0.3)


def test_stretch_and_shear_move_along_their_axes() -> None:
    x = np.zeros((100, 9, 41), np.uint8)
    x[:, 4, 30] = 200  # on the middle row: a shear of rows leaves it
    sheared = affine(x, 0.0, 0.0, 0.5, np.random.default_rng(3))
    np.testing.assert_array_equal(sheared[:, 4], x[:, 4])
    stretched = affine(x, 0.0, 0.2, 0.0, np.random.default_rng(3)).astype(float)
    places = (stretched[:, 4] * (np.arange(41) - 20)).sum(1) / stretched[:, 4].sum(1)
    assert 7.9 < places.min() < 8.7
    assert 11.3 < places.max() < 12.1


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
