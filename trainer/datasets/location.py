"""Finds a data set's files below ``--data-dir`` or SPIKEPRESS_DATA, or says what is missing."""

from __future__ import annotations

import math
import os
import zipfile
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from runtime.errors import DataError

VARIABLE = "SPIKEPRESS_DATA"
MOST_BYTES = 1 << 32
"""Of the arrays of one NPZ file together, unpacked."""


def data_root(data_dir: Path | None, name: str, origin: str) -> Path:
    """The folder that holds data sets: ``data_dir``, else what SPIKEPRESS_DATA names."""
    if data_dir is None:
        named = os.environ.get(VARIABLE, "")
        if not named:
            raise DataError(
                f"{name}: found no data folder, expected --data-dir or {VARIABLE} to name the folder that "
                f"holds {origin}"
            )
        data_dir = Path(named)
    if not data_dir.is_dir():
        raise DataError(f"{name}: found no folder {data_dir}, expected the folder that holds {origin}")
    return data_dir


def first_existing(root: Path, candidates: Sequence[str]) -> Path | None:
    """The first of ``candidates`` that exists below ``root``, or None."""
    return next((root / c for c in candidates if (root / c).exists()), None)


def find(root: Path, candidates: Sequence[str], name: str, origin: str) -> Path:
    """The first of ``candidates`` below ``root``; raises DataError that names what was looked for."""
    found = first_existing(root, candidates)
    if found is None:
        raise DataError(
            f"{name}: found no file {' or '.join(candidates)} in {root}, expected the files of {origin}"
        )
    return found


def read_npz(path: Path, keys: Sequence[str]) -> dict[str, NDArray[Any]]:
    """The named arrays of an NPZ file, each decompressed once; or DataError on damage."""
    try:
        # opened here: numpy leaves the file open when the archive is damaged
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            missing = [key for key in keys if key not in stored.files]
            if missing:
                raise DataError(
                    f"{path}: found arrays {stored.files}, expected one named {missing[0]!r} among them"
                )
            _check_sizes(path, keys)
            return {key: stored[key] for key in keys}
    except DataError:
        raise
    except Exception as problem:
        # zipfile, zlib and numpy raise most of Python's exceptions on files that are damaged.
        raise DataError(f"{path}: found a damaged file ({problem}), expected NPZ arrays") from problem


def _check_sizes(path: Path, keys: Sequence[str]) -> None:
    """Refuses arrays that are larger than what is stored of them, or too large, before any is read."""
    total = 0
    with zipfile.ZipFile(path) as archive:
        for key in keys:
            member = archive.getinfo(f"{key}.npy")
            with archive.open(member) as file:
                shape, dtype = _head(file)
                body = member.file_size - file.tell()
            size = math.prod(shape) * dtype.itemsize
            total += size
            if size != body or total > MOST_BYTES:
                raise DataError(
                    f"{path}: found {key!r} of {size} bytes where {body} are stored, expected as many,"
                    f" at most {MOST_BYTES}"
                )


def _head(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and type that an array's header names."""
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    if dtype.hasobject:
        raise ValueError("objects")
    return shape, dtype


def slices(offsets: NDArray[Any], length: int, path: Path) -> list[slice]:
    """One slice a recording from an offset array (n + 1,), checked against the packed ``length``."""
    if offsets.ndim != 1 or len(offsets) < 2 or offsets[0] != 0 or offsets[-1] != length:
        raise DataError(f"{path}: found offsets that do not span 0..{length}, expected them to")
    if (np.diff(offsets) < 0).any():
        raise DataError(f"{path}: found decreasing offsets, expected increasing ones")
    return [slice(a, b) for a, b in pairwise(offsets.tolist())]
