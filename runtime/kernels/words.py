"""Event scatter from items of whole bytes: column in the low bits, weight above, one item after another.

Accumulators are int32; the caller has proved that no sum reaches 2^31. An event of payload p adds ``w << b``
for each set bit b of ``|p|``, with the sign of p; ``extra`` is added to b. Nothing is multiplied. Compiled
without reference counts, see ``streams``.
"""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
U8 = NDArray[np.uint8]
Unsigned = NDArray[np.unsignedinteger[Any]]

OPTIONS: dict[str, Any] = {"cache": True, "_nrt": False}


@njit(**OPTIONS)
def _add(
    target: I32,
    spot: I32,
    tap: I32,
    plane: I32,
    items: U8,
    stride: int,
    shift: int,
    bits: int,
    payload: int,
    extra: int,
) -> int:
    """Add one row for one event; return the additions. Without ``spot`` a column is a target."""
    flip = -1 if payload < 0 else 0
    sign = 1 << (bits - 1)
    additions = 0
    for first in range(0, items.size, stride):
        word = 0
        for byte in range(stride):
            word |= int(np.int64(items[first + byte])) << (byte << 3)
        to = word & ((1 << shift) - 1)
        if spot.size > 0:
            column = to
            to = int(np.int64(spot[tap[column]]))
            if to < 0:
                continue
            to += int(np.int64(plane[column]))
        field = word >> shift
        weight = 1 - (field << 1) if bits == 1 else (field ^ sign) - sign
        amount = ((weight ^ flip) - flip) << extra
        rest = abs(payload)
        while rest > 0:
            if rest & 1:
                target[to] += amount
                additions += 1
            amount <<= 1
            rest >>= 1
    return additions


@njit(**OPTIONS)
def _reach(spot: I32, place_y: I32, place_x: I32, y: int, x: int) -> None:
    """Fill ``spot[ky * kw + kx]`` with the target's offset in its plane, or -1 where there is none."""
    wide = place_x.shape[1]
    for ky in range(place_y.shape[1]):
        for kx in range(wide):
            down = place_y[y, ky]
            right = place_x[x, kx]
            spot[ky * wide + kx] = down + right if down >= 0 and right >= 0 else -1


@njit(**OPTIONS)
def scatter(
    index: I32,
    value: I32,
    start: I64,
    acc: I32,
    extra: int,
    place_y: I32,
    place_x: I32,
    origin: I32,
    tap: I32,
    plane: I32,
    spot: I32,
    pointers: Unsigned,
    items: U8,
    stride: int,
    shift: int,
    bits: int,
) -> tuple[int, int]:
    """Scatter events into ``acc`` (frames, targets); returns (additions, items read).

    Addresses of a convolution as in ``lists.conv``; of a linear table they are all empty. ``stride``: bytes
    of an item; ``shift``: bits of its column.
    """
    additions = 0
    reads = 0
    side = place_x.shape[0]
    area = place_y.shape[0] * side
    for frame in range(start.size - 1):
        for event in range(start[frame], start[frame + 1]):
            row = int(np.int64(index[event]))
            first = 0
            if spot.size > 0:
                inside = row
                row //= area
                inside -= row * area
                y = inside // side
                _reach(spot, place_y, place_x, y, inside - y * side)
                first = int(np.int64(origin[row]))
            at = int(np.int64(pointers[row]))
            until = int(np.int64(pointers[row + 1]))
            payload = int(np.int64(value[event]))
            fetched = items[at * stride : until * stride]
            additions += _add(
                acc[frame, first:], spot, tap, plane, fetched, stride, shift, bits, payload, extra
            )
            reads += until - at
    return additions, reads
