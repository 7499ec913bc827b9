"""Augmentation of images by small affine maps: turned, stretched and sheared about their middle.

Simard, Steinkraus and Platt 2003 use such maps for handwritten digits; we draw them anew for every batch.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional


def affine(
    x: NDArray[Any], degrees: float, stretch: float, shear: float, draw: np.random.Generator
) -> NDArray[Any]:
    """Copies of the images ``x`` (n, ..., height, width), each turned by up to ``degrees``, each axis
    stretched by up to 1 ± ``stretch`` and rows sheared by up to ``shear`` pixels a row. Bilinear, rounded to
    the integers of ``x``; zeros enter from outside."""
    maps = _maps(len(x), degrees, stretch, shear, draw)
    height, width = x.shape[-2:]
    aspect = np.array([[1.0, height / width], [width / height, 1.0]])
    theta = np.concatenate([maps * aspect, np.zeros((len(x), 2, 1))], axis=2)
    images = torch.from_numpy(x.reshape(len(x), -1, height, width).astype(np.float32))
    maps32 = torch.from_numpy(theta.astype(np.float32))
    grid = functional.affine_grid(maps32, list(images.shape), align_corners=False)
    moved = functional.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    found: NDArray[Any] = np.rint(moved.numpy()).astype(x.dtype).reshape(x.shape)
    return found


def _maps(
    n: int, degrees: float, stretch: float, shear: float, draw: np.random.Generator
) -> NDArray[np.float64]:
    """Maps (n, 2, 2) from places of the new image to places of the old, in pixels (x, y) from the middle."""
    angle = np.deg2rad(draw.uniform(-degrees, degrees, n))
    turn = np.stack([np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)], 1).reshape(n, 2, 2)
    lean = np.tile(np.eye(2), (n, 1, 1))
    lean[:, 0, 1] = draw.uniform(-shear, shear, n)
    return turn @ lean / draw.uniform(1 - stretch, 1 + stretch, (n, 2, 1))
