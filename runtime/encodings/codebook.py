"""Shared values: Rice gaps, and of each weight its number among the distinct ones; see ``streams``.

``symbols`` i1: the distinct weights, rising. A number takes the bits that the last one needs, none where
there is a single weight.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from runtime.encodings import streams
from runtime.encodings.packing import WEIGHT_BITS
from runtime.encodings.sparse import Sparse
from runtime.encodings.table import Arrays, Entries, Kind, Size, require, require_array
from runtime.program import EncodedMatrix


def index_bits(symbols: int) -> int:
    """Bits of a number below ``symbols``."""
    return max(symbols - 1, 0).bit_length()


class Codebook:
    name = "codebook"
    widths = WEIGHT_BITS
    executable = True
    kinds: ClassVar[Mapping[str, Kind]] = {"symbols": Kind.WEIGHTS, **streams.KINDS}

    def fits(self, sparse: Sparse, bits: int) -> bool:
        return True

    def encode(self, sparse: Sparse, bits: int) -> EncodedMatrix:
        symbols = sparse.symbols[0]
        width = index_bits(symbols.size)
        word = np.searchsorted(symbols, sparse.weight).astype(np.int64)
        stored: dict[str, NDArray[np.generic]] = {"symbols": symbols.astype(np.int8)}
        codes = streams.WeightCodes(word, np.full(word.size, width), stored)
        gaps = streams.rice(sparse, sparse.per_row * width)
        arrays = streams.rice_stream(sparse, gaps, codes)
        return EncodedMatrix(self.name, sparse.rows, sparse.columns, bits, arrays)

    def parts(self, table: EncodedMatrix) -> Iterator[Entries]:
        return streams.parts(table, index_bits(table.arrays["symbols"].size))

    def size(self, sparse: Sparse, bits: int) -> Size:
        symbols = sparse.symbols[0].size
        return streams.size(streams.rice(sparse, sparse.per_row * index_bits(symbols)), symbols)

    def check(self, arrays: Arrays, rows: int, columns: int, bits: int) -> None:
        check_symbols(arrays, bits)
        symbols = arrays["symbols"].astype(np.int64)
        require(not np.any(np.diff(symbols) <= 0), "symbols", "weights out of order", "each once, rising")
        width = index_bits(symbols.size)
        streams.check_stream(arrays, (rows, columns, width), range(streams.ROW + 1))


def check_symbols(arrays: Arrays, bits: int) -> None:
    """Distinct nonzero weights of ``bits`` bits; a table without nonzeros has none."""
    size = arrays["symbols"].size
    require(size < 1 << 8, "symbols", f"{size} weights", "fewer than 256")
    require_array(arrays, "symbols", "i1", size)
    symbols = arrays["symbols"].astype(np.int64)
    lowest, highest = (-1, 1) if bits == 1 else (-(1 << (bits - 1)), (1 << (bits - 1)) - 1)
    inside = not np.any((symbols < lowest) | (symbols > highest) | (symbols == 0))
    require(inside, "symbols", "a zero or a weight too large", f"nonzeros in {lowest}..{highest}")
    empty = arrays["stream"].size == 0
    require(empty == (size == 0), "symbols", f"{size} weights", "none exactly where no weight is stored")
