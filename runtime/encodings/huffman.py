"""Entropy-coded values: Rice gaps and weights in a canonical Huffman code; see ``streams``.

``counts`` u1: how many codes have 1, 2, ... bits, up to the longest (at most 15); ``symbols`` i1: the
distinct weights, by the length of their code, then by value. Codes are numbered as in RFC 1951, section
3.2.2, and stand in the stream from their first bit on. A single weight takes no code: then ``counts`` is
empty.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from runtime.encodings import streams
from runtime.encodings.codebook import check_symbols
from runtime.encodings.packing import WEIGHT_BITS
from runtime.encodings.sparse import Sparse
from runtime.encodings.table import Arrays, Entries, Kind, Size, require, require_array
from runtime.program import EncodedMatrix

Ints = NDArray[np.int64]
LONGEST = 15


def code_lengths(counts: Ints) -> Ints:
    """Bits of each symbol's code, at most ``LONGEST``; rare symbols count for more until that holds."""
    if counts.size < 2:
        return np.zeros(counts.size, np.int64)
    while True:
        lengths = _unlimited(counts)
        if lengths.max() <= LONGEST:
            return lengths
        counts = (counts >> 1) + 1


def _unlimited(counts: Ints) -> Ints:
    """Huffman 1952: join the two rarest until one is left."""
    heap = [(int(count), number, [number]) for number, count in enumerate(counts)]
    heapq.heapify(heap)
    lengths = np.zeros(counts.size, np.int64)
    ticket = counts.size
    while len(heap) > 1:
        one, other = heapq.heappop(heap), heapq.heappop(heap)
        members = one[2] + other[2]
        lengths[members] += 1
        heapq.heappush(heap, (one[0] + other[0], ticket, members))
        ticket += 1
    return lengths


def canonical(lengths: Ints) -> tuple[Ints, Ints]:
    """The symbols' order, by length then value, and the code of each in that order, first bit lowest."""
    order = np.lexsort((np.arange(lengths.size), lengths))
    words = np.zeros(lengths.size, np.int64)
    code, before = 0, 0
    for place, length in enumerate(lengths[order].tolist()):
        code <<= length - before
        words[place] = int(f"{code:0{length}b}"[::-1], 2) if length else 0
        code, before = code + 1, length
    return order, words


class Huffman:
    name = "huffman"
    widths = WEIGHT_BITS
    executable = True
    kinds: ClassVar[Mapping[str, Kind]] = {
        "counts": Kind.POINTERS,
        "symbols": Kind.WEIGHTS,
        **streams.KINDS,
    }

    def fits(self, sparse: Sparse, bits: int) -> bool:
        return True

    def encode(self, sparse: Sparse, bits: int) -> EncodedMatrix:
        symbols, often = sparse.symbols
        lengths = code_lengths(often)
        order, words = canonical(lengths)
        number = np.searchsorted(symbols, sparse.weight)
        word = np.empty_like(words)
        word[order] = words
        stored: dict[str, NDArray[np.generic]] = {
            "counts": np.bincount(lengths, minlength=1)[1:].astype(np.uint8),
            "symbols": symbols[order].astype(np.int8),
        }
        codes = streams.WeightCodes(word[number], lengths[number], stored)
        gaps = streams.rice(sparse, sparse.row_sums(codes.length))
        arrays = streams.rice_stream(sparse, gaps, codes)
        return EncodedMatrix(self.name, sparse.rows, sparse.columns, bits, arrays)

    def parts(self, table: EncodedMatrix) -> Iterator[Entries]:
        return streams.parts(table, 0)

    def size(self, sparse: Sparse, bits: int) -> Size:
        symbols, often = sparse.symbols
        lengths = code_lengths(often)
        used = sparse.row_sums(lengths[np.searchsorted(symbols, sparse.weight)])
        found = streams.size(streams.rice(sparse, used), symbols.size)
        return Size(found.weights, 0, found.pointers + int(lengths.max(initial=0)))

    def check(self, arrays: Arrays, rows: int, columns: int, bits: int) -> None:
        check_symbols(arrays, bits)
        length = arrays["counts"].size
        require(length <= LONGEST, "counts", f"codes of {length} bits", f"at most {LONGEST}")
        require_array(arrays, "counts", "u1", length)
        _check_code(arrays["counts"].astype(np.int64), arrays["symbols"].astype(np.int64))
        streams.check_stream(arrays, (rows, columns, 0), range(streams.ROW + 1))


def _check_code(counts: Ints, symbols: Ints) -> None:
    """The code is complete, its symbols are distinct and in order."""
    if symbols.size < 2:
        require(counts.size == 0, "counts", "codes for one weight", "none")
        return
    used = int((counts << (LONGEST - 1 - np.arange(counts.size))).sum())
    whole = used == 1 << LONGEST and int(counts.sum()) == symbols.size and counts[-1] > 0
    require(whole, "counts", "an incomplete code", "one code for each weight, all used up")
    length = np.repeat(np.arange(counts.size), counts)
    rising = not np.any((np.diff(length) == 0) & (np.diff(symbols) <= 0))
    once = np.unique(symbols).size == symbols.size
    require(rising and once, "symbols", "weights out of order", "each once, by code length, then rising")
