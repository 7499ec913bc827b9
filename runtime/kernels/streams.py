"""Rows that are bit streams: a gap code and a weight in turn, for every nonzero (``docs/format.md``).

One cursor reads them all: Rice gaps or four-bit gaps; weights as they are, from a codebook, or in a
canonical Huffman code. Its state is one bit address; it never reads beyond the stream, and
``walk`` is what proves a table sound before ``scatter`` trusts it.

Accumulators are int32; the caller has proved that no sum reaches 2^31. An event of payload p adds ``w << b``
for each set bit b of ``|p|``, with the sign of p; ``extra`` is added to b. Nothing is multiplied.

Compiled without reference counts (``_nrt``): nothing is allocated here, and counting references to the arrays
in these loops took half the time (784 Rice rows of 24 weights: 34 ns a weight with, 15-20 ns without).
"""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
I8 = NDArray[np.int8]
U8 = NDArray[np.uint8]
Unsigned = NDArray[np.unsignedinteger[Any]]

OPTIONS: dict[str, Any] = {"cache": True, "_nrt": False}

ROW, NIBBLE = 16, 17
"""Codings beyond the Rice parameters 0..15: one of each row's own, and four-bit gaps."""
ESCAPE = 15
GROUP = 4
"""Rows of a group that share an anchor, as a power of two."""

LOWEST_BIT = np.array([0] + [(byte & -byte).bit_length() - 1 for byte in range(1, 256)], np.uint8)
"""Number of the lowest set bit of each byte."""

SOUND, UNEVEN, OUTSIDE, BROKEN, LOOSE = 0, -1, -2, -3, -4
"""What ``walk`` finds: lengths that do not fill the stream; a column beyond the table; a code that is cut
off, unknown, or a zero weight; bytes or bits that no code needs."""


@njit(**OPTIONS)
def _field(stream: U8, at: int, bits: int) -> int:
    """Unsigned item ``at`` of a packed stream (see ``runtime/encodings/packing.py``)."""
    first = at * bits
    byte = first >> 3
    got = 8 - (first & 7)
    value = int(np.int64(stream[byte])) >> (first & 7) if bits > 0 else 0
    while got < bits:
        byte += 1
        value |= int(np.int64(stream[byte])) << got
        got += 8
    return value & ((1 << bits) - 1)


@njit(**OPTIONS)
def _start(anchors: Unsigned, lengths: U8, width: int, row: int) -> int:
    """First byte of a row: its group's anchor and the lengths of the rows between."""
    group = row >> GROUP
    start = int(np.int64(anchors[group]))
    for before in range(group << GROUP, row):
        start += _field(lengths, before, width)
    return start


@njit(**OPTIONS)
def _window(stream: U8, at: int) -> int:
    """49 bits or more from bit ``at`` on, zeros behind the stream's end.

    Eight bytes at once: LLVM makes them one load.
    """
    byte = at >> 3
    if byte + 8 <= stream.size:
        bits = (
            int(np.int64(stream[byte]))
            | int(np.int64(stream[byte + 1])) << 8
            | int(np.int64(stream[byte + 2])) << 16
            | int(np.int64(stream[byte + 3])) << 24
            | int(np.int64(stream[byte + 4])) << 32
            | int(np.int64(stream[byte + 5])) << 40
            | int(np.int64(stream[byte + 6])) << 48
            | int(np.int64(stream[byte + 7])) << 56
        )
    else:
        bits = 0
        for last in range(byte, stream.size):
            bits |= int(np.int64(stream[last])) << ((last - byte) << 3)
    return (bits >> (at & 7)) & ((1 << 56) - 1)


@njit(**OPTIONS)
def _huffman(hold: int, symbols: I8, counts: U8) -> int:
    """Sixteen times the weight, plus the length, of the canonical code at the low end of ``hold``.

    The weight is 0 where there is no such code.
    """
    code = 0
    first = 0
    index = 0
    for length in range(counts.size):
        code |= hold & 1
        hold >>= 1
        count = int(np.int64(counts[length]))
        if code - first < count:
            return (int(np.int64(symbols[index + code - first])) << 4) | (length + 1)
        index += count
        first = (first + count) << 1
        code <<= 1
    return counts.size


