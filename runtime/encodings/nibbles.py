"""Four-bit gaps: rows of (gap in four bits, weight in ``bits`` bits), see ``streams``.

Code 0..14 is the number of zero columns before the weight that follows; 15 skips 15 columns and no weight
follows. A row ends where fewer than ``4 + bits`` bits are left; they are ones.
(After Han et al. 2016, "EIE", section III, where a filler weight stands behind an escape.)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from runtime.encodings import streams
from runtime.encodings.packing import WEIGHT_BITS, fields, place
from runtime.encodings.sparse import Sparse
from runtime.encodings.table import Arrays, Entries, Kind, Size
from runtime.program import EncodedMatrix

CODE_BITS = 4
ESCAPE = 15


def _gaps(sparse: Sparse, bits: int) -> streams.GapCodes:
    escapes = sparse.row_sums(sparse.skips // ESCAPE)
    row_bits = CODE_BITS * escapes + (CODE_BITS + bits) * sparse.per_row
    return streams.GapCodes(streams.NIBBLE, np.zeros(sparse.rows, np.int64), row_bits)


class Nibbles:
    name = "nibbles"
    widths = WEIGHT_BITS
    executable = True
    kinds: ClassVar[Mapping[str, Kind]] = streams.KINDS

    def fits(self, sparse: Sparse, bits: int) -> bool:
        return True

    def encode(self, sparse: Sparse, bits: int) -> EncodedMatrix:
        gaps = _gaps(sparse, bits)
        start = np.concatenate([[0], np.cumsum(gaps.row_bytes)]) << 3
        escapes = sparse.skips // ESCAPE
        before = sparse.within_rows(CODE_BITS * escapes + CODE_BITS + bits)
        # written inverted: escapes and padding are then zeros, which need no writing
        at = start[sparse.row] + before + CODE_BITS * escapes
        word = (sparse.skips - ESCAPE * escapes) | fields(sparse.weight, bits) << CODE_BITS
        inverted = word ^ ((1 << (CODE_BITS + bits)) - 1)
        stream = ~place(inverted, at, int(start[-1]) >> 3)
        arrays: dict[str, NDArray[np.generic]] = streams.pointers(gaps) | {"stream": stream}
        return EncodedMatrix(self.name, sparse.rows, sparse.columns, bits, arrays)

    def parts(self, table: EncodedMatrix) -> Iterator[Entries]:
        return streams.parts(table, table.bits)

    def size(self, sparse: Sparse, bits: int) -> Size:
        return streams.size(_gaps(sparse, bits))

    def check(self, arrays: Arrays, rows: int, columns: int, bits: int) -> None:
        streams.check_stream(arrays, (rows, columns, bits), range(streams.NIBBLE, streams.NIBBLE + 1))
