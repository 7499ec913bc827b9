"""Light augmentation of raw integer samples: affine maps, shifts in space and time, mirrors, amplitude."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.affine import affine

Samples = NDArray[Any]


@dataclass(frozen=True)
class Augmentation:
    """How far a sample may be moved. ``low`` and ``high`` bound its integers after an amplitude change."""

    pixels: int = 0
    steps: int = 0
    amplitude: float = 0.0
    low: int = 0
    high: int = 255
    flip: bool = False
    rotate_degrees: float = 0.0
    stretch: float = 0.0
    shear: float = 0.0

    def __call__(self, x: Samples, draw: np.random.Generator) -> Samples:
        """A changed copy of ``x`` (n, *sample shape), or ``x`` when there is nothing to change."""
        if self.rotate_degrees or self.stretch or self.shear:
            x = affine(x, self.rotate_degrees, self.stretch, self.shear, draw)
        if self.pixels:
            for axis in (-2, -1):
                x = shifted(x, axis, draw.integers(-self.pixels, self.pixels + 1, len(x)), fill=True)
        if self.flip:
            x = mirrored(x, draw.random(len(x)) < 0.5)
        if self.steps:
            x = shifted(x, 1, draw.integers(-self.steps, self.steps + 1, len(x)), fill=False)
        if self.amplitude:
            factor = draw.uniform(1 - self.amplitude, 1 + self.amplitude, len(x))
            scaled = np.rint(x * factor.reshape(-1, *[1] * (x.ndim - 1)))
            x = np.clip(scaled, self.low, self.high).astype(x.dtype)
        return x


def mirrored(x: Samples, which: NDArray[np.bool_]) -> Samples:
    """A copy whose samples ``which`` (n,) have their last axis reversed."""
    x = x.copy()
    x[which] = x[which, ..., ::-1]
    return x


def shifted(x: Samples, axis: int, by: NDArray[np.int64], *, fill: bool) -> Samples:
    """Each sample moved ``by`` (n,) places along ``axis``; zeros enter if ``fill``, else the edge repeats."""
    length = x.shape[axis]
    places = np.arange(length)[None] - by[:, None]
    shape = [len(x)] + [1] * (x.ndim - 1)
    shape[axis] = length
    index = np.clip(places, 0, length - 1).reshape(shape)
    out = np.take_along_axis(x, np.broadcast_to(index, x.shape), axis)
    if fill:
        out = np.where(((places >= 0) & (places < length)).reshape(shape), out, 0).astype(x.dtype)
    return out
