"""A diagonal: one weight per channel or per neuron, each neuron to the neuron of the same number.

``weights`` one stream of ``columns`` items of up to 16 bits; the table has one row.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from runtime.encodings.packing import DIAGONAL_BITS, pack, packed_bytes, unpack
from runtime.encodings.table import Arrays, Entries, Kind, Size, require, require_dimensions, require_stream
from runtime.program import EncodedMatrix


class Diagonal:
    name = "diagonal"
    widths = DIAGONAL_BITS
    kinds: ClassVar[Mapping[str, Kind]] = {"weights": Kind.WEIGHTS}

    def encode(self, matrix: NDArray[np.int32], bits: int) -> EncodedMatrix:
        require(matrix.shape[0] == 1, "diagonal table", f"{matrix.shape[0]} rows", "1")
        return EncodedMatrix(
            self.name, matrix.shape[0], matrix.shape[1], bits, {"weights": pack(matrix[0], bits)}
        )

    def entries(self, table: EncodedMatrix) -> Entries:
        values = unpack(table.arrays["weights"].view(np.uint8), table.columns, table.bits)
        column = np.flatnonzero(values)
        return Entries(np.zeros(column.size, np.int64), column, values[column])

    def size(self, matrix: NDArray[np.int32], bits: int) -> Size:
        return Size(weights=packed_bytes(matrix.shape[1], bits))

    def check(self, arrays: Arrays, rows: int, columns: int, bits: int) -> None:
        require_dimensions(rows, columns)
        require(rows == 1, "diagonal table", f"{rows} rows", "1")
        require_stream(arrays, columns, bits)
