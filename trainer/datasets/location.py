"""Finds a data set's files below ``--data-dir`` or SPIKEPRESS_DATA, or says what is missing."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.errors import DataError

VARIABLE = "SPIKEPRESS_DATA"


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
            return {key: stored[key] for key in keys}
    except (zipfile.BadZipFile, zlib.error, ValueError, OSError, EOFError, TypeError) as problem:
        raise DataError(f"{path}: found a damaged file ({problem}), expected NPZ arrays") from problem


def slices(offsets: NDArray[Any], length: int, path: Path) -> list[slice]:
    """One slice a recording from an offset array (n + 1,), checked against the packed ``length``."""
    if offsets.ndim != 1 or len(offsets) < 2 or offsets[0] != 0 or offsets[-1] != length:
        raise DataError(f"{path}: found offsets that do not span 0..{length}, expected them to")
    if (np.diff(offsets) < 0).any():
        raise DataError(f"{path}: found decreasing offsets, expected increasing ones")
    return [slice(a, b) for a, b in pairwise(offsets.tolist())]