@njit(**OPTIONS)
def _weight(hold: int, bits: int, symbols: I8, counts: U8) -> int:
    """Sixteen times the weight, plus its length, of the weight code at the low end of ``hold``.

    One number, as a pair of them is returned through memory.
    """
    if counts.size > 0:
        return int(_huffman(hold, symbols, counts))
    field = hold & ((1 << bits) - 1)
    if symbols.size > 0:
        return ((int(np.int64(symbols[field])) if field < symbols.size else 0) << 4) | bits
    if bits == 1:
        return ((1 - (field << 1)) << 4) | 1
    sign = 1 << (bits - 1)
    return (((field ^ sign) - sign) << 4) | bits


@njit(**OPTIONS, inline="always")
def _next(
    stream: U8, at: int, until: int, k: int, bits: int, symbols: I8, counts: U8
) -> tuple[int, int, int, int]:
    """The bit behind the next weight, the columns skipped, the weight, and the codes read.

    Zero codes: the row, which ends at bit ``until``, holds no more. A code that is cut off ends behind it.
    """
    skip = 0
    reads = 1
    hold = _window(stream, at)
    if k == NIBBLE:
        while hold & ESCAPE == ESCAPE and at + 4 + bits <= until:
            at += 4
            hold = _window(stream, at)
            skip += ESCAPE
            reads += 1
        if at + 4 + bits > until:
            return at, 0, 0, 0
        skip += hold & ESCAPE
        hold >>= 4
        at += 4
    else:
        while hold & 255 == 0 and at < until:
            at += 8
            hold = _window(stream, at)
            skip += 8
        low = int(np.int64(LOWEST_BIT[hold & 255]))
        at += low + 1
        if at > until:
            return at, 0, 0, 0
        hold >>= low + 1
        skip = ((skip + low) << k) | (hold & ((1 << k) - 1))
        hold >>= k
        at += k
    coded = _weight(hold, bits, symbols, counts)
    return at + (coded & 15), skip, coded >> 4, reads


@njit(**OPTIONS)
def _add(
    target: I32,
    spot: I32,
    tap: I32,
    plane: I32,
    stream: U8,
    at: int,
    until: int,
    k: int,
    bits: int,
    symbols: I8,
    counts: U8,
    payload: int,
    extra: int,
) -> tuple[int, int]:
    """Add the row in bits ``at`` to ``until`` for one event; return additions and codes read.

    Without ``spot`` a column is a target.
    """
    flip = -1 if payload < 0 else 0
    magnitude = abs(payload)
    additions = 0
    codes = 0
    if k == ROW and at < until:
        k = _window(stream, at) & 15
        at += 4
    column = -1
    while True:
        at, skip, weight, reads = _next(stream, at, until, k, bits, symbols, counts)
        if reads == 0:
            return additions, codes
        codes += reads
        column += skip + 1
        to = column
        if spot.size > 0:
            to = int(np.int64(spot[tap[column]]))
            if to < 0:
                continue
            to += int(np.int64(plane[column]))
        amount = ((weight ^ flip) - flip) << extra
        rest = magnitude
        while rest > 0:
            if rest & 1:
                target[to] += amount
                additions += 1
            amount <<= 1
            rest >>= 1


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
    coding: U8,
    anchors: Unsigned,
    lengths: U8,
    stream: U8,
    symbols: I8,
    counts: U8,
    bits: int,
) -> tuple[int, int]:
    """Scatter events into ``acc`` (frames, targets); returns (additions, gap codes read).

    Addresses of a convolution as in ``lists.conv``; of a linear table they are all empty. ``bits``: width of
    a weight or, with ``symbols``, of its number among them; ``counts``: Huffman codes of each length.
    """
    additions = 0
    codes = 0
    k = int(np.int64(coding[0]))
    width = int(np.int64(coding[1]))
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
            at = _start(anchors, lengths, width, row)
            until = at + _field(lengths, row, width)
            added, read = _add(
                acc[frame, first:],
                spot,
                tap,
                plane,
                stream,
                at << 3,
                until << 3,
                k,
                bits,
                symbols,
                counts,
                int(np.int64(value[event])),
                extra,
            )
            additions += added
            codes += read
    return additions, codes


