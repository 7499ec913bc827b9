"""What all encodings share: the nonzero entries of a table, its size by kind, and checks of stored arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
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
Unsigned = NDArray[np.unsignedinteger[Any]]
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

    def parts(self, table: EncodedMatrix) -> Iterator[Entries]:
        """The nonzeros of a sound table, row by row, a part of bounded size at a time."""
        ...

    def size(self, sparse: Sparse, bits: int) -> Size: ...

    def check(self, arrays: Arrays, rows: int, columns: int, bits: int) -> None:
        """Refuse arrays from which a kernel could read or write out of bounds, or that are not canonical."""
        ...


LEAST_PART, MOST_PART = 1 << 10, 1 << 15


def part_size(arrays: Arrays) -> int:
    """Items to look at together: with up to a hundred bytes each on the way, fewer than the table has."""
    stored = sum(array.nbytes for array in arrays.values())
    return min(max(stored >> 7, LEAST_PART), MOST_PART)


def spans(items: int, size: int) -> Iterator[tuple[int, int]]:
    """``items`` in spans (first, until) of at most ``size``."""
    return ((first, min(first + size, items)) for first in range(0, items, size))


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


def row_of_items(pointers: NDArray[np.generic], first: int, until: int) -> NDArray[np.int64]:
    """The row of every stored item from ``first`` to ``until``: (until - first,)."""
    # of the pointers' own type, which would else be copied whole
    items = np.arange(first, until).astype(pointers.dtype)
    return np.searchsorted(pointers, items, side="right").astype(np.int64) - 1


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
    pointers: Unsigned = arrays["pointers"]  # type: ignore[assignment]  # as just required
    rising = pointers[0] == 0 and pointers[-1] == items and bool(np.all(pointers[1:] >= pointers[:-1]))
    require(rising, "pointers", "values out of order", f"rising from 0 to {items}")


def require_rising(found: Entries, columns: int, subject: str) -> None:
    """Columns lie inside the table and rise within every row."""
    column = found.column
    require(not np.any(column >= columns), subject, "a column outside the table", f"below {columns}")
    rising = not np.any((np.diff(found.row) == 0) & (np.diff(column) <= 0))
    require(rising, subject, "columns out of order in a row", "each column once, rising")


def check_items(read: Callable[[int, int], Entries], items: int, columns: int, *, size: int) -> None:
    """Of items that ``read`` gives from one to another: columns rise within a row, no weight is zero.

    Every part begins with the last item of the one before it.
    """
    for first, until in spans(items, size):
        found = read(max(first - 1, 0), until)
        require_nonzero(found.weight)
        require_rising(found, columns, "indices")


def require_nonzero(weights: NDArray[np.int32]) -> None:
    zeros = int(np.count_nonzero(weights == 0))
    require(zeros == 0, "weights", f"{zeros} stored zeros", "none in a sparse table")
