"""Event scatter through a diagonal: neuron i to neuron i.

Accumulators are int32; the caller has proved that no sum reaches 2^31.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
U8 = NDArray[np.uint8]


@njit(cache=True)
def _item(stream: U8, at: int, bits: int) -> int:
    """Item ``at`` of a packed two's complement stream (see ``runtime/encodings/packing.py``)."""
    first = at * bits
    byte = first >> 3
    offset = first & 7
    field = int(np.int32(stream[byte])) >> offset
    if offset + bits > 8:
        field |= int(np.int32(stream[byte + 1])) << (8 - offset)
    sign = 1 << (bits - 1)
    return ((field & ((1 << bits) - 1)) ^ sign) - sign


@njit(cache=True)
def scatter(
    index: I32, value: I32, start: I64, acc: I32, extra: int, weights: U8, columns: int, bits: int
) -> tuple[int, int]:
    """Add to ``acc`` (frames, neurons); column = neuron // (neurons / columns), as channels are planes.

    For each set bit b of ``|payload|`` adds ``w << (b + extra)`` with the payload's sign. A zero weight is
    no synapse and is not added. Returns (additions, 0).
    """
    additions = 0
    plane = acc.shape[1] // columns
    for frame in range(start.size - 1):
        for event in range(start[frame], start[frame + 1]):
            weight = _item(weights, index[event] // plane, bits)
            flip = -1 if value[event] < 0 else 0
            rest = abs(int(value[event])) if weight != 0 else 0
            shift = extra
            while rest > 0:
                if rest & 1:
                    acc[frame, index[event]] += ((weight ^ flip) - flip) << shift
                    additions += 1
                rest >>= 1
                shift += 1
    return additions, 0
