"""Event scatter from blocks of neighboring outputs. Zeros inside a block are added like any weight.

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


@njit(**OPTIONS)
def _add(
    target: I32,
    spot: I32,
    tap: I32,
    plane: I32,
    column: int,
    taps: int,
    members: int,
    weights: U8,
    at: int,
    bits: int,
    payload: int,
    extra: int,
) -> int:
    """Add one block, whose first output is ``column`` and first weight item ``at``; return the additions."""
    flip = -1 if payload < 0 else 0
    additions = 0
    for member in range(members):
        to = column
        if spot.size > 0:
            to = int(np.int64(spot[tap[column]]))
            if to >= 0:
                to += int(np.int64(plane[column]))
        column += taps
        if to < 0:
            continue
        amount = ((_item(weights, at + member, bits) ^ flip) - flip) << extra
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
    indices: Unsigned,
    weights: U8,
    base: I32,
    outputs: int,
    taps: int,
    size: int,
    bits: int,
) -> tuple[int, int]:
    """Scatter events into ``acc`` (frames, targets); returns (additions, indices read).

    Addresses of a convolution as in ``lists.conv``; of a linear table they are all empty. ``base``: the first
    column of every block; ``outputs``, ``taps`` and ``size`` as in ``runtime/encodings/blocks.py``.
    """
    additions = 0
    reads = 0
    columns = outputs * taps
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
            for k in range(at, until):
                column = int(np.int64(base[indices[k]]))
                members = min(size, (columns - column + taps - 1) // taps)
                additions += _add(
                    acc[frame, first:],
                    spot,
                    tap,
                    plane,
                    column,
                    taps,
                    members,
                    weights,
                    k * size,
                    bits,
                    payload,
                    extra,
                )
            reads += until - at
    return additions, reads
