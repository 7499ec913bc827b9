"""Bitmap rows: one bit per column says whether its weight is stored.

``pointers`` (rows + 1) u16 or u32 by the number of nonzeros: where a row's weights start;
``bitmap`` u8 of ``rows * ceil(columns / 8)`` bytes, column j at bit ``j % 8`` of byte ``j // 8`` of its row;
``weights`` one stream of all nonzeros.
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
    require_nonzero,
    require_pointers,
    require_stream,
    row_pointers,
)
from runtime.program import EncodedMatrix


def _bits(arrays: Arrays, rows: int) -> NDArray[np.uint8]:
    """The bitmap as (rows, 8 * row bytes) of 0 and 1."""
    return np.unpackbits(arrays["bitmap"].view(np.uint8).reshape(rows, -1), axis=1, bitorder="little")


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

    def entries(self, table: EncodedMatrix) -> Entries:
        row, column = np.nonzero(_bits(table.arrays, table.rows))
        weight = unpack(table.arrays["weights"].view(np.uint8), row.size, table.bits)
        return Entries(row, column, weight)

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
        kept = _bits(arrays, rows)
        require(not kept[:, columns:].any(), "bitmap", "padding bits set", "zero")
        per_row = kept.sum(axis=1, dtype=np.int64)
        items = int(per_row.sum())
        require_pointers(arrays, rows, items)
        same = bool(np.array_equal(np.diff(arrays["pointers"].astype(np.int64)), per_row))
        require(same, "pointers", "row lengths unlike the bitmap", "one weight per set bit")
        require_stream(arrays, items, bits)
        require_nonzero(unpack(arrays["weights"].view(np.uint8), items, bits))
