"""A diagonal: one weight per channel or per neuron, each neuron to the neuron of the same number.

``weights`` one stream of ``columns`` items of up to 16 bits; the table has one row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

import numpy as np

from runtime.encodings.packing import DIAGONAL_BITS, pack, packed_bytes, unpack
from runtime.encodings.sparse import Sparse
from runtime.encodings.table import (
    Arrays,
    Entries,
    Kind,
    Size,
    part_size,
    require,
    require_dimensions,
    require_stream,
    spans,
)
from runtime.program import EncodedMatrix


class Diagonal:
    name = "diagonal"
    widths = DIAGONAL_BITS
    executable = True
    kinds: ClassVar[Mapping[str, Kind]] = {"weights": Kind.WEIGHTS}

    def fits(self, sparse: Sparse, bits: int) -> bool:
        return bool(sparse.rows == 1)

    def encode(self, sparse: Sparse, bits: int) -> EncodedMatrix:
        require(sparse.rows == 1, "diagonal table", f"{sparse.rows} rows", "1")
        return EncodedMatrix(
            self.name, sparse.rows, sparse.columns, bits, {"weights": pack(sparse.matrix[0], bits)}
        )

    def parts(self, table: EncodedMatrix) -> Iterator[Entries]:
        for first, until in spans(table.columns, part_size(table.arrays)):
            values = unpack(table.arrays["weights"].view(np.uint8), until - first, table.bits, first)
            column = np.flatnonzero(values)
            yield Entries(np.zeros(column.size, np.int64), column + first, values[column])

    def size(self, sparse: Sparse, bits: int) -> Size:
        return Size(weights=packed_bytes(sparse.columns, bits))

    def check(self, arrays: Arrays, rows: int, columns: int, bits: int) -> None:
        require_dimensions(rows, columns)
        require(rows == 1, "diagonal table", f"{rows} rows", "1")
        require_stream(arrays, columns, bits)
