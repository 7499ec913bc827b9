"""Tables whose rows are bit streams of gap codes and weight codes in turn, and where each row starts.

``coding`` u1 (2): the Rice parameter, ``ROW`` or ``NIBBLE``; the width of a length. ``anchors`` u2 or u4 by
the bytes of the stream: the first byte of every sixteenth row. ``lengths``: the bytes of every row, packed in
the width that the longest needs. ``stream`` u1: the rows, each starting on a byte.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runtime.encodings.packing import pack_fields, packed_bytes, padding_is_zero, place
from runtime.encodings.sparse import Sparse
from runtime.encodings.table import (
    MAX_ITEMS,
    Arrays,
    Entries,
    Kind,
    Size,
    part_size,
    pointer_dtype,
    require,
    require_array,
    require_dimensions,
)
from runtime.program import EncodedMatrix

Ints = NDArray[np.int64]

ROW, NIBBLE = 16, 17
ROW_BITS = 4
GROUP = 16
MOST_LENGTH_BITS = 31

KINDS: Mapping[str, Kind] = {
    "coding": Kind.POINTERS,
    "anchors": Kind.POINTERS,
    "lengths": Kind.POINTERS,
    "stream": Kind.WEIGHTS,
}

WRONG = {
    -1: ("lengths", "rows that do not fill the stream", "rows one behind the other, in the narrowest width"),
    -2: ("stream", "a column outside the table", "one inside"),
    -3: ("stream", "a broken code or a stored zero", "whole codes of nonzero weights"),
    -4: ("stream", "bits that no code needs", "rows of the fewest bytes, padded as the format says"),
}


@dataclass(frozen=True)
class WeightCodes:
    """The code of every nonzero's weight, ``word`` and ``length`` in bits (n,), and what decodes them."""

    word: Ints
    length: Ints
    stored: Mapping[str, NDArray[np.generic]]


@dataclass(frozen=True)
class GapCodes:
    """How gaps are coded: ``mode`` of the table, Rice parameter ``k`` and bits of each row (rows,)."""

    mode: int
    k: Ints
    row_bits: Ints

    @property
    def row_bytes(self) -> Ints:
        return (self.row_bits + 7) >> 3


def pointer_bytes(row_bytes: Ints) -> int:
    """Bytes of ``coding``, ``anchors`` and ``lengths`` together."""
    anchors = -(-row_bytes.size // GROUP) * pointer_dtype(int(row_bytes.sum())).itemsize
    return 2 + anchors + packed_bytes(row_bytes.size, int(row_bytes.max()).bit_length())


def rice(sparse: Sparse, weight_bits: Ints) -> GapCodes:
    """The Rice parameters with the fewest bytes, for rows of ``weight_bits`` (rows,) beside the gaps.

    One parameter of the table, or one of each row. (Golomb 1966; Rice 1979; parameters by exact cost.)
    """
    per_row, k = sparse.per_row, np.arange(ROW)[:, None]
    cost = sparse.quotients + (k + 1) * per_row + weight_bits
    found = [GapCodes(n, np.full(sparse.rows, n), bits) for n, bits in enumerate(cost)]
    own = np.where(per_row > 0, cost.min(axis=0) + ROW_BITS, 0)
    found.append(GapCodes(ROW, cost.argmin(axis=0), own))
    return min(found, key=lambda gaps: int(gaps.row_bytes.sum()) + pointer_bytes(gaps.row_bytes))


def size(gaps: GapCodes, symbols: int = 0) -> Size:
    """Bytes by kind; ``symbols`` of them hold a codebook."""
    return Size(weights=int(gaps.row_bytes.sum()) + symbols, pointers=pointer_bytes(gaps.row_bytes))


def rice_stream(sparse: Sparse, gaps: GapCodes, codes: WeightCodes) -> dict[str, NDArray[np.generic]]:
    """The stored arrays of Rice rows: zeros for the quotient, a one, the remainder, the weight."""
    k = gaps.k[sparse.row]
    quotient = sparse.skips >> k
    start = np.concatenate([[0], np.cumsum(gaps.row_bytes)]) << 3
    own = ROW_BITS if gaps.mode == ROW else 0
    before = sparse.within_rows(quotient + k + 1 + codes.length)
    at = start[sparse.row] + own + before + quotient
    word = 1 | ((sparse.skips & ((1 << k) - 1)) << 1) | (codes.word << (k + 1))
    if own:
        head = np.flatnonzero(sparse.per_row)
        at, word = np.concatenate([start[head], at]), np.concatenate([gaps.k[head], word])
        order = np.argsort(at, kind="stable")
        at, word = at[order], word[order]
    return pointers(gaps) | {"stream": place(word, at, int(start[-1]) >> 3)} | dict(codes.stored)


def pointers(gaps: GapCodes) -> dict[str, NDArray[np.generic]]:
    """``coding``, ``anchors`` and ``lengths``."""
    row_bytes = gaps.row_bytes
    total, width = int(row_bytes.sum()), int(row_bytes.max()).bit_length()
    start = np.cumsum(row_bytes) - row_bytes
    return {
        "coding": np.array([gaps.mode, width], np.uint8),
        "anchors": start[::GROUP].astype(pointer_dtype(total)),
        "lengths": pack_fields(row_bytes, width) if width else np.zeros(0, np.uint8),
    }


def check_stream(arrays: Arrays, table: tuple[int, int, int], modes: range) -> None:
    """Refuse row streams that a kernel could not walk in bounds; ``table`` is (rows, columns, bits)."""
    rows, columns, bits = table
    require_dimensions(rows, columns)
    require_array(arrays, "coding", "u1", 2)
    mode, width = (int(value) for value in arrays["coding"])
    known = mode in modes and width <= MOST_LENGTH_BITS
    require(known, "coding", f"{mode} and lengths of {width} bits", f"{modes.start}..{modes.stop - 1}, 0..31")
    total = arrays["stream"].size
    require(total < MAX_ITEMS, "stream", f"{total} bytes", f"fewer than {MAX_ITEMS}")
    require_array(arrays, "anchors", pointer_dtype(total).str, -(-rows // GROUP))
    require_array(arrays, "lengths", "u1", packed_bytes(rows, width))
    require_array(arrays, "stream", "u1", total)
    lengths = arrays["lengths"].view(np.uint8)
    require(padding_is_zero(lengths, rows, width), "lengths", "padding bits set", "zero")
    from runtime.kernels.streams import walk

    proved: Callable[..., tuple[int, int]] = walk
    row, wrong = proved(*stored(arrays), bits, rows, columns)
    if wrong:
        subject, what, expected = WRONG[wrong]
        require(False, f"{subject}, row {row}", what, expected)


def parts(table: EncodedMatrix, bits: int) -> Iterator[Entries]:
    """The nonzeros of a checked table; ``bits`` as the kernel takes them."""
    from runtime.kernels.streams import CURSOR, read

    further: Callable[..., int] = read
    cursor = np.zeros(CURSOR, np.int64)
    room = [np.empty(part_size(table.arrays), np.int32) for _ in range(3)]
    while found := further(*stored(table.arrays), bits, table.rows, cursor, *room):
        yield Entries(*(column[:found].copy() for column in room))


def stored(arrays: Arrays) -> tuple[NDArray[np.generic], ...]:
    """The arrays in the order in which kernels take them; empty where the encoding has none."""
    symbols = arrays.get("symbols", np.zeros(0, np.int8))
    counts = arrays.get("counts", np.zeros(0, np.uint8))
    return *(arrays[name] for name in KINDS), symbols, counts
