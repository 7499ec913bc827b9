"""For storage only: gaps and weights range-coded under adaptive models, within a percent of their entropy.

``items`` u4 (1): the nonzeros. ``flat`` u1 (1): 1 where weights are coded even, 0 where modeled. ``coded``
u1: the range coder's bytes (see ``runtime/kernels/archive.py``). No row can be read alone: such a table is
expanded before it runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from runtime.encodings.packing import WEIGHT_BITS, fields
from runtime.encodings.sparse import Sparse
from runtime.encodings.table import (
    MAX_ITEMS,
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

BYTES_A_NONZERO, FLUSH = 32, 8
MOST_ITEMS_A_BYTE = 1 << 9

READ = 4
"""Place of the number of bytes read in a kernel's state."""
LOOSE = -4
WRONG = {
    -2: ("a cell outside the table", "all inside"),
    -3: ("a stream that ends early or a zero weight", "whole codes of nonzero weights"),
    LOOSE: ("bytes that no weight needs", "exactly those of its weights"),
}


class Archive:
    name = "archive"
    widths = WEIGHT_BITS
    executable = False
    kinds: ClassVar[Mapping[str, Kind]] = {
        "items": Kind.POINTERS,
        "flat": Kind.POINTERS,
        "coded": Kind.WEIGHTS,
    }

    def fits(self, sparse: Sparse, bits: int) -> bool:
        return True

    def encode(self, sparse: Sparse, bits: int) -> EncodedMatrix:
        modeled, even = (_coded(sparse, bits, flat) for flat in (0, 1))
        flat = int(even.size < modeled.size)
        coded = even if flat else modeled
        # a reader may refuse more nonzeros than this for each byte
        least = -(-sparse.nonzeros // MOST_ITEMS_A_BYTE)
        require(coded.size >= least, "archive table", "next to no entropy", "another encoding for it")
        arrays: dict[str, NDArray[np.generic]] = {
            "items": np.array([sparse.nonzeros], "<u4"),
            "flat": np.array([flat], np.uint8),
            "coded": coded,
        }
        return EncodedMatrix(self.name, sparse.rows, sparse.columns, bits, arrays)

    def parts(self, table: EncodedMatrix) -> Iterator[Entries]:
        return _decoded(table.arrays, table.rows, table.columns, table.bits)

    def size(self, sparse: Sparse, bits: int) -> Size:
        """By coding it: there is no formula."""
        return Size(weights=min(_coded(sparse, bits, flat).size for flat in (0, 1)), pointers=5)

    def check(self, arrays: Arrays, rows: int, columns: int, bits: int) -> None:
        require_dimensions(rows, columns)
        require_array(arrays, "items", "<u4", 1)
        require_array(arrays, "flat", "u1", 1)
        require_array(arrays, "coded", "u1", arrays["coded"].size)
        items, length = int(arrays["items"][0]), arrays["coded"].size
        most = min(MAX_ITEMS - 1, rows * columns, length * MOST_ITEMS_A_BYTE)
        require(items <= most, "items", str(items), f"at most {most} in this table and stream")
        require(int(arrays["flat"][0]) < 2, "flat", str(int(arrays["flat"][0])), "0 or 1")
        for _ in _decoded(arrays, rows, columns, bits):
            pass


def _scratch() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    from runtime.kernels.archive import MODELS, STATE

    return np.zeros(STATE, np.int64), np.zeros(2 * MODELS, np.int64)


def _coded(sparse: Sparse, bits: int, flat: int) -> NDArray[np.uint8]:
    from runtime.kernels.archive import encode

    write: Callable[..., int] = encode
    cell = sparse.row * sparse.columns + sparse.column
    gaps = np.diff(cell, prepend=-1) - 1
    out = np.zeros(BYTES_A_NONZERO * gaps.size + FLUSH, np.uint8)
    length = write(gaps, fields(sparse.weight, bits), bits, flat, *_scratch(), out)
    return out[1:length].copy()


def _decoded(arrays: Arrays, rows: int, columns: int, bits: int) -> Iterator[Entries]:
    """The nonzeros, a part at a time; ModelError where the stream breaks or goes on behind the last."""
    from runtime.kernels.archive import begin, decode

    start: Callable[..., None] = begin
    read: Callable[..., int] = decode
    coded, flat, scratch = arrays["coded"], int(arrays["flat"][0]), _scratch()
    start(coded, *scratch)
    size = part_size(arrays)
    room = [np.empty(size, np.int32) for _ in range(3)]
    for first, until in spans(int(arrays["items"][0]), size):
        wrong = read(coded, until - first, rows, columns, bits, flat, *scratch, *room)
        if wrong:
            require(False, "coded", *WRONG[wrong])
        yield Entries(*(column[: until - first].copy() for column in room))
    require(int(scratch[0][READ]) == coded.size, "coded", *WRONG[LOOSE])
