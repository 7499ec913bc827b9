"""Tables under uniform random masks: outlines and weights of the cases that formats are measured on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.int32]


@dataclass(frozen=True)
class Shape:
    """A table's outline: ``taps`` kernel cells lie side by side for one output channel."""

    name: str
    rows: int
    columns: int
    taps: int = 1


SHAPES = (Shape("linear 1024x1024", 1024, 1024), Shape("conv 256->256 3x3", 256, 256 * 9, 9))


def uniform(rows: int, columns: int, density: float, bits: int, seed: int = 0) -> Matrix:
    """A uniform random mask over uniform nonzero weights (rows, columns)."""
    rng = np.random.default_rng(seed)
    lowest = -(1 << (bits - 1))
    weights = rng.integers(lowest, -lowest - 1, (rows, columns))
    return np.where(rng.random((rows, columns)) < density, weights + (weights >= 0), 0).astype(np.int32)
