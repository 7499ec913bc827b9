"""Rice gaps: rows of (gap in a Rice code, weight in ``bits`` bits), see ``streams``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from runtime.encodings import streams
from runtime.encodings.packing import WEIGHT_BITS, fields
from runtime.encodings.sparse import Sparse
from runtime.encodings.table import Arrays, Entries, Kind, Size
from runtime.program import EncodedMatrix


class Rice:
    name = "rice"
    widths = WEIGHT_BITS
    executable = True
    kinds: ClassVar[Mapping[str, Kind]] = streams.KINDS

    def fits(self, sparse: Sparse, bits: int) -> bool:
        return True

    def encode(self, sparse: Sparse, bits: int) -> EncodedMatrix:
        gaps = streams.rice(sparse, sparse.per_row * bits)
        word = fields(sparse.weight, bits)
        codes = streams.WeightCodes(word, np.full(word.size, bits), {})
        arrays: dict[str, NDArray[np.generic]] = streams.rice_stream(sparse, gaps, codes)
        return EncodedMatrix(self.name, sparse.rows, sparse.columns, bits, arrays)

    def parts(self, table: EncodedMatrix) -> Iterator[Entries]:
        return streams.parts(table, table.bits)

    def size(self, sparse: Sparse, bits: int) -> Size:
        return streams.size(streams.rice(sparse, sparse.per_row * bits))

    def check(self, arrays: Arrays, rows: int, columns: int, bits: int) -> None:
        streams.check_stream(arrays, (rows, columns, bits), range(streams.ROW + 1))
