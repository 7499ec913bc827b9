"""Event-camera recordings in HDF5: columns, rows, polarities and times, their sizes checked first."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runtime.errors import DataError
from runtime.rehearsal import rehearse
from trainer.datasets.events import Events, events_of_arrays

if TYPE_CHECKING:
    import h5py

NAMES = (("x", "y", "p", "t"), ("xs", "ys", "ps", "ts"), ("x", "y", "polarity", "timestamp"))
GROUP = "events"
MOST_EVENTS = 1 << 27
MOST_GROWTH = 1100
"""Unpacked over stored bytes of one array: what deflate can do at most is 1,032."""
EXPECTED = "x, y, p and t (or xs, ys, ps, ts), alone, in a group or as fields of an array `events`"


def read_events_hdf5(path: Path) -> Events:
    """The events of an HDF5 file; times in microseconds. Raises DataError for damage and what it lacks.

    The file is read in a forked process first: damaged bytes can make the HDF5 library loop or crash.
    """
    try:
        size = path.stat().st_size
    except OSError as problem:
        raise DataError(f"{path}: found a file that cannot be read ({problem.strerror})") from problem
    broken = rehearse(lambda: _contents(path), size)
    if broken is not None:
        raise DataError(f"{path}: found {broken}, expected an HDF5 file of events")
    return events_of_arrays(_contents(path), str(path))


def _contents(path: Path) -> dict[str, Any]:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            columns = _columns(path, file)
            count = columns["x"].shape[0]
            for name, column in columns.items():
                _check(path, name, column, count)
            return {name: _values(column) for name, column in columns.items()}
    except DataError:
        raise
    except Exception as problem:
        # h5py raises most of Python's exceptions on files that are damaged.
        said = " ".join(str(problem).split())[:200] or type(problem).__name__
        raise DataError(f"{path}: found no readable HDF5 file ({said}), expected one of events") from problem


class _Field:
    """One field of an array of records, as if it were an array."""

    def __init__(self, records: h5py.Dataset, name: str) -> None:
        self.records, self.name = records, name
        self.shape, self.dtype = records.shape, records.dtype[name]


def _columns(path: Path, file: h5py.File) -> Mapping[str, Any]:
    """The four arrays, wherever this file keeps them."""
    import h5py

    inner = file.get(GROUP)
    if isinstance(inner, h5py.Dataset) and inner.dtype.names:
        for names in NAMES:
            if set(names) <= set(inner.dtype.names):
                _check_storage(path, GROUP, inner)
                return dict(zip("xypt", (_Field(inner, name) for name in names), strict=True))
    for group in (inner, file):
        if not isinstance(group, h5py.Group):
            continue
        for names in NAMES:
            if all(isinstance(group.get(name, getlink=True), h5py.HardLink) for name in names):
                return dict(zip("xypt", (group[name] for name in names), strict=True))
    raise DataError(f"{path}: found {sorted(file)[:8]}, expected {EXPECTED}")


def _check(path: Path, name: str, column: Any, count: int) -> None:
    """Refuses an array before any of it is read."""
    import h5py

    if isinstance(column, _Field):
        fits = column.dtype.kind in "iub" and len(column.shape) == 1
    elif isinstance(column, h5py.Dataset):
        fits = column.dtype.kind in "iub" and column.shape == (count,)
        _check_storage(path, name, column)
    else:
        fits = False
    if not fits or count > MOST_EVENTS:
        found = f"{getattr(column, 'shape', 'a group')} {getattr(column, 'dtype', '')}".strip()
        raise DataError(f"{path}: found {name} of {found}, expected {min(count, MOST_EVENTS)} integers")


def _check_storage(path: Path, name: str, data: h5py.Dataset) -> None:
    if data.external or data.is_virtual:
        raise DataError(f"{path}: found {name} kept outside the file, expected the data itself")
    stored = int(data.id.get_storage_size())
    chunk = 0 if data.chunks is None else data.dtype.itemsize
    for side in data.chunks or ():
        chunk *= int(side)
    size = max(int(data.nbytes), chunk)
    if size > 1 << 16 and size > MOST_GROWTH * max(stored, 1):
        raise DataError(f"{path}: found {name} of {size} bytes stored in {stored}, expected the data")


def _values(column: Any) -> Any:
    return column.records.fields(column.name)[:] if isinstance(column, _Field) else column[:]
