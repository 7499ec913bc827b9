"""Dense rows: every weight stored, each row starting on a byte.

``weights`` is u8 of ``rows * ceil(columns * bits / 8)`` bytes: the rows' streams (see ``packing``) in order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from runtime.encodings.packing import WEIGHT_BITS, pack_rows, packed_bytes, unpack, unpack_rows
from runtime.encodings.sparse import Sparse
from runtime.encodings.table import (
    Arrays,
    Entries,
    Kind,
    Size,
    part_size,
    require,
    require_array,
    require_dimensions,
    spans,
)
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

    def parts(self, table: EncodedMatrix) -> Iterator[Entries]:
        streams = table.arrays["weights"].view(np.uint8).reshape(table.rows, -1)
        size, columns, bits = part_size(table.arrays), table.columns, table.bits
        if columns > size:
            for number, stream in enumerate(streams):
                for first, until in spans(columns, size):
                    yield _nonzeros(unpack(stream, until - first, bits, first)[None], number, first)
            return
        for first, until in spans(table.rows, size // columns):
            yield _nonzeros(unpack_rows(streams[first:until], columns, bits), first, 0)

    def size(self, sparse: Sparse, bits: int) -> Size:
        return Size(weights=sparse.rows * packed_bytes(sparse.columns, bits))

    def check(self, arrays: Arrays, rows: int, columns: int, bits: int) -> None:
        require_dimensions(rows, columns)
        row_bytes = packed_bytes(columns, bits)
        require_array(arrays, "weights", "u1", rows * row_bytes)
        used = (columns * bits) % 8
        last = arrays["weights"].view(np.uint8)[row_bytes - 1 :: row_bytes]
        require(used == 0 or not np.any(last >> used), "weights", "padding bits set", "zero")


def _nonzeros(values: NDArray[np.int32], first_row: int, first_column: int) -> Entries:
    row, column = np.nonzero(values)
    return Entries(row + first_row, column + first_column, values[row, column])
