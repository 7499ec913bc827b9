"""Sign-split lists: the columns of every row's +1 weights, then those of its -1 weights; no weight is stored.

``pointers`` (2 * rows + 1) u16 or u32 by the number of nonzeros: where each of a row's two lists starts;
``indices`` u8, u16 or u32 by the number of columns, rising within a list.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
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
    check_items,
    part_size,
    pointers_bytes,
    require,
    require_array,
    require_dimensions,
    require_pointers,
    row_of_items,
    row_pointers,
    spans,
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

    def parts(self, table: EncodedMatrix) -> Iterator[Entries]:
        """Within a row the +1 before the -1."""
        for first, until in spans(table.arrays["indices"].size, part_size(table.arrays)):
            found = _read(table.arrays, first, until)
            yield Entries(found.row >> 1, found.column, found.weight)

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
        check_items(partial(_read, arrays), items, columns, size=part_size(arrays))
        _check_once(arrays, rows, columns)


def _read(arrays: Arrays, first: int, until: int) -> Entries:
    """Items as rows of one list each: twice the row of the table, and one more for -1."""
    half = row_of_items(arrays["pointers"], first, until)
    column = arrays["indices"][first:until].astype(np.int64)
    return Entries(half, column, (1 - ((half & 1) << 1)).astype(np.int32))


def _check_once(arrays: Arrays, rows: int, columns: int) -> None:
    """No column stands in both lists of a row; as many rows together as a part holds."""
    pointers, size, row = arrays["pointers"], part_size(arrays), 0
    while row < rows:
        first = int(pointers[2 * row])
        limit = np.array(min(first + size, int(pointers[-1]))).astype(pointers.dtype)
        until = max(row + 1, (int(np.searchsorted(pointers, limit, side="right")) - 1) // 2)
        last = int(pointers[2 * until])
        if until == row + 1:
            once = _apart(
                arrays["indices"][first : int(pointers[2 * row + 1])],
                arrays["indices"][int(pointers[2 * row + 1]) : last],
                size,
            )
        else:
            found = _read(arrays, first, last)
            once = np.unique((found.row >> 1) * columns + found.column).size == last - first
        require(once, "indices", "a column in both lists of a row", "each column once")
        row = until


def _apart(some: NDArray[np.generic], others: NDArray[np.generic], size: int) -> bool:
    """Whether two rising lists share nothing."""
    if others.size == 0:
        return True
    for first, until in spans(some.size, size):
        part = some[first:until]
        place = np.minimum(np.searchsorted(others, part), others.size - 1)
        if bool(np.any(others[place] == part)):
            return False
    return True
