"""Gap codes: the distance from one nonzero to the next in eight bits, with escapes.

``codes`` u8: 0..254 is the number of zero columns skipped before the next weight; 255 (``ESCAPE``) skips
255 columns and places no weight. ``weights`` is a stream with one item per code, zero at an escape, so that
one pointer serves both (a sign of one bit has no zero, hence no width 1). ``pointers`` (rows + 1) u16 or
u32 by the number of codes. No row ends in an escape.
(After Han et al. 2016, "EIE", section III, where the code has 4 bits and the filler weight is added.)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from runtime.encodings.packing import WEIGHT_BITS, pack, packed_bytes, unpack
from runtime.encodings.sparse import Sparse
from runtime.encodings.table import (
    Arrays,
    Entries,
    Kind,
    Size,
    part_size,
    pointers_bytes,
    require,
    require_array,
    require_dimensions,
    require_pointers,
    require_stream,
    row_of_items,
    row_pointers,
    spans,
)
from runtime.program import EncodedMatrix

ESCAPE = 255


def _columns(codes: NDArray[np.uint8], row: NDArray[np.int64]) -> NDArray[np.int64]:
    """The column at which each code lands (an escape: the last column it skips)."""
    advance = np.where(codes == ESCAPE, ESCAPE, codes.astype(np.int64) + 1)
    total = np.cumsum(advance)
    first = np.ones(codes.size, np.bool_)
    first[1:] = row[1:] != row[:-1]
    before_row = (total - advance)[first]
    landing: NDArray[np.int64] = total - 1 - before_row[np.cumsum(first) - 1]
    return landing


def _stored(arrays: Arrays, bits: int) -> Iterator[Entries]:
    """Everything stored, escapes with their zeros included, a part at a time."""
    last_row, last_column = -1, -1
    for first, until in spans(arrays["codes"].size, part_size(arrays)):
        codes = arrays["codes"][first:until].view(np.uint8)
        row = row_of_items(arrays["pointers"], first, until)
        column = _columns(codes, row)
        if row[0] == last_row:
            column[row == last_row] += last_column + 1
        last_row, last_column = row[-1], column[-1]
        weight = unpack(arrays["weights"].view(np.uint8), until - first, bits, first)
        yield Entries(row, column, weight)


class Gaps:
    name = "gaps"
    widths = WEIGHT_BITS - {1}
    executable = True
    kinds: ClassVar[Mapping[str, Kind]] = {
        "pointers": Kind.POINTERS,
        "codes": Kind.INDICES,
        "weights": Kind.WEIGHTS,
    }

    def fits(self, sparse: Sparse, bits: int) -> bool:
        return True

    def encode(self, sparse: Sparse, bits: int) -> EncodedMatrix:
        skip = sparse.skips
        escapes = skip // ESCAPE
        last = np.cumsum(escapes + 1) - 1
        codes = np.full(skip.size + int(escapes.sum()), ESCAPE, np.uint8)
        weights = np.zeros(codes.size, np.int32)
        codes[last] = skip - escapes * ESCAPE
        weights[last] = sparse.weight
        arrays: dict[str, NDArray[np.generic]] = {
            "pointers": row_pointers(sparse.row_sums(escapes + 1)),
            "codes": codes,
            "weights": pack(weights, bits),
        }
        return EncodedMatrix(self.name, sparse.rows, sparse.columns, bits, arrays)

    def parts(self, table: EncodedMatrix) -> Iterator[Entries]:
        for found in _stored(table.arrays, table.bits):
            kept = found.weight != 0
            yield Entries(found.row[kept], found.column[kept], found.weight[kept])

    def size(self, sparse: Sparse, bits: int) -> Size:
        items = sparse.nonzeros + int((sparse.skips // ESCAPE).sum())
        return Size(
            weights=packed_bytes(items, bits),
            indices=items,
            pointers=pointers_bytes(sparse.rows, items),
        )

    def check(self, arrays: Arrays, rows: int, columns: int, bits: int) -> None:
        require_dimensions(rows, columns)
        items = arrays["codes"].size
        require_array(arrays, "codes", "u1", items)
        require_pointers(arrays, rows, items)
        require_stream(arrays, items, bits)
        self._check_codes(arrays, columns, bits)

    def _check_codes(self, arrays: Arrays, columns: int, bits: int) -> None:
        """Escapes alone have a zero and are followed in their row; no code leaves the table."""
        seen, open_row = 0, -1
        for found in _stored(arrays, bits):
            escaped = arrays["codes"][seen : seen + found.weight.size] == ESCAPE
            seen += found.weight.size
            matched = np.array_equal(found.weight == 0, escaped)
            require(matched, "weights", "a zero weight or a weight at an escape", "zero exactly at escapes")
            ended = bool(np.any(escaped[:-1] & (found.row[1:] != found.row[:-1])))
            ended |= open_row not in (-1, found.row[0])
            require(not ended, "codes", "a row that ends in an escape", "a weight last")
            open_row = int(found.row[-1]) if escaped[-1] else -1
            inside = not np.any(found.column >= columns)
            require(inside, "codes", "a column outside the table", f"below {columns}")
        require(open_row == -1, "codes", "a row that ends in an escape", "a weight last")
