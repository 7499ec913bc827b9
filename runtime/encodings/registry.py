"""The encodings by name. To add one: write its file, add its line, add it to the shared tests."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from runtime.encodings.bitmap import Bitmap
from runtime.encodings.dense import Dense
from runtime.encodings.diagonal import Diagonal
from runtime.encodings.gaps import Gaps
from runtime.encodings.lists import Lists
from runtime.encodings.table import Encoding, Entries, Size, require, require_dimensions
from runtime.errors import ModelError
from runtime.program import EncodedMatrix

ENCODINGS: dict[str, Encoding] = {
    "dense": Dense(),
    "lists": Lists(),
    "gaps": Gaps(),
    "bitmap": Bitmap(),
    "diagonal": Diagonal(),
}

CANDIDATES = ("dense", "lists", "gaps", "bitmap")
"""Encodings of a full table, fastest first: ``smallest`` takes the first among equals."""

MAX_DECODED = 1 << 28


def encoding_of(name: str, bits: int) -> Encoding:
    """The named encoding, once it is known to exist and to store weights of ``bits`` bits."""
    if name not in ENCODINGS:
        raise ModelError(f"encoding: found {name!r}, expected one of {', '.join(sorted(ENCODINGS))}")
    encoding = ENCODINGS[name]
    if bits not in encoding.widths:
        raise ModelError(f"{name} table: found {bits}-bit weights, expected one of {sorted(encoding.widths)}")
    return encoding


def encode(matrix: ArrayLike, name: str, bits: int) -> EncodedMatrix:
    """``matrix`` (rows, columns) of whole numbers in the named encoding; ModelError if it does not fit."""
    return encoding_of(name, bits).encode(_matrix(matrix), bits)


def entries(table: EncodedMatrix) -> Entries:
    """The nonzero weights of a table, row by row; never larger than the stored arrays allow."""
    return encoding_of(table.encoding, table.bits).entries(table)


def decode(table: EncodedMatrix) -> NDArray[np.int32]:
    """The (rows, columns) matrix of a table. Allocates it in full: for tables of trusted size."""
    area = table.rows * table.columns
    require(area <= MAX_DECODED, "table", f"{area} weights", f"at most {MAX_DECODED} to decode")
    matrix = np.zeros((table.rows, table.columns), np.int32)
    found = entries(table)
    matrix[found.row, found.column] = found.weight
    return matrix


def size(matrix: ArrayLike, name: str, bits: int) -> Size:
    """Exact bytes of the named encoding by kind, without building it."""
    return encoding_of(name, bits).size(_matrix(matrix), bits)


def size_bytes(matrix: ArrayLike, name: str, bits: int) -> int:
    """Exact bytes of the named encoding, without building it."""
    return size(matrix, name, bits).total


def smallest(matrix: ArrayLike, bits: int) -> str:
    """The name of the encoding with the fewest bytes; among equals, the fastest to run."""
    return min(CANDIDATES, key=lambda name: size_bytes(matrix, name, bits))


def check_table(table: EncodedMatrix) -> None:
    """Refuse a table from which a kernel could read or write out of bounds, or with two forms."""
    encoding = encoding_of(table.encoding, table.bits)
    if set(table.arrays) != set(encoding.kinds):
        raise ModelError(
            f"{table.encoding} table: found arrays {sorted(table.arrays)}, expected {sorted(encoding.kinds)}"
        )
    encoding.check(table.arrays, table.rows, table.columns, table.bits)


def _matrix(matrix: ArrayLike) -> NDArray[np.int32]:
    found = np.asarray(matrix)
    if found.ndim != 2 or found.dtype.kind not in "iu":
        raise ModelError(
            f"weights: found {found.dtype.name} of shape {found.shape}, expected integers (rows, columns)"
        )
    require_dimensions(*found.shape)
    if found.size and (found.max() > 0x7FFFFFFF or found.min() < -0x80000000):
        raise ModelError("weights: found values beyond 32 bits, expected at most 16 bits")
    return np.ascontiguousarray(found, np.int32)
