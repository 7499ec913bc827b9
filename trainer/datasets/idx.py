"""Reads the idx format of the MNIST family, plain or gzipped."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from runtime.errors import DataError

UINT8 = 0x08


def read_idx(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """The array of an idx file of unsigned bytes with the given number of dimensions.

    Layout: two zero bytes, type, number of dimensions, big-endian 32-bit sizes, then the values.
    """
    data = read_bytes(path)
    header = 4 + 4 * dimensions
    if len(data) < header:
        raise DataError(f"{path}: found {len(data)} bytes, expected an idx header of {header}")
    if data[:4] != bytes((0, 0, UINT8, dimensions)):
        raise DataError(
            f"{path}: found magic number {data[:4].hex()}, expected 000008{dimensions:02x} (idx of bytes)"
        )
    shape = tuple(int(size) for size in np.frombuffer(data, ">u4", dimensions, 4))
    if len(data) != header + math.prod(shape):
        raise DataError(
            f"{path}: found {len(data) - header} values, expected {math.prod(shape)} for shape {shape}"
        )
    return np.frombuffer(data, np.uint8, offset=header).reshape(shape)


def read_bytes(path: Path) -> bytes:
    """The file's bytes, unpacked where its name ends in ``.gz``."""
    try:
        return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as problem:
        raise DataError(
            f"{path}: found a file that cannot be read ({problem}), expected idx data"
        ) from problem
