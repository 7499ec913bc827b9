"""What a network's weights would take in the formats of others, each by a stated rule."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runtime.encodings import decode
from runtime.program import DiagonalSynapses, Program

Matrix = NDArray[np.int32]
GZIP_LEVEL = 4
"""HDF5's default, which NIR's files are written with."""


@dataclass(frozen=True)
class Format:
    """A format of others: ``rule`` in words, ``bytes`` of one table (rows, columns) of whole weights."""

    name: str
    rule: str
    bytes: Callable[[Matrix], int]


def sizes(program: Program) -> dict[str, int]:
    """Bytes of all tables but identity skips, by format."""
    skips = {p.table for p in program.projections if isinstance(p.synapses, DiagonalSynapses)}
    matrices = [decode(table) for number, table in enumerate(program.tables) if number not in skips]
    return {form.name: sum(form.bytes(matrix) for matrix in matrices) for form in FORMATS}


def _csr(matrix: Matrix) -> int:
    rows, columns = map(int, matrix.shape)
    return _kept(matrix) * (1 + _index(columns, (2, 4))) + 4 * (rows + 1)


def _kept(matrix: Matrix) -> int:
    return int(np.count_nonzero(matrix))


def _tflite(matrix: Matrix) -> int:
    # The matrix is stored by outputs, as a fully connected layer has it.
    inputs, outputs = map(int, matrix.shape)
    kept = _kept(matrix)
    return kept * (1 + _index(inputs, (1, 2, 4))) + (outputs + 1) * _index(kept + 1, (1, 2, 4))


def _index(count: int, widths: Sequence[int]) -> int:
    """Bytes of the narrowest index that tells ``count`` things apart."""
    return next((width for width in widths if count <= 1 << (8 * width)), widths[-1])


FORMATS = (
    Format("dense int8", "a byte for every weight, pruned or not", lambda m: int(m.size)),
    Format(
        "CSR",
        "a byte for a kept weight, 2 for its column (4 above 65,536 columns), 4 for each row's start",
        _csr,
    ),
    Format(
        "ONNX sparse",
        "sparse initializer: a byte for a kept weight, 8 for its index, which must be int64",
        lambda m: 9 * _kept(m),
    ),
    Format(
        "NIR",
        f"float32 for every weight, gzip level {GZIP_LEVEL} as in its HDF5 files, without HDF5's own bytes",
        lambda m: len(zlib.compress(m.astype("<f4").tobytes(), GZIP_LEVEL)),
    ),
    Format(
        "TFLite-style",
        "sparse fully connected: a byte for a kept weight, its index and each row's start in the narrowest of"
        " 8, 16 and 32 bits",
        _tflite,
    ),
)
"""Weights of fewer than eight bits take a byte in all of them."""