@njit(**OPTIONS)
def _walk_row(
    stream: U8,
    at: int,
    until: int,
    k: int,
    bits: int,
    symbols: I8,
    counts: U8,
    columns: int,
) -> int:
    """Read the row in bits ``at`` to ``until``; SOUND, or what is wrong with it."""
    column = -1
    used = at
    if k == ROW and at < until:
        k = _window(stream, at) & 15
        at += 4
    while True:
        at, skip, weight, reads = _next(stream, at, until, k, bits, symbols, counts)
        if reads == 0:
            padding = _window(stream, used) & ((1 << min(until - used, 8)) - 1)
            whole = (1 << min(until - used, 8)) - 1 if k == NIBBLE else 0
            return SOUND if padding == whole and until - used < 8 else LOOSE
        if at > until or weight == 0:
            return BROKEN
        used = at
        column += skip + 1
        if column >= columns:
            return OUTSIDE


@njit(**OPTIONS)
def walk(
    coding: U8,
    anchors: Unsigned,
    lengths: U8,
    stream: U8,
    symbols: I8,
    counts: U8,
    bits: int,
    rows: int,
    columns: int,
) -> tuple[int, int]:
    """Read every row; (rows, SOUND) or (row, what is wrong with it). Trusts the arrays' sizes only."""
    k = int(np.int64(coding[0]))
    width = int(np.int64(coding[1]))
    at = 0
    widest = 0
    for number in range(rows):
        if number & ((1 << GROUP) - 1) == 0 and int(np.int64(anchors[number >> GROUP])) != at:
            return number, UNEVEN
        length = _field(lengths, number, width)
        if length > stream.size - at:
            return number, UNEVEN
        wrong = _walk_row(stream, at << 3, (at + length) << 3, k, bits, symbols, counts, columns)
        if wrong != SOUND:
            return number, wrong
        at += length
        widest |= length
    if at != stream.size or widest >> max(width - 1, 0) == 0 < width:
        return rows, UNEVEN
    return rows, SOUND


ROW_NUMBER, NEXT_BYTE, BIT, UNTIL, PARAMETER, COLUMN = 0, 1, 2, 3, 4, 5
CURSOR = 6
"""Where ``read`` stands: rows begun, the byte behind them, and within the last row the bit, the row's end,
its coding and the column reached."""


@njit(**OPTIONS)
def read(
    coding: U8,
    anchors: Unsigned,
    lengths: U8,
    stream: U8,
    symbols: I8,
    counts: U8,
    bits: int,
    rows: int,
    cursor: I64,
    to_row: I32,
    to_column: I32,
    to_weight: I32,
) -> int:
    """Read on from ``cursor``, at first all zeros, until the room is full; the items read.

    Trusts the stream: ``walk`` has proved it sound. ``anchors`` are not needed, rows follow one another.
    """
    width = int(np.int64(coding[1]))
    row = int(cursor[ROW_NUMBER])
    byte = int(cursor[NEXT_BYTE])
    at = int(cursor[BIT])
    until = int(cursor[UNTIL])
    k = int(cursor[PARAMETER])
    column = int(cursor[COLUMN])
    found = 0
    while found < to_row.size:
        reads = 0
        if at < until:
            at, skip, weight, reads = _next(stream, at, until, k, bits, symbols, counts)
        if reads > 0:
            column += skip + 1
            to_row[found] = row - 1
            to_column[found] = column
            to_weight[found] = weight
            found += 1
            continue
        if row == rows:
            break
        at = byte << 3
        byte += _field(lengths, row, width)
        until = byte << 3
        k = int(np.int64(coding[0]))
        column = -1
        row += 1
        if k == ROW and at < until:
            k = _window(stream, at) & 15
            at += 4
    cursor[ROW_NUMBER] = row
    cursor[NEXT_BYTE] = byte
    cursor[BIT] = at
    cursor[UNTIL] = until
    cursor[PARAMETER] = k
    cursor[COLUMN] = column
    return found
