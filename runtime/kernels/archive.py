"""Range coding of a whole table, for storage: every gap and every weight under adaptive models.

Binary decisions with 16-bit probabilities that adapt at 1/(n + 1.5), at last 1/256; 32-bit range, carries
resolved late (Martin 1979; the byte-wise form of LZMA's coder). It multiplies and keeps a few kilobytes of
models, so cores do not run from it. Compiled without reference counts, see ``streams``.

A gap g counts the cells skipped since the nonzero before, rows joined end to end: the class
``c = floor(log2(g + 1))`` in unary, each step under the class before, then the c low bits of ``g + 1``, the
first three of them modeled. A weight is ``bits`` bits from the highest on, modeled as a tree or, with
``flat``, even. Nothing here trusts its stream: reading stops a few bytes behind it.
"""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
U8 = NDArray[np.uint8]

OPTIONS: dict[str, Any] = {"cache": True, "_nrt": False}

MOST_CLASS = 48
MODELED = 3
UNARY, MANTISSA, TREE = 0, 16 * 64, 16 * 64 + 64 * 8
MODELS = TREE + 256
"""Numbers of the models: steps of a class by the class before, first bits of a gap, nodes of a weight."""

LOW, RANGE, CACHE, PENDING, AT = 0, 1, 2, 3, 4
CLASS, ROW, COLUMN = 5, 6, 7
STATE = 8
"""Numbers of a coder's state: the range coder's, then where decoding stands."""
LAST_RATE = 254
SOUND, OUTSIDE, BROKEN = 0, -2, -3
"""What ``decode`` finds: a cell beyond the table; a stream too short or a zero weight."""


@njit(**OPTIONS)
def _adapt(odds: I64, model: int, bit: int) -> None:
    """Move a model, a probability of zero and a count, toward the bit seen."""
    n = odds[2 * model + 1]
    aim = 65536 - 48 if bit == 0 else 48
    odds[2 * model] += (aim - odds[2 * model]) * 2 // (2 * n + 3)
    odds[2 * model + 1] = min(n + 1, LAST_RATE)


@njit(**OPTIONS)
def _shift(state: I64, out: U8) -> None:
    """Send the top byte of ``low`` out, or hold it while a carry could still change it."""
    low = state[LOW]
    if low < 0xFF000000 or low > 0xFFFFFFFF:
        carry = low >> 32
        out[state[AT]] = (state[CACHE] + carry) & 255
        state[AT] += 1
        for _ in range(state[PENDING] - 1):
            out[state[AT]] = (255 + carry) & 255
            state[AT] += 1
        state[CACHE] = (low >> 24) & 255
        state[PENDING] = 0
    state[PENDING] += 1
    state[LOW] = (low & 0x00FFFFFF) << 8


@njit(**OPTIONS)
def _write(state: I64, odds: I64, model: int, bit: int, out: U8) -> None:
    """Code one decision under a model, or an even one where ``model`` is -1."""
    chance = int(odds[2 * model]) if model >= 0 else 32768
    bound = (state[RANGE] >> 16) * chance
    if bit == 0:
        state[RANGE] = bound
    else:
        state[LOW] += bound
        state[RANGE] -= bound
    if model >= 0:
        _adapt(odds, model, bit)
    while state[RANGE] < 1 << 24:
        state[RANGE] <<= 8
        _shift(state, out)


@njit(**OPTIONS)
def _read(state: I64, odds: I64, model: int, stream: U8) -> int:
    """The next decision; ``LOW`` holds the code, ``AT`` the bytes read, which may pass the stream's end."""
    chance = int(odds[2 * model]) if model >= 0 else 32768
    bound = (state[RANGE] >> 16) * chance
    bit = 0
    if state[LOW] < bound:
        state[RANGE] = bound
    else:
        bit = 1
        state[LOW] -= bound
        state[RANGE] -= bound
    if model >= 0:
        _adapt(odds, model, bit)
    while state[RANGE] < 1 << 24:
        state[RANGE] <<= 8
        byte = int(np.int64(stream[state[AT]])) if state[AT] < stream.size else 0
        state[LOW] = (state[LOW] << 8) | byte
        state[AT] += 1
    return bit


@njit(**OPTIONS)
def _start(state: I64, odds: I64) -> None:
    for model in range(MODELS):
        odds[2 * model] = 32768
        odds[2 * model + 1] = 0
    state[:] = 0
    state[RANGE] = 0xFFFFFFFF


@njit(**OPTIONS)
def encode(gaps: I64, words: I64, bits: int, flat: int, state: I64, odds: I64, out: U8) -> int:
    """Code every gap and weight into ``out``; return the bytes written, the first of which says nothing.

    ``state`` (STATE) and ``odds`` (2 * MODELS) are scratch. ``out`` holds 32 bytes a nonzero and 8 more.
    """
    _start(state, odds)
    state[PENDING] = 1
    before = 0
    for k in range(gaps.size):
        number = int(gaps[k]) + 1
        size = 0
        while number >> (size + 1) > 0:
            _write(state, odds, UNARY + 64 * before + size, 1, out)
            size += 1
        _write(state, odds, UNARY + 64 * before + size, 0, out)
        before = min(size, 15)
        node = 1
        for place in range(size):
            bit = (number >> (size - 1 - place)) & 1
            _write(state, odds, MANTISSA + 8 * size + node if place < MODELED else -1, bit, out)
            node = (node << 1) | bit
        node = 1
        for place in range(bits):
            bit = (int(words[k]) >> (bits - 1 - place)) & 1
            _write(state, odds, -1 if flat else TREE + node, bit, out)
            node = (node << 1) | bit
    for _ in range(5):
        _shift(state, out)
    return int(state[AT])


@njit(**OPTIONS)
def begin(stream: U8, state: I64, odds: I64) -> None:
    """Make ``state`` (STATE) and ``odds`` (2 * MODELS) ready to decode a stream."""
    _start(state, odds)
    for byte in range(4):
        state[LOW] = (state[LOW] << 8) | (int(np.int64(stream[byte])) if byte < stream.size else 0)
    state[AT] = 4
    state[COLUMN] = -1


@njit(**OPTIONS)
def decode(
    stream: U8,
    items: int,
    rows: int,
    columns: int,
    bits: int,
    flat: int,
    state: I64,
    odds: I64,
    to_row: I32,
    to_column: I32,
    to_weight: I32,
) -> int:
    """Read on ``items`` nonzeros from where ``state`` stands; SOUND or what is wrong."""
    before = int(state[CLASS])
    row = int(state[ROW])
    column = int(state[COLUMN])
    sign = 1 << (bits - 1)
    for k in range(items):
        size = 0
        while size < MOST_CLASS and _read(state, odds, UNARY + 64 * before + size, stream) == 1:
            size += 1
        before = min(size, 15)
        number = 1
        for place in range(size):
            model = MANTISSA + 8 * size + number if place < MODELED else -1
            number = (number << 1) | _read(state, odds, model, stream)
        node = 1
        for _ in range(bits):
            node = (node << 1) | _read(state, odds, -1 if flat else TREE + node, stream)
        field = node - (1 << bits)
        weight = 1 - (field << 1) if bits == 1 else (field ^ sign) - sign
        if state[AT] > stream.size or weight == 0:
            return BROKEN
        column += number
        if column >= columns:
            row += column // columns
            column %= columns
        if row >= rows:
            return OUTSIDE
        to_row[k] = row
        to_column[k] = column
        to_weight[k] = weight
    state[CLASS] = before
    state[ROW] = row
    state[COLUMN] = column
    return SOUND
