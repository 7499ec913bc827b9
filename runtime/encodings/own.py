"""Encodings of a user's own: code that the user names, never code that a file names.

A part has ``name``; ``widths``, the bits that its weights may have; ``kinds``, its arrays by name, each
"weights", "indices" or "pointers"; ``encode(matrix, bits)``, which gives these arrays (one axis each) for a
(rows, columns) matrix of whole numbers; and ``decode(arrays, rows, columns, bits)``, which gives it back. It
is for storage: a table is expanded before it runs, and a file whose bytes are not those that ``encode`` gives
for what ``decode`` found is refused.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from importlib import metadata
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.encodings.packing import WEIGHT_BITS
from runtime.encodings.registry import ENCODINGS
from runtime.encodings.sparse import Sparse
from runtime.encodings.table import Arrays, Encoding, Entries, Kind, Size, require, require_dimensions, spans
from runtime.errors import ConfigError, ModelError
from runtime.plugins import GROUPS, imported, is_place, made
from runtime.program import EncodedMatrix

VARIABLE = "SPIKEPRESS_ENCODINGS"
"""Places of encodings, ``module:NAME`` with commas between, that files may name."""
NAME = re.compile(r"[a-z][a-z0-9_.-]{0,30}")
TYPES = frozenset({"u1", "u2", "u4", "i1", "i2", "i4"})
MAX_CELLS = 1 << 26
PART = 1 << 15
OURS = frozenset(ENCODINGS)


class Own:
    """A user's part as an ``Encoding``: each of its answers is checked before anything else sees it."""

    executable = False

    def __init__(self, key: str, part: Any) -> None:
        self.part = made(key, part)
        self.name = str(getattr(self.part, "name", ""))
        if not NAME.fullmatch(self.name) or self.name in OURS:
            raise ConfigError(f"{key}: found the name {self.name!r}, expected a short one that is not ours")
        try:
            self.widths = frozenset(self.part.widths)
            kinds = dict(self.part.kinds)
            self.kinds: Mapping[str, Kind] = {str(name): Kind(kind) for name, kind in kinds.items()}
        except (AttributeError, TypeError, ValueError) as error:
            raise ConfigError(f"{key}: found no widths or kinds, expected both ({error})") from error
        if not self.kinds or not self.widths or not self.widths <= WEIGHT_BITS:
            known = sorted(WEIGHT_BITS)
            raise ConfigError(
                f"{key}: found {self.kinds}, {set(self.widths)}, expected some, widths of {known}"
            )

    def fits(self, sparse: Sparse, bits: int) -> bool:
        return bool(sparse.rows * sparse.columns <= MAX_CELLS)

    def encode(self, sparse: Sparse, bits: int) -> EncodedMatrix:
        require(self.fits(sparse, bits), f"{self.name} table", "too many cells", f"at most {MAX_CELLS}")
        arrays = self._encoded(sparse.matrix, bits)
        again = self._decoded(arrays, sparse.rows, sparse.columns, bits)
        require(np.array_equal(again, sparse.matrix), f"{self.name} table", "other weights back", "the same")
        return EncodedMatrix(self.name, sparse.rows, sparse.columns, bits, arrays)

    def parts(self, table: EncodedMatrix) -> Iterator[Entries]:
        found = Sparse(self._decoded(table.arrays, table.rows, table.columns, table.bits))
        for first, until in spans(found.nonzeros, PART):
            one = slice(first, until)
            yield Entries(found.row[one], found.column[one], found.weight[one])

    def size(self, sparse: Sparse, bits: int) -> Size:
        """By coding it."""
        stored = dict.fromkeys(Kind, 0)
        for name, array in self._encoded(sparse.matrix, bits).items():
            stored[self.kinds[name]] += array.nbytes
        return Size(stored[Kind.WEIGHTS], stored[Kind.INDICES], stored[Kind.POINTERS])

    def check(self, arrays: Arrays, rows: int, columns: int, bits: int) -> None:
        require_dimensions(rows, columns)
        require(rows * columns <= MAX_CELLS, f"{self.name} table", "too many cells", f"at most {MAX_CELLS}")
        again = self._encoded(self._decoded(arrays, rows, columns, bits), bits)
        same = all(
            again[name].dtype == arrays[name].dtype and np.array_equal(again[name], arrays[name])
            for name in self.kinds
        )
        require(same, f"{self.name} table", "bytes of its own", "those that its weights are encoded as")

    def _encoded(self, matrix: NDArray[np.int32], bits: int) -> dict[str, NDArray[np.generic]]:
        given = matrix.copy()
        found = self._asked(lambda: self.part.encode(given, bits))
        right = isinstance(found, dict) and set(found) == set(self.kinds)
        require(right, f"{self.name} encode", "no such arrays", f"{', '.join(self.kinds)}")
        arrays = {name: np.ascontiguousarray(found[name]) for name in self.kinds}
        for name, array in arrays.items():
            plain = array.ndim == 1 and f"{array.dtype.kind}{array.dtype.itemsize}" in TYPES
            require(
                plain,
                f"{self.name} array {name}",
                f"{array.dtype} of shape {array.shape}",
                "one axis of integers",
            )
        return arrays

    def _decoded(self, arrays: Arrays, rows: int, columns: int, bits: int) -> NDArray[np.int32]:
        given = {name: arrays[name].copy() for name in self.kinds}
        found = self._asked(lambda: self.part.decode(given, rows, columns, bits))
        matrix = np.asarray(found)
        right = matrix.shape == (rows, columns) and matrix.dtype.kind in "iu"
        require(
            right, f"{self.name} decode", f"{matrix.dtype} of shape {matrix.shape}", f"({rows}, {columns})"
        )
        lowest, highest = (-1, 1) if bits == 1 else (-(1 << (bits - 1)), (1 << (bits - 1)) - 1)
        inside = lowest <= int(matrix.min()) and int(matrix.max()) <= highest
        require(inside, f"{self.name} decode", "weights beyond their width", f"{lowest} to {highest}")
        return np.ascontiguousarray(matrix, np.int32)

    def _asked(self, ask: Any) -> Any:
        try:
            return ask()
        except Exception as error:
            # a user's code, on bytes that nobody vouches for
            said = " ".join(str(error).split())[:200]
            raise ModelError(
                f"{self.name} table: found {type(error).__name__} ({said}), expected none"
            ) from error


def named(key: str, name: str) -> str:
    """The name of an encoding that a user asked for: ours, an installed one's, or that at ``module:NAME``.

    Raises ConfigError naming ``key`` where there is none.
    """
    if is_place(name):
        return _admitted(Own(key, imported(key, name))).name
    if not known(name):
        raise ConfigError(
            f"{key}: found {name!r}, expected one of {', '.join(sorted(ENCODINGS))} or module:NAME"
        )
    return name


def known(name: str) -> bool:
    """Whether a file may name this encoding: one of ours, of an installed package, or of ``VARIABLE``."""
    if name in ENCODINGS:
        return True
    for point in metadata.entry_points(group=GROUPS["encoding"]):
        if point.name == name:
            _admitted(Own(f"entry point {name}", imported(f"entry point {name}", point.value)))
    for place in filter(None, os.environ.get(VARIABLE, "").split(",")):
        _admitted(Own(VARIABLE, imported(VARIABLE, place.strip())))
    return name in ENCODINGS


def _admitted(own: Own) -> Encoding:
    ENCODINGS[own.name] = own
    return own
