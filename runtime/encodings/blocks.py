"""Blocks along the output: 4, 8 or 16 neighboring outputs share one index; zeros inside a block are stored.

Column ``o * taps + t`` is output o through kernel cell t (``taps`` 1 for a linear table). Block
``t * ceil(outputs / size) + g`` holds outputs ``g * size`` up to ``(g + 1) * size`` of cell t; outputs beyond
the table are stored as zeros. ``taps`` u4 (1); ``pointers`` (rows + 1) u16 or u32 by the number of blocks;
``indices`` u8, u16 or u32 by the number of blocks a row could have, rising within a row; ``weights`` one
stream with ``size`` items a block, not all zero.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from runtime.encodings.lists import index_dtype
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
    require_rising,
    require_stream,
    row_of_items,
    row_pointers,
    spans,
)
from runtime.program import EncodedMatrix

Ints = NDArray[np.int64]


def per_tap(columns: int, taps: int, block: int) -> int:
    """Blocks that cover the outputs of one kernel cell."""
    return -(-(columns // taps) // block)


class Blocks:
    widths = WEIGHT_BITS - {1}
    executable = True
    kinds: ClassVar[Mapping[str, Kind]] = {
        "taps": Kind.POINTERS,
        "pointers": Kind.POINTERS,
        "indices": Kind.INDICES,
        "weights": Kind.WEIGHTS,
    }

    def __init__(self, block: int) -> None:
        self.block = block
        self.name = f"blocks{block}"

    def fits(self, sparse: Sparse, bits: int) -> bool:
        return True

    def encode(self, sparse: Sparse, bits: int) -> EncodedMatrix:
        key, inside, total = self._keys(sparse)
        found, place = np.unique(key, return_inverse=True)
        weights = np.zeros(found.size * self.block, np.int32)
        weights[place * self.block + inside] = sparse.weight
        arrays: dict[str, NDArray[np.generic]] = {
            "taps": np.array([sparse.taps], "<u4"),
            "pointers": row_pointers(np.bincount(found // total, minlength=sparse.rows)),
            "indices": (found % total).astype(index_dtype(total)),
            "weights": pack(weights, bits),
        }
        return EncodedMatrix(self.name, sparse.rows, sparse.columns, bits, arrays)

    def parts(self, table: EncodedMatrix) -> Iterator[Entries]:
        """Within a row by kernel cell, then by output."""
        for first, until in self._spans(table.arrays):
            row, column, weight = self._stored(table.arrays, table.columns, table.bits, first, until)
            kept = np.flatnonzero(weight)
            yield Entries(row[kept], column[kept], weight[kept])

    def size(self, sparse: Sparse, bits: int) -> Size:
        key, _, total = self._keys(sparse)
        rising = key if sparse.taps == 1 else np.sort(key)
        found = int(np.count_nonzero(np.diff(rising, prepend=-1)))
        return Size(
            weights=packed_bytes(found * self.block, bits),
            indices=found * index_dtype(total).itemsize,
            pointers=4 + pointers_bytes(sparse.rows, found),
        )

    def check(self, arrays: Arrays, rows: int, columns: int, bits: int) -> None:
        require_dimensions(rows, columns)
        require_array(arrays, "taps", "<u4", 1)
        taps, items = int(arrays["taps"][0]), arrays["indices"].size
        require(taps > 0 and columns % taps == 0, "taps", str(taps), f"a divisor of {columns} columns")
        total = taps * per_tap(columns, taps, self.block)
        require_array(arrays, "indices", index_dtype(total).str, items)
        require_pointers(arrays, rows, items)
        require_stream(arrays, items * self.block, bits)
        for first, until in self._spans(arrays):
            before = max(first - 1, 0)
            block = arrays["indices"][before:until].astype(np.int64)
            row = row_of_items(arrays["pointers"], before, until)
            require_rising(Entries(row, block, np.zeros(0, np.int32)), total, "indices")
            _, column, weight = self._stored(arrays, columns, bits, first, until)
            beyond = bool(np.any(weight[column >= columns]))
            require(not beyond, "weights", "outputs beyond the table", "zeros there")
            used = weight.reshape(-1, self.block).any(axis=1)
            require(bool(used.all()), "weights", "a block of zeros", "a nonzero in each")

    def _spans(self, arrays: Arrays) -> Iterator[tuple[int, int]]:
        return spans(arrays["indices"].size, part_size(arrays) // self.block)

    def _keys(self, sparse: Sparse) -> tuple[Ints, Ints, int]:
        """Of every nonzero: row and block as one number, place in the block; and the blocks of a row."""
        output = sparse.column // sparse.taps
        tap = sparse.column - output * sparse.taps
        each = per_tap(sparse.columns, sparse.taps, self.block)
        group = output // self.block
        total = each * sparse.taps
        return sparse.row * total + tap * each + group, output - group * self.block, total

    def _stored(
        self, arrays: Arrays, columns: int, bits: int, first: int, until: int
    ) -> tuple[Ints, Ints, NDArray[np.int32]]:
        """Row, column and weight of everything in some blocks, zeros included."""
        taps = int(arrays["taps"][0])
        each = per_tap(columns, taps, self.block)
        block = arrays["indices"][first:until].astype(np.int64)
        output = (block % each * self.block)[:, None] + np.arange(self.block)
        column = output * taps + (block // each)[:, None]
        weight = unpack(arrays["weights"].view(np.uint8), column.size, bits, first * self.block)
        row = row_of_items(arrays["pointers"], first, until)
        return np.repeat(row, self.block), column.ravel(), weight
