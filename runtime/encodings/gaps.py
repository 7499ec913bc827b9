"""Gap codes: the distance from one nonzero to the next in eight bits, with escapes.

``codes`` u8: 0..254 is the number of zero columns skipped before the next weight; 255 (``ESCAPE``) skips
255 columns and places no weight. ``weights`` is a stream with one item per code, zero at an escape, so that
one pointer serves both (a sign of one bit has no zero, hence no width 1). ``pointers`` (rows + 1) u16 or
u32 by the number of codes. No row ends in an escape.
(After Han et al. 2016, "EIE", section III, where the code has 4 bits and the filler weight is added.)
"""

from __future__ import annotations

from collections.abc import Mapping
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
    pointers_bytes,
    require,
    require_array,
    require_dimensions,
    require_pointers,
    require_stream,
    row_of_items,
    row_pointers,
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

    def entries(self, table: EncodedMatrix) -> Entries:
        codes = table.arrays["codes"].view(np.uint8)
        row = row_of_items(table.arrays["pointers"])
        weight = unpack(table.arrays["weights"].view(np.uint8), codes.size, table.bits)
        kept = codes != ESCAPE
        return Entries(row[kept], _columns(codes, row)[kept], weight[kept])

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
        codes = arrays["codes"].view(np.uint8)
        row = row_of_items(arrays["pointers"])
        weights = unpack(arrays["weights"].view(np.uint8), items, bits)
        matched = np.array_equal(weights == 0, codes == ESCAPE)
        require(matched, "weights", "a zero weight or a weight at an escape", "zero exactly at escapes")
        ends = np.flatnonzero(np.append(row[1:] != row[:-1], True)) if items else np.zeros(0, np.int64)
        require(not np.any(codes[ends] == ESCAPE), "codes", "a row that ends in an escape", "a weight last")
        inside = not np.any(_columns(codes, row) >= columns) if items else True
        require(inside, "codes", "a column outside the table", f"below {columns}")
