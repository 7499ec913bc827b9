"""Fan-out lists: the column and the weight of every nonzero, row by row.

``pointers`` (rows + 1) u16 or u32 by the number of nonzeros; ``indices`` (nonzeros) u8, u16 or u32 by the
number of columns, rising within a row; ``weights`` one stream of all nonzeros.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
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
    check_items,
    part_size,
    pointers_bytes,
    require_array,
    require_dimensions,
    require_pointers,
    require_stream,
    row_of_items,
    row_pointers,
    spans,
)
from runtime.program import EncodedMatrix


def index_dtype(columns: int) -> np.dtype[np.generic]:
    """The narrowest unsigned type that addresses every column."""
    if columns <= 1 << 8:
        return np.dtype("u1")
    return np.dtype("<u2") if columns <= 1 << 16 else np.dtype("<u4")


class Lists:
    name = "lists"
    widths = WEIGHT_BITS
    executable = True
    kinds: ClassVar[Mapping[str, Kind]] = {
        "pointers": Kind.POINTERS,
        "indices": Kind.INDICES,
        "weights": Kind.WEIGHTS,
    }

    def fits(self, sparse: Sparse, bits: int) -> bool:
        return True

    def encode(self, sparse: Sparse, bits: int) -> EncodedMatrix:
        arrays: dict[str, NDArray[np.generic]] = {
            "pointers": row_pointers(sparse.per_row),
            "indices": sparse.column.astype(index_dtype(sparse.columns)),
            "weights": pack(sparse.weight, bits),
        }
        return EncodedMatrix(self.name, sparse.rows, sparse.columns, bits, arrays)

    def parts(self, table: EncodedMatrix) -> Iterator[Entries]:
        size = part_size(table.arrays)
        for first, until in spans(table.arrays["indices"].size, size):
            yield _read(table.arrays, table.bits, first, until)

    def size(self, sparse: Sparse, bits: int) -> Size:
        return Size(
            weights=packed_bytes(sparse.nonzeros, bits),
            indices=sparse.nonzeros * index_dtype(sparse.columns).itemsize,
            pointers=pointers_bytes(sparse.rows, sparse.nonzeros),
        )

    def check(self, arrays: Arrays, rows: int, columns: int, bits: int) -> None:
        require_dimensions(rows, columns)
        items = arrays["indices"].size
        require_array(arrays, "indices", index_dtype(columns).str, items)
        require_pointers(arrays, rows, items)
        require_stream(arrays, items, bits)
        check_items(partial(_read, arrays, bits), items, columns, size=part_size(arrays))


def _read(arrays: Arrays, bits: int, first: int, until: int) -> Entries:
    weight = unpack(arrays["weights"].view(np.uint8), until - first, bits, first)
    column = arrays["indices"][first:until].astype(np.int64)
    return Entries(row_of_items(arrays["pointers"], first, until), column, weight)
