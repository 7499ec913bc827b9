"""Dense rows: every weight stored, each row starting on a byte.

``weights`` is u8 of ``rows * ceil(columns * bits / 8)`` bytes: the rows' streams (see ``packing``) in order.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from runtime.encodings.packing import WEIGHT_BITS, pack_rows, packed_bytes, unpack
from runtime.encodings.sparse import Sparse
from runtime.encodings.table import Arrays, Entries, Kind, Size, require, require_array, require_dimensions
from runtime.program import EncodedMatrix


class Dense:
    name = "dense"
    widths = WEIGHT_BITS
    executable = True
    kinds: ClassVar[Mapping[str, Kind]] = {"weights": Kind.WEIGHTS}

    def fits(self, sparse: Sparse, bits: int) -> bool:
        return bits > 1 or sparse.nonzeros == sparse.matrix.size

    def encode(self, sparse: Sparse, bits: int) -> EncodedMatrix:
        arrays = {"weights": pack_rows(sparse.matrix, bits).ravel()}
        return EncodedMatrix(self.name, sparse.rows, sparse.columns, bits, arrays)

    def entries(self, table: EncodedMatrix) -> Entries:
        row_bytes = packed_bytes(table.columns, table.bits)
        stream = table.arrays["weights"].view(np.uint8).reshape(table.rows, row_bytes)
        per_row = row_bytes * 8 // table.bits
        if (row_bytes * 8) % table.bits == 0:
            values = unpack(stream.ravel(), table.rows * per_row, table.bits)
            values = values.reshape(table.rows, per_row)[:, : table.columns]
        else:
            values = np.stack([unpack(row, table.columns, table.bits) for row in stream])
        row, column = np.nonzero(values)
        return Entries(row, column, values[row, column])

    def size(self, sparse: Sparse, bits: int) -> Size:
        return Size(weights=sparse.rows * packed_bytes(sparse.columns, bits))

    def check(self, arrays: Arrays, rows: int, columns: int, bits: int) -> None:
        require_dimensions(rows, columns)
        row_bytes = packed_bytes(columns, bits)
        require_array(arrays, "weights", "u1", rows * row_bytes)
        used = (columns * bits) % 8
        last = arrays["weights"].view(np.uint8)[row_bytes - 1 :: row_bytes]
        require(used == 0 or not np.any(last >> used), "weights", "padding bits set", "zero")
