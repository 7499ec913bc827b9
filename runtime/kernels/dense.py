"""Event scatter from dense rows. Accumulators are int32; the caller has proved that no sum reaches 2^31.

Every function returns (additions, indices read); zeros are added like any weight, and no index is read.
An event of payload p adds ``w << b`` for each set bit b of ``|p|``, with the sign of p; ``extra`` is added
to b. No payload and no weight is ever multiplied.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
I8 = NDArray[np.int8]
U8 = NDArray[np.uint8]


@njit(cache=True)
def _item(row: U8, at: int, bits: int) -> int:
    """Item ``at`` of a packed stream (see ``runtime/encodings/packing.py``); one bit is a sign."""
    first = at * bits
    byte = first >> 3
    offset = first & 7
    field = int(np.int32(row[byte])) >> offset
    if offset + bits > 8:
        field |= int(np.int32(row[byte + 1])) << (8 - offset)
    if bits == 1:
        return 1 - ((field & 1) << 1)
    sign = 1 << (bits - 1)
    return ((field & ((1 << bits) - 1)) ^ sign) - sign


@njit(cache=True)
def _add(target: I32, row: I8, shift: int, flip: int) -> None:
    """Add one row of 8-bit weights to ``target``, shifted; ``flip`` is -1 to subtract, else 0."""
    for column in range(target.size):
        # the mask tells LLVM that the shift stays inside 32 bits, which keeps the lanes narrow
        target[column] += ((int(row[column]) ^ flip) - flip) << (shift & 31)


@njit(cache=True)
def _add_packed(target: I32, row: U8, bits: int, shift: int, flip: int) -> None:
    """As ``_add`` for narrow weights."""
    for column in range(target.size):
        target[column] += ((_item(row, column, bits) ^ flip) - flip) << shift


@njit(cache=True)
def _add_four(target: I32, a: I8, b: I8, c: I8, d: I8) -> None:
    """Add four rows of 8-bit weights at once, so that ``target`` is read and written once for four."""
    for column in range(target.size):
        target[column] += (
            np.int32(a[column]) + np.int32(b[column]) + np.int32(c[column]) + np.int32(d[column])
        )


@njit(cache=True)
def _ones(value: I32, at: int) -> bool:
    """Whether four events from ``at`` on are plain spikes."""
    return bool(value[at] == 1 and value[at + 1] == 1 and value[at + 2] == 1 and value[at + 3] == 1)


@njit(cache=True)
def linear(
    index: I32, value: I32, start: I64, acc: I32, extra: int, weights: U8, bits: int
) -> tuple[int, int]:
    """Scatter events of rows into ``acc`` (frames, columns); ``weights`` (rows, row bytes) u8."""
    additions = 0
    signed = weights.view(np.int8)
    quick = bits == 8 and extra == 0
    for frame in range(start.size - 1):
        target = acc[frame]
        event = start[frame]
        while event < start[frame + 1]:
            if quick and event + 4 <= start[frame + 1] and _ones(value, event):
                rows = index[event : event + 4]
                _add_four(target, signed[rows[0]], signed[rows[1]], signed[rows[2]], signed[rows[3]])
                additions += target.size << 2
                event += 4
                continue
            flip = -1 if value[event] < 0 else 0
            rest = abs(int(value[event]))
            shift = extra
            while rest > 0:
                if rest & 1:
                    if bits == 8:
                        _add(target, signed[index[event]], shift, flip)
                    else:
                        _add_packed(target, weights[index[event]], bits, shift, flip)
                    additions += target.size
                rest >>= 1
                shift += 1
            event += 1
    return additions, 0


@njit(cache=True)
def _reach(spot: I32, taps: I32, place_y: I32, place_x: I32, y: int, x: int) -> int:
    """List the taps that land in the output, and where in its plane; return their number."""
    wide = place_x.shape[1]
    found = 0
    for ky in range(place_y.shape[1]):
        for kx in range(wide):
            down = place_y[y, ky]
            right = place_x[x, kx]
            spot[found] = down + right
            taps[found] = ky * wide + kx
            found += down >= 0 and right >= 0
    return found


@njit(cache=True)
def _add_conv(
    target: I32, spot: I32, taps: I32, reached: int, area: int, row: I8, shift: int, flip: int
) -> None:
    """Add one channel's 8-bit row (planes of ``spot.size - 1`` taps) at the reached taps of every plane."""
    kernel = spot.size - 1
    for plane in range(target.size // area):
        weights = row[plane * kernel : (plane + 1) * kernel]
        into = target[plane * area : (plane + 1) * area]
        for k in range(reached):
            into[spot[k]] += ((int(weights[taps[k]]) ^ flip) - flip) << shift


@njit(cache=True)
def _add_conv_packed(
    target: I32, spot: I32, taps: I32, reached: int, area: int, row: U8, bits: int, shift: int, flip: int
) -> None:
    """As ``_add_conv`` for narrow weights."""
    kernel = spot.size - 1
    for plane in range(target.size // area):
        for k in range(reached):
            weight = _item(row, plane * kernel + taps[k], bits)
            target[plane * area + spot[k]] += ((weight ^ flip) - flip) << shift


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
    area: int,
    span: int,
    spot: I32,
    taps: I32,
    weights: U8,
    bits: int,
) -> tuple[int, int]:
    """Scatter events of (channel, y, x) into ``acc`` (frames, outputs).

    ``place_y`` (height, kh) and ``place_x`` (width, kw): where a tap lands (row start, column) or -1;
    ``origin`` (channels): first output of the channel's group of ``span`` outputs; ``area``: one plane's
    outputs; ``spot`` and ``taps`` (kh * kw + 1): scratch.
    """
    additions = 0
    signed = weights.view(np.int8)
    width = place_x.shape[0]
    inputs = place_y.shape[0] * width
    planes = span // area
    for frame in range(start.size - 1):
        for event in range(start[frame], start[frame + 1]):
            channel = index[event] // inputs
            inside = index[event] - channel * inputs
            y = inside // width
            reached = _reach(spot, taps, place_y, place_x, y, inside - y * width)
            target = acc[frame, origin[channel] : origin[channel] + span]
            flip = -1 if value[event] < 0 else 0
            rest = abs(int(value[event]))
            shift = extra
            while rest > 0:
                if rest & 1:
                    if bits == 8:
                        _add_conv(target, spot, taps, reached, area, signed[channel], shift, flip)
                    else:
                        row = weights[channel]
                        _add_conv_packed(target, spot, taps, reached, area, row, bits, shift, flip)
                    additions += planes * reached
                rest >>= 1
                shift += 1
    return additions, 0
