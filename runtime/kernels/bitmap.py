"""Event scatter from bitmap rows. Accumulators are int32; the caller has proved that no sum reaches 2^31.

Every function returns (additions, bitmap bytes read). An event of payload p adds ``w << b`` for each set bit
b of ``|p|``, with the sign of p; ``extra`` is added to b. No payload and no weight is ever multiplied.
"""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
U8 = NDArray[np.uint8]
Unsigned = NDArray[np.unsignedinteger[Any]]

LOWEST_BIT = np.array([0] + [(byte & -byte).bit_length() - 1 for byte in range(1, 256)], np.uint8)
"""Number of the lowest set bit of each byte."""


@njit(cache=True)
def _item(stream: U8, at: int, bits: int) -> int:
    """Item ``at`` of a packed stream (see ``runtime/encodings/packing.py``); one bit is a sign."""
    first = at * bits
    byte = first >> 3
    offset = first & 7
    field = int(np.int32(stream[byte])) >> offset
    if offset + bits > 8:
        field |= int(np.int32(stream[byte + 1])) << (8 - offset)
    if bits == 1:
        return 1 - ((field & 1) << 1)
    sign = 1 << (bits - 1)
    return ((field & ((1 << bits) - 1)) ^ sign) - sign


@njit(cache=True)
def _add(target: I32, at: int, bitmap: U8, weights: U8, bits: int, shift: int, flip: int) -> None:
    """Add one row to ``target``, shifted; its weights start at item ``at``; ``flip`` is -1 to subtract."""
    k = at
    for byte in range(bitmap.size):
        rest = int(np.int32(bitmap[byte]))
        while rest > 0:
            column = (byte << 3) + int(np.int32(LOWEST_BIT[rest]))
            target[column] += ((_item(weights, k, bits) ^ flip) - flip) << shift
            k += 1
            rest &= rest - 1


@njit(cache=True)
def linear(
    index: I32,
    value: I32,
    start: I64,
    acc: I32,
    extra: int,
    pointers: Unsigned,
    bitmap: U8,
    weights: U8,
    bits: int,
) -> tuple[int, int]:
    """Scatter events of rows into ``acc`` (frames, columns)."""
    additions = 0
    decodes = 0
    for frame in range(start.size - 1):
        target = acc[frame]
        for event in range(start[frame], start[frame + 1]):
            at = int(np.int64(pointers[index[event]]))
            until = int(np.int64(pointers[index[event] + 1]))
            flip = -1 if value[event] < 0 else 0
            rest = abs(int(value[event]))
            shift = extra
            while rest > 0:
                if rest & 1:
                    _add(target, at, bitmap[index[event]], weights, bits, shift, flip)
                    additions += until - at
                    decodes += bitmap.shape[1]
                rest >>= 1
                shift += 1
    return additions, decodes


@njit(cache=True)
def _reach(spot: I32, place_y: I32, place_x: I32, y: int, x: int) -> None:
    """Fill ``spot[ky * kw + kx]`` with the target's offset in its plane, or -1 where there is none."""
    wide = place_x.shape[1]
    for ky in range(place_y.shape[1]):
        for kx in range(wide):
            down = place_y[y, ky]
            right = place_x[x, kx]
            spot[ky * wide + kx] = down + right if down >= 0 and right >= 0 else -1


@njit(cache=True)
def _add_conv(
    target: I32,
    spot: I32,
    tap: I32,
    plane: I32,
    at: int,
    bitmap: U8,
    weights: U8,
    bits: int,
    shift: int,
    flip: int,
) -> int:
    """Add one channel's row to the targets that exist; return how many did."""
    k = at
    additions = 0
    for byte in range(bitmap.size):
        rest = int(np.int32(bitmap[byte]))
        while rest > 0:
            column = (byte << 3) + int(np.int32(LOWEST_BIT[rest]))
            to = spot[tap[column]]
            if to >= 0:
                target[plane[column] + to] += ((_item(weights, k, bits) ^ flip) - flip) << shift
                additions += 1
            k += 1
            rest &= rest - 1
    return additions


@njit(cache=True)
def conv(
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
    bitmap: U8,
    weights: U8,
    bits: int,
) -> tuple[int, int]:
    """Scatter events of (channel, y, x) into ``acc`` (frames, outputs); addresses as in ``lists.conv``."""
    additions = 0
    decodes = 0
    width = place_x.shape[0]
    area = place_y.shape[0] * width
    for frame in range(start.size - 1):
        for event in range(start[frame], start[frame + 1]):
            channel = index[event] // area
            inside = index[event] - channel * area
            y = inside // width
            _reach(spot, place_y, place_x, y, inside - y * width)
            target = acc[frame, origin[channel] :]
            at = int(np.int64(pointers[channel]))
            flip = -1 if value[event] < 0 else 0
            rest = abs(int(value[event]))
            shift = extra
            while rest > 0:
                if rest & 1:
                    additions += _add_conv(
                        target, spot, tap, plane, at, bitmap[channel], weights, bits, shift, flip
                    )
                    decodes += bitmap.shape[1]
                rest >>= 1
                shift += 1
    return additions, decodes
