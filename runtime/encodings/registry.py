"""The encodings by name. To add one: write its file, add its line, add it to the shared tests."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from runtime.encodings.archive import Archive
from runtime.encodings.bitmap import Bitmap
from runtime.encodings.blocks import Blocks
from runtime.encodings.codebook import Codebook
from runtime.encodings.dense import Dense
from runtime.encodings.diagonal import Diagonal
from runtime.encodings.gaps import Gaps
from runtime.encodings.huffman import Huffman
from runtime.encodings.lists import Lists
from runtime.encodings.nibbles import Nibbles
from runtime.encodings.rice import Rice
from runtime.encodings.signs import Signs
from runtime.encodings.sparse import Sparse
from runtime.encodings.table import Encoding, Entries, Size, require, require_dimensions
from runtime.encodings.words import Packed, Records
from runtime.errors import ModelError
from runtime.program import EncodedMatrix

ENCODINGS: dict[str, Encoding] = {
    "dense": Dense(),
    "lists": Lists(),
    "gaps": Gaps(),
    "bitmap": Bitmap(),
    "rice": Rice(),
    "nibbles": Nibbles(),
    "codebook": Codebook(),
    "huffman": Huffman(),
    "packed": Packed(),
    "records": Records(),
    "signs": Signs(),
    "blocks4": Blocks(4),
    "blocks8": Blocks(8),
    "blocks16": Blocks(16),
    "archive": Archive(),
    "diagonal": Diagonal(),
}

CANDIDATES = (
    "dense",
    "lists",
    "packed",
    "records",
    "gaps",
    "blocks16",
    "blocks8",
    "blocks4",
    "bitmap",
    "nibbles",
    "rice",
    "codebook",
    "huffman",
)
"""Encodings that run a table of any weights of 2, 3, 4 or 8 bits, fastest first: ``smallest`` takes the first
among equals. ``signs`` is tried first where every weight is a sign."""

MAX_DECODED = 1 << 28


def encoding_of(name: str, bits: int) -> Encoding:
    """The named encoding, once it is known to exist and to store weights of ``bits`` bits."""
    if name not in ENCODINGS:
        raise ModelError(f"encoding: found {name!r}, expected one of {', '.join(sorted(ENCODINGS))}")
    encoding = ENCODINGS[name]
    if bits not in encoding.widths:
        raise ModelError(f"{name} table: found {bits}-bit weights, expected one of {sorted(encoding.widths)}")
    return encoding


def encode(matrix: ArrayLike, name: str, bits: int, *, taps: int = 1) -> EncodedMatrix:
    """``matrix`` (rows, columns) of whole numbers in the named encoding; ModelError if it does not fit.

    ``taps``: kernel cells of a convolution's table, for encodings that keep output channels together.
    """
    return encode_sparse(sparse_of(matrix, taps), name, bits)


def encode_sparse(sparse: Sparse, name: str, bits: int) -> EncodedMatrix:
    """As ``encode``, of a matrix seen before."""
    return encoding_of(name, bits).encode(sparse, bits)


def parts(table: EncodedMatrix) -> Iterator[Entries]:
    """The nonzero weights of a sound table, row by row, in parts that take less room than the table."""
    return encoding_of(table.encoding, table.bits).parts(table)


def nonzeros(table: EncodedMatrix) -> int:
    """How many weights of a sound table are not zero."""
    return sum(part.weight.size for part in parts(table))


def decode(table: EncodedMatrix) -> NDArray[np.int32]:
    """The (rows, columns) matrix of a table. Allocates it in full: for tables of trusted size."""
    area = table.rows * table.columns
    require(area <= MAX_DECODED, "table", f"{area} weights", f"at most {MAX_DECODED} to decode")
    matrix = np.zeros((table.rows, table.columns), np.int32)
    for part in parts(table):
        matrix[part.row, part.column] = part.weight
    return matrix


def size(matrix: ArrayLike, name: str, bits: int, *, taps: int = 1) -> Size:
    """Exact bytes of the named encoding by kind, without building it."""
    return encoding_of(name, bits).size(sparse_of(matrix, taps), bits)


def size_bytes(matrix: ArrayLike, name: str, bits: int, *, taps: int = 1) -> int:
    """Exact bytes of the named encoding, without building it."""
    return size(matrix, name, bits, taps=taps).total


def sizes(sparse: Sparse, bits: int) -> dict[str, int]:
    """Exact bytes of every encoding that runs as stored and can hold this table, fastest first."""
    able = (name for name in ("signs", *CANDIDATES) if bits in ENCODINGS[name].widths)
    return {
        name: ENCODINGS[name].size(sparse, bits).total for name in able if ENCODINGS[name].fits(sparse, bits)
    }


def smallest(matrix: ArrayLike, bits: int, *, taps: int = 1) -> str:
    """The name of the encoding with the fewest bytes; among equals, the fastest to run."""
    found = sizes(sparse_of(matrix, taps), bits)
    if not found:
        raise ModelError(f"weights: found {bits} bits, expected a width that some encoding stores")
    return min(found, key=lambda name: found[name])


def check_table(table: EncodedMatrix) -> None:
    """Refuse a table from which a kernel could read or write out of bounds, or with two forms."""
    encoding = encoding_of(table.encoding, table.bits)
    if set(table.arrays) != set(encoding.kinds):
        raise ModelError(
            f"{table.encoding} table: found arrays {sorted(table.arrays)}, expected {sorted(encoding.kinds)}"
        )
    encoding.check(table.arrays, table.rows, table.columns, table.bits)


def sparse_of(matrix: ArrayLike, taps: int = 1) -> Sparse:
    """A matrix seen once, if it is one of whole numbers."""
    found = np.asarray(matrix)
    if found.ndim != 2 or found.dtype.kind not in "iu":
        raise ModelError(
            f"weights: found {found.dtype.name} of shape {found.shape}, expected integers (rows, columns)"
        )
    require_dimensions(*found.shape)
    if found.size and (found.max() > 0x7FFFFFFF or found.min() < -0x80000000):
        raise ModelError("weights: found values beyond 32 bits, expected at most 16 bits")
    require(found.shape[1] % taps == 0, "taps", str(taps), f"a divisor of {found.shape[1]} columns")
    return Sparse(np.ascontiguousarray(found, np.int32), taps)
