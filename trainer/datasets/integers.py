"""Turns real-valued samples into integers by one scale, chosen on the training samples alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.errors import ConfigError, DataError

MAX_BITS = 15


@dataclass(frozen=True)
class IntegerGrid:
    """Integers ``low..high``, each standing for ``integer * scale`` in the data's own unit."""

    low: int
    high: int
    scale: float

    def apply(self, x: NDArray[Any]) -> NDArray[Any]:
        """``x`` on the grid, rounded half to even and clipped."""
        rounded: NDArray[Any] = x if self.scale == 1.0 else np.round(x / self.scale)
        kind = np.min_scalar_type(-self.high - 1 if self.low < 0 else self.high)
        clipped: NDArray[Any] = np.clip(rounded, self.low, self.high)
        return clipped.astype(kind)


def fit_grid(train: NDArray[Any], bits: int, where: str) -> IntegerGrid:
    """The grid of ``bits`` magnitude bits for training samples; integers that fit ``bits`` keep their value.

    Only a scale, never a mean: zero stays zero, so that a zero-padded layer may follow.
    """
    if not 1 <= bits <= MAX_BITS:
        raise ConfigError(f"data.bits: found {bits}, expected 1..{MAX_BITS}")
    if not np.isfinite(train).all():
        raise DataError(f"{where}: found NaN or infinity in the training samples, expected finite values")
    high = (1 << bits) - 1
    low = -high if train.size and train.min() < 0 else 0
    largest = float(np.abs(train.astype(np.float64)).max()) if train.size else 0.0
    if train.dtype.kind in "iub" and largest <= high:
        return IntegerGrid(low, high, 1.0)
    return IntegerGrid(low, high, largest / high if largest else 1.0)
