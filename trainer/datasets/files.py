"""One user file as an array or events, by its ending: NPZ, CSV, WAV, N-MNIST .bin, Prophesee .dat, HDF5."""

from __future__ import annotations

import csv
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.errors import DataError
from trainer.datasets.events import Events, read_dat, read_events_npz, read_nmnist_bin
from trainer.datasets.events_hdf5 import read_events_hdf5
from trainer.datasets.location import read_npz

EVENT_READERS = {
    ".bin": read_nmnist_bin,
    ".dat": read_dat,
    ".npz": read_events_npz,
    ".h5": read_events_hdf5,
    ".hdf5": read_events_hdf5,
}
EVENT_KEYS = {"x.npy", "y.npy", "p.npy", "t.npy"}
ENDINGS = (".npz", ".csv", ".wav", ".bin", ".dat", ".h5", ".hdf5")


def kind_of(path: Path) -> str:
    """``array``, ``wav`` or ``events``; raises DataError on another ending."""
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise DataError(f"{path}: found the ending {ending!r}, expected one of {', '.join(ENDINGS)}")
    if ending == ".wav":
        return "wav"
    if ending in (".bin", ".dat", ".h5", ".hdf5") or (ending == ".npz" and holds_events(path)):
        return "events"
    return "array"


def holds_events(path: Path) -> bool:
    """Whether an NPZ file has the four arrays of an event recording."""
    try:
        with zipfile.ZipFile(path) as file:
            return set(file.namelist()) >= EVENT_KEYS
    except (zipfile.BadZipFile, OSError) as problem:
        raise DataError(f"{path}: found a damaged file ({problem}), expected NPZ arrays") from problem


def read_event_file(path: Path) -> Events:
    """The events of one recording."""
    return EVENT_READERS[path.suffix.lower()](path)


def read_array(path: Path) -> NDArray[Any]:
    """The numbers of one sample: the array ``x`` of an NPZ file, or the rows and columns of a CSV file."""
    x = read_csv(path) if path.suffix.lower() == ".csv" else read_npz(path, ("x",))["x"]
    if x.dtype.kind not in "iubf" or x.ndim == 0 or x.size == 0:
        raise DataError(f"{path}: found x of {x.shape} {x.dtype}, expected an array of numbers")
    bad = np.argwhere(~np.isfinite(x))
    if len(bad):
        place = [int(number) for number in bad[0]]
        raise DataError(f"{path}: found {x[tuple(bad[0])]} at {place}, expected finite numbers")
    return x


def read_csv(path: Path) -> NDArray[np.float64]:
    """The numbers (rows, columns) of a CSV file; a first row of names is passed over."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = [row for row in csv.reader(file) if row]
    except (csv.Error, UnicodeDecodeError, OSError) as problem:
        raise DataError(f"{path}: found a malformed table ({problem}), expected UTF-8 CSV") from problem
    skipped = 1 if rows and all(number_of(cell) is None for cell in rows[0]) else 0
    values = []
    for line, row in enumerate(rows[skipped:], skipped + 1):
        if len(row) != len(rows[0]):
            raise DataError(f"{path}, row {line}: found {len(row)} columns, expected {len(rows[0])}")
        numbers = [number_of(cell) for cell in row]
        if None in numbers:
            raise DataError(f"{path}, row {line}: found {row[numbers.index(None)]!r}, expected a number")
        values.append(numbers)
    return np.array(values, dtype=np.float64)


def number_of(cell: str) -> float | None:
    """The number in a cell, or None."""
    try:
        return float(cell)
    except ValueError:
        return None
