"""Bitmap rows: one bit per column says whether its weight is stored.

``pointers`` (rows + 1) u16 or u32 by the number of nonzeros: where a row's weights start;
``bitmap`` u8 of ``rows * ceil(columns / 8)`` bytes, column j at bit ``j % 8`` of byte ``j // 8`` of its row;
``weights`` one stream of all nonzeros.
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
    require_nonzero,
    require_pointers,
    require_stream,
    row_pointers,
    spans,
)
from runtime.program import EncodedMatrix

ONES = np.array([byte.bit_count() for byte in range(256)], np.uint8)
"""Set bits of each byte."""


def _counts(arrays: Arrays, rows: int) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Set bits of every row: (rows,) from a row on, a part at a time."""
    bitmap = arrays["bitmap"].view(np.uint8).reshape(rows, -1)
    for first, until in spans(rows, max(1, part_size(arrays) // bitmap.shape[1])):
        yield first, ONES[bitmap[first:until]].sum(axis=1, dtype=np.int64)


class Bitmap:
    name = "bitmap"
    widths = WEIGHT_BITS
    executable = True
    kinds: ClassVar[Mapping[str, Kind]] = {
        "pointers": Kind.POINTERS,
        "bitmap": Kind.INDICES,
        "weights": Kind.WEIGHTS,
    }

    def fits(self, sparse: Sparse, bits: int) -> bool:
        return True

    def encode(self, sparse: Sparse, bits: int) -> EncodedMatrix:
        kept = sparse.matrix != 0
        arrays: dict[str, NDArray[np.generic]] = {
            "pointers": row_pointers(sparse.per_row),
            "bitmap": np.packbits(kept, axis=1, bitorder="little").ravel(),
            "weights": pack(sparse.weight, bits),
        }
        return EncodedMatrix(self.name, sparse.rows, sparse.columns, bits, arrays)

    def parts(self, table: EncodedMatrix) -> Iterator[Entries]:
        bitmap = table.arrays["bitmap"].view(np.uint8)
        row_bits, seen = 8 * packed_bytes(table.columns, 1), 0
        for first, until in spans(bitmap.size, part_size(table.arrays)):
            at = np.flatnonzero(np.unpackbits(bitmap[first:until], bitorder="little")) + 8 * first
            weight = unpack(table.arrays["weights"].view(np.uint8), at.size, table.bits, seen)
            seen += at.size
            yield Entries(at // row_bits, at % row_bits, weight)

    def size(self, sparse: Sparse, bits: int) -> Size:
        return Size(
            weights=packed_bytes(sparse.nonzeros, bits),
            indices=sparse.rows * packed_bytes(sparse.columns, 1),
            pointers=pointers_bytes(sparse.rows, sparse.nonzeros),
        )

    def check(self, arrays: Arrays, rows: int, columns: int, bits: int) -> None:
        require_dimensions(rows, columns)
        row_bytes = packed_bytes(columns, 1)
        require_array(arrays, "bitmap", "u1", rows * row_bytes)
        used, last = columns % 8, arrays["bitmap"].view(np.uint8)[row_bytes - 1 :: row_bytes]
        require(used == 0 or not np.any(last >> used), "bitmap", "padding bits set", "zero")
        items = sum(int(per_row.sum()) for _, per_row in _counts(arrays, rows))
        require_pointers(arrays, rows, items)
        for first, per_row in _counts(arrays, rows):
            ends = arrays["pointers"][first : first + per_row.size + 1].astype(np.int64)
            same = bool(np.array_equal(np.diff(ends), per_row))
            require(same, "pointers", "row lengths unlike the bitmap", "one weight per set bit")
        require_stream(arrays, items, bits)
        for first, until in spans(items, part_size(arrays)):
            require_nonzero(unpack(arrays["weights"].view(np.uint8), until - first, bits, first))
