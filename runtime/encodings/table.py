"""What all encodings share: the nonzero entries of a table, its size by kind, and checks of stored arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from runtime.encodings.packing import packed_bytes, padding_is_zero
from runtime.encodings.sparse import Sparse
from runtime.errors import ModelError
from runtime.program import EncodedMatrix

Numbers = NDArray[np.signedinteger[Any]]
Arrays = Mapping[str, NDArray[np.generic]]

MAX_ITEMS = 1 << 30
"""Rows, columns and stored items of one table stay below this, so that kernels index it in int64 freely."""


class Kind(Enum):
    """What a stored byte is for: the lines of the footprint."""

    WEIGHTS = "weights"
    INDICES = "indices"
    POINTERS = "pointers"


@dataclass(frozen=True)
class Size:
    """Bytes of a stored table by kind."""

    weights: int = 0
    indices: int = 0
    pointers: int = 0

    @property
    def total(self) -> int:
        return self.weights + self.indices + self.pointers


@dataclass(frozen=True)
class Entries:
    """The nonzero weights of a table, row by row: ``row``, ``column`` and ``weight`` of shape (entries,)."""

    row: Numbers
    column: Numbers
    weight: NDArray[np.int32]


class Encoding(Protocol):
    """One way to store a (rows, columns) table."""

    @property
    def name(self) -> str: ...

    @property
    def widths(self) -> frozenset[int]:
        """Bits a stored weight may have."""
        ...

    @property
    def kinds(self) -> Mapping[str, Kind]:
        """The stored arrays, in the order in which a file holds them."""
        ...

    @property
    def executable(self) -> bool:
        """Whether a kernel runs it as stored, row by row; else it is for storage and expanded at load."""
        ...

    def fits(self, sparse: Sparse, bits: int) -> bool:
        """Whether it can hold a table at all, whatever its size."""
        ...

    def encode(self, sparse: Sparse, bits: int) -> EncodedMatrix: ...

    def entries(self, table: EncodedMatrix) -> Entries: ...

    def size(self, sparse: Sparse, bits: int) -> Size: ...

    def check(self, arrays: Arrays, rows: int, columns: int, bits: int) -> None:
        """Refuse arrays from which a kernel could read or write out of bounds, or that are not canonical."""
        ...


def pointer_dtype(items: int) -> np.dtype[np.generic]:
    """The narrowest unsigned type that counts to ``items``."""
    return np.dtype("<u2") if items < 1 << 16 else np.dtype("<u4")


def row_pointers(per_row: NDArray[np.int64]) -> NDArray[np.generic]:
    """Start of every row and the end of the last: (rows + 1,)."""
    ends = np.cumsum(per_row)
    items = int(ends[-1]) if ends.size else 0
    return np.concatenate([[0], ends]).astype(pointer_dtype(items))


def pointers_bytes(rows: int, items: int) -> int:
    return (rows + 1) * pointer_dtype(items).itemsize


def row_of_items(pointers: NDArray[np.generic]) -> NDArray[np.int64]:
    """The row of every stored item: (items,)."""
    ends = pointers.astype(np.int64)
    per_row = ends[1:] - ends[:-1]
    return np.repeat(np.arange(per_row.size), per_row)


def require(found: bool, subject: str, what: str, expected: str) -> None:
    """One sentence when a stored table is not what its encoding promises."""
    if not found:
        raise ModelError(f"{subject}: found {what}, expected {expected}")


def require_array(arrays: Arrays, name: str, dtype: str, length: int) -> None:
    """``arrays[name]`` is a contiguous vector of this type and length."""
    array = arrays[name]
    require(
        array.ndim == 1
        and array.dtype == np.dtype(dtype)
        and array.size == length
        and array.flags.c_contiguous
        and array.flags.aligned,
        f"table array {name}",
        f"{array.dtype.name} of shape {array.shape}",
        f"contiguous {np.dtype(dtype).name} of shape ({length},)",
    )


def require_dimensions(rows: int, columns: int) -> None:
    in_range = 1 <= rows < MAX_ITEMS and 1 <= columns < MAX_ITEMS
    require(in_range, "table", f"{rows} x {columns}", f"each side in 1..{MAX_ITEMS - 1}")


def require_stream(arrays: Arrays, count: int, bits: int) -> None:
    """``arrays["weights"]`` is a canonical stream of ``count`` items."""
    require_array(arrays, "weights", "u1", packed_bytes(count, bits))
    stream = arrays["weights"].view(np.uint8)
    require(padding_is_zero(stream, count, bits), "weights", "padding bits set", "zero")


def require_pointers(arrays: Arrays, rows: int, items: int) -> None:
    """``arrays["pointers"]`` rises from 0 to ``items`` over ``rows`` rows."""
    require(items < MAX_ITEMS, "table", f"{items} stored items", f"fewer than {MAX_ITEMS}")
    require_array(arrays, "pointers", pointer_dtype(items).str, rows + 1)
    pointers = arrays["pointers"].astype(np.int64)
    rising = pointers[0] == 0 and pointers[-1] == items and bool(np.all(np.diff(pointers) >= 0))
    require(rising, "pointers", "values out of order", f"rising from 0 to {items}")


def require_rising(found: Entries, columns: int, subject: str) -> None:
    """Columns lie inside the table and rise within every row."""
    column = found.column
    require(not np.any(column >= columns), subject, "a column outside the table", f"below {columns}")
    rising = not np.any((np.diff(found.row) == 0) & (np.diff(column) <= 0))
    require(rising, subject, "columns out of order in a row", "each column once, rising")


def require_nonzero(weights: NDArray[np.int32]) -> None:
    zeros = int(np.count_nonzero(weights == 0))
    require(zeros == 0, "weights", f"{zeros} stored zeros", "none in a sparse table")
