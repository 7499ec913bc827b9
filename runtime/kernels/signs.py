"""Event scatter from sign-split lists: a row's columns of +1, then its columns of -1.

Accumulators are int32; the caller has proved that no sum reaches 2^31. An event of payload p adds or
subtracts ``|p| << extra`` as one number where the sign of p and of the list say so: a weight of one needs no
shifts, and the sum over the set bits of p is p. Compiled without reference counts, see ``streams``.
"""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
Unsigned = NDArray[np.unsignedinteger[Any]]

OPTIONS: dict[str, Any] = {"cache": True, "_nrt": False}


@njit(**OPTIONS)
def _add(target: I32, spot: I32, tap: I32, plane: I32, columns: Unsigned, amount: int) -> int:
    """Add ``amount`` at every listed column that has a target; return how many had."""
    if spot.size == 0:
        for k in range(columns.size):
            target[columns[k]] += amount
        return columns.size
    found = 0
    for k in range(columns.size):
        to = spot[tap[columns[k]]]
        if to >= 0:
            target[plane[columns[k]] + to] += amount
            found += 1
    return found


@njit(**OPTIONS)
def _set_bits(payload: int) -> int:
    rest = abs(payload)
    found = 0
    while rest > 0:
        found += rest & 1
        rest >>= 1
    return found


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
) -> tuple[int, int]:
    """Scatter events into ``acc`` (frames, targets); returns (additions, indices read).

    Addresses of a convolution as in ``lists.conv``; of a linear table they are all empty. Additions count
    once for each set bit of a payload, as for every encoding.
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
            plus = int(np.int64(pointers[row << 1]))
            minus = int(np.int64(pointers[(row << 1) + 1]))
            until = int(np.int64(pointers[(row << 1) + 2]))
            amount = int(np.int64(value[event])) << extra
            target = acc[frame, first:]
            found = _add(target, spot, tap, plane, indices[plus:minus], amount)
            found += _add(target, spot, tap, plane, indices[minus:until], -amount)
            additions += found * _set_bits(int(np.int64(value[event])))
            reads += until - plus
    return additions, reads
