"""Sign-split lists: the columns of every row's +1 weights, then those of its -1 weights; no weight is stored.

``pointers`` (2 * rows + 1) u16 or u32 by the number of nonzeros: where each of a row's two lists starts;
``indices`` u8, u16 or u32 by the number of columns, rising within a list.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from runtime.encodings.lists import index_dtype
from runtime.encodings.packing import WEIGHT_BITS
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
    row_of_items,
    row_pointers,
)
from runtime.program import EncodedMatrix


class Signs:
    name = "signs"
    widths = WEIGHT_BITS
    executable = True
    kinds: ClassVar[Mapping[str, Kind]] = {"pointers": Kind.POINTERS, "indices": Kind.INDICES}

    def fits(self, sparse: Sparse, bits: int) -> bool:
        return sparse.signs_only

    def encode(self, sparse: Sparse, bits: int) -> EncodedMatrix:
        require(sparse.signs_only, "signs table", "weights other than +1 and -1", "signs alone")
        half = 2 * sparse.row + (sparse.weight < 0)
        order = np.argsort(half, kind="stable")
        arrays: dict[str, NDArray[np.generic]] = {
            "pointers": row_pointers(np.bincount(half, minlength=2 * sparse.rows)),
            "indices": sparse.column[order].astype(index_dtype(sparse.columns)),
        }
        return EncodedMatrix(self.name, sparse.rows, sparse.columns, bits, arrays)

    def entries(self, table: EncodedMatrix) -> Entries:
        half = row_of_items(table.arrays["pointers"])
        column = table.arrays["indices"].astype(np.int64)
        order = np.lexsort((column, half >> 1))
        weight = (1 - ((half & 1) << 1)).astype(np.int32)
        return Entries((half >> 1)[order], column[order], weight[order])

    def size(self, sparse: Sparse, bits: int) -> Size:
        return Size(
            indices=sparse.nonzeros * index_dtype(sparse.columns).itemsize,
            pointers=pointers_bytes(2 * sparse.rows, sparse.nonzeros),
        )

    def check(self, arrays: Arrays, rows: int, columns: int, bits: int) -> None:
        require_dimensions(rows, columns)
        require_dimensions(2 * rows, columns)
        items = arrays["indices"].size
        require_array(arrays, "indices", index_dtype(columns).str, items)
        require_pointers(arrays, 2 * rows, items)
        column = arrays["indices"].astype(np.int64)
        require(not np.any(column >= columns), "indices", "a column outside the table", f"below {columns}")
        half = row_of_items(arrays["pointers"])
        rising = not np.any((np.diff(half) == 0) & (np.diff(column) <= 0))
        require(rising, "indices", "columns out of order in a list", "each column once, rising")
        once = np.unique((half >> 1) * columns + column).size == items
        require(once, "indices", "a column in both lists of a row", "each column once")
