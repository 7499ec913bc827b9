"""Opens a NIR file that nobody vouches for: sizes, counts and links are checked before anything is read."""

from __future__ import annotations

from pathlib import Path

import h5py
import nir

from runtime.errors import DataError, FormatError

MOST_BYTES = 1 << 30
"""All arrays together, unpacked."""
MOST_GROWTH = 1100
"""Unpacked over stored bytes: what deflate can do at most is 1,032."""
MOST_OBJECTS = 100_000
DEEPEST = 64


def read_file(path: str | Path) -> nir.NIRGraph:
    """The file's graph, its types unchecked; ``FormatError`` names what is wrong with the file,
    ``DataError`` one that is not there."""
    place = Path(path)
    if not place.is_file():
        raise DataError(f"{place}: found no such file, expected a NIR file")
    try:
        with h5py.File(place, "r") as file:
            _check_sizes(file, place)
        found = nir.read(place, type_check=False)
    except FormatError:
        raise
    except RecursionError as error:
        raise FormatError(f"{place}: found groups nested too deep, expected a NIR file") from error
    except Exception as error:
        # h5py and nir raise most of Python's exceptions, asserts among them, on files that are damaged.
        said = " ".join(str(error).split())[:200] or type(error).__name__
        raise FormatError(f"{place}: found no readable NIR file ({said}), expected one") from error
    if not isinstance(found, nir.NIRGraph):
        raise FormatError(f"{place}: found a {type(found).__name__}, expected a NIRGraph")
    return found


def _check_sizes(file: h5py.File, place: Path) -> None:
    """Walks the file without reading a value."""
    waiting, objects, total = [(file, 0)], 0, 0
    while waiting:
        group, depth = waiting.pop()
        if depth > DEEPEST:
            raise FormatError(f"{place}: found groups nested more than {DEEPEST} deep, expected fewer")
        for name in group:
            objects += 1
            if objects > MOST_OBJECTS:
                raise FormatError(f"{place}: found more than {MOST_OBJECTS} objects, expected fewer")
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise FormatError(f"{place}: found a link at {name!r}, expected the data itself")
            item = group[name]
            if isinstance(item, h5py.Group):
                waiting.append((item, depth + 1))
            elif isinstance(item, h5py.Dataset):
                total += _size(item, place)
                if total > MOST_BYTES:
                    raise FormatError(f"{place}: found over {MOST_BYTES} bytes of arrays, expected fewer")
            else:
                raise FormatError(f"{place}: found a {type(item).__name__} at {name!r}, expected an array")


def _size(item: h5py.Dataset, place: Path) -> int:
    """Bytes of an array; refused where they stand in other files or nearly nowhere."""
    if item.external or item.is_virtual:
        raise FormatError(f"{place}: found an array kept outside the file, expected the data itself")
    size, stored = int(item.nbytes), int(item.id.get_storage_size())
    if size > 1 << 16 and size > MOST_GROWTH * max(stored, 1):
        raise FormatError(f"{place}: found an array of {size} bytes stored in {stored}, expected the data")
    return size
