"""Max pooling of payloads (gates) and of currents, and the rounding of one projection's current."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

I32 = NDArray[np.int32]


@njit(cache=True)
def window_max(frames: I32, floor: int, place: I32, out: I32) -> int:
    """Largest of each window: ``place`` (outputs, cells) holds input numbers, -1 for padding.

    ``frames`` (frames, inputs) and ``out`` (frames, outputs) are i32; ``floor`` is what padding counts as.
    Returns the number of comparisons.
    """
    outputs, cells = place.shape
    compares = 0
    for frame in range(frames.shape[0]):
        for o in range(outputs):
            best = floor
            for cell in range(cells):
                at = place[o, cell]
                if at >= 0:
                    compares += 1
                    best = max(best, int(frames[frame, at]))
            out[frame, o] = best
    return compares


@njit(cache=True)
def add_rounded(acc: I32, shift: int, current: I32) -> None:
    """``current += (acc + 2^(shift - 1)) >> shift`` over flat i32 arrays of one size; shift >= 1."""
    half = 1 << (shift - 1)
    for n in range(acc.size):
        current[n] += (int(acc[n]) + half) >> shift
