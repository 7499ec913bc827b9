"""Fan-out lists of whole items: column and weight side by side, as cores like to fetch them.

``Packed``: one halfword or word an item, column in the low bits, weight in the top ``bits``.
``Records``: the column in one, two or four bytes, then the weight in one. Both: ``pointers`` (rows + 1) u16
or u32 by the number of items; columns rise within a row and no weight is zero.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from runtime.encodings.lists import index_dtype
from runtime.encodings.packing import WEIGHT_BITS, fields
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
    require_nonzero,
    require_pointers,
    row_of_items,
    row_pointers,
    spans,
)
from runtime.program import EncodedMatrix

RECORD_WEIGHT_BITS = 8


def word_bits(columns: int, bits: int) -> int:
    """16 or 32, whichever holds a column and a weight; 0 if neither does."""
    needed = (columns - 1).bit_length() + bits
    return 0 if needed > 32 else 16 if needed <= 16 else 32


def _weights(field: NDArray[np.int64], bits: int) -> NDArray[np.int32]:
    if bits == 1:
        return (1 - (field << 1)).astype(np.int32)
    sign = 1 << (bits - 1)
    return ((field ^ sign) - sign).astype(np.int32)


class Packed:
    name = "packed"
    widths = WEIGHT_BITS
    executable = True
    kinds: ClassVar[Mapping[str, Kind]] = {"pointers": Kind.POINTERS, "words": Kind.WEIGHTS}

    def fits(self, sparse: Sparse, bits: int) -> bool:
        return word_bits(sparse.columns, bits) > 0

    def encode(self, sparse: Sparse, bits: int) -> EncodedMatrix:
        width = word_bits(sparse.columns, bits)
        require(width > 0, "packed table", f"{sparse.columns} columns", "a word of 32 bits to hold one")
        word = sparse.column | fields(sparse.weight, bits) << (width - bits)
        arrays: dict[str, NDArray[np.generic]] = {
            "pointers": row_pointers(sparse.per_row),
            "words": word.astype(f"<u{width // 8}"),
        }
        return EncodedMatrix(self.name, sparse.rows, sparse.columns, bits, arrays)

    def parts(self, table: EncodedMatrix) -> Iterator[Entries]:
        for first, until in spans(table.arrays["words"].size, part_size(table.arrays)):
            yield self._read(table.arrays, table.columns, table.bits, first, until)

    def size(self, sparse: Sparse, bits: int) -> Size:
        item = word_bits(sparse.columns, bits) // 8
        return Size(weights=item * sparse.nonzeros, pointers=pointers_bytes(sparse.rows, sparse.nonzeros))

    def check(self, arrays: Arrays, rows: int, columns: int, bits: int) -> None:
        require_dimensions(rows, columns)
        width, items = word_bits(columns, bits), arrays["words"].size
        require(width > 0, "packed table", f"{columns} columns", "a word of 32 bits to hold one")
        require_array(arrays, "words", f"<u{width // 8}", items)
        require_pointers(arrays, rows, items)
        check_items(partial(self._read, arrays, columns, bits), items, columns, size=part_size(arrays))

    def _read(self, arrays: Arrays, columns: int, bits: int, first: int, until: int) -> Entries:
        shift = word_bits(columns, bits) - bits
        word = arrays["words"][first:until].astype(np.int64)
        row = row_of_items(arrays["pointers"], first, until)
        return Entries(row, word & ((1 << shift) - 1), _weights(word >> shift, bits))


class Records:
    name = "records"
    widths = WEIGHT_BITS
    executable = True
    kinds: ClassVar[Mapping[str, Kind]] = {"pointers": Kind.POINTERS, "records": Kind.WEIGHTS}

    def fits(self, sparse: Sparse, bits: int) -> bool:
        return True

    def encode(self, sparse: Sparse, bits: int) -> EncodedMatrix:
        fields(sparse.weight, bits)
        index = sparse.column.astype(index_dtype(sparse.columns))
        parts = (
            index.view(np.uint8).reshape(index.size, index.itemsize),
            sparse.weight.astype(np.int8).view(np.uint8),
        )
        arrays: dict[str, NDArray[np.generic]] = {
            "pointers": row_pointers(sparse.per_row),
            "records": np.concatenate([parts[0], parts[1][:, None]], axis=1).ravel(),
        }
        return EncodedMatrix(self.name, sparse.rows, sparse.columns, bits, arrays)

    def parts(self, table: EncodedMatrix) -> Iterator[Entries]:
        items = table.arrays["records"].size // (index_dtype(table.columns).itemsize + 1)
        for first, until in spans(items, part_size(table.arrays)):
            yield self._read(table.arrays, table.columns, table.bits, first, until)

    def size(self, sparse: Sparse, bits: int) -> Size:
        item = index_dtype(sparse.columns).itemsize + 1
        return Size(weights=item * sparse.nonzeros, pointers=pointers_bytes(sparse.rows, sparse.nonzeros))

    def check(self, arrays: Arrays, rows: int, columns: int, bits: int) -> None:
        require_dimensions(rows, columns)
        item = index_dtype(columns).itemsize + 1
        items = arrays["records"].size // item
        require_array(arrays, "records", "u1", items * item)
        require_pointers(arrays, rows, items)
        check_items(partial(self._read, arrays, columns, bits), items, columns, size=part_size(arrays))

    def _read(self, arrays: Arrays, columns: int, bits: int, first: int, until: int) -> Entries:
        """Refuses a weight beyond ``bits`` bits: a record has eight for any."""
        index = index_dtype(columns)
        record = arrays["records"].view(np.uint8).reshape(-1, index.itemsize + 1)[first:until]
        column = np.ascontiguousarray(record[:, :-1]).view(index).ravel().astype(np.int64)
        weight = np.ascontiguousarray(record[:, -1]).view(np.int8).astype(np.int32)
        require_nonzero(weight)
        fields(weight, bits)
        return Entries(row_of_items(arrays["pointers"], first, until), column, weight)
