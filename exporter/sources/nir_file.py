"""Opens a NIR file that nobody vouches for: sizes, counts and links are checked before anything is read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np

from exporter.sources.nir_revisions import MOST_NODES, revised
from runtime.errors import DataError, FormatError
from runtime.rehearsal import rehearse

MOST_BYTES = 1 << 30
"""All arrays together, unpacked; also at most ``MOST_TIMES`` the file, or ``SMALL``."""
SMALL = 1 << 26
MOST_TIMES = 32
MOST_GROWTH = 1100
"""Unpacked over stored bytes of one array: what deflate can do at most is 1,032."""
MOST_OBJECTS = 8_000
MOST_EDGES = 8_000
MOST_TEXT = 1 << 22
"""Bytes of all strings: many entries may point at one long text."""
DEEPEST = 64


def read_file(path: str | Path) -> nir.NIRGraph:
    """The file's graph, its types unchecked; ``FormatError`` names what is wrong with the file,
    ``DataError`` one that is not there."""
    place = Path(path)
    if not place.is_file():
        raise DataError(f"{place}: found no such file, expected a NIR file")
    broken = rehearse(lambda: _contents(place), place.stat().st_size)
    if broken is not None:
        raise FormatError(f"{place}: found {broken}, expected a NIR file")
    try:
        found = nir.dict2NIRNode(revised(_contents(place)))
    except FormatError as error:
        raise FormatError(f"{place}: {error}") from error
    except RecursionError as error:
        raise FormatError(f"{place}: found groups nested too deep, expected a NIR file") from error
    except Exception as error:
        # h5py and nir raise most of Python's exceptions, asserts among them, on files that are damaged.
        said = " ".join(str(error).split())[:200] or type(error).__name__
        raise FormatError(f"{place}: found no readable NIR file ({said}), expected one") from error
    if not isinstance(found, nir.NIRGraph):
        raise FormatError(f"{place}: found a {type(found).__name__}, expected a NIRGraph")
    return found


def _contents(place: Path) -> dict[str, Any]:
    with h5py.File(place, "r") as file:
        return _Reading(place).group(file["node"])


@dataclass
class _Reading:
    """What has been read of a file so far, against what may be."""

    place: Path
    objects: int = 0
    size: int = 0
    text: int = 0

    def __post_init__(self) -> None:
        self.stored = self.place.stat().st_size
        self.most = min(MOST_BYTES, max(SMALL, MOST_TIMES * self.stored))

    def group(self, group: h5py.Group, depth: int = 0) -> dict[str, Any]:
        """A group as nested dictionaries of arrays, numbers and texts."""
        if depth > DEEPEST:
            raise FormatError(f"found groups nested more than {DEEPEST} deep, expected fewer")
        if group.name.endswith("/nodes") and len(group) > MOST_NODES:
            raise FormatError(f"found {len(group)} nodes, expected at most {MOST_NODES}")
        found: dict[str, Any] = {}
        for name in group:
            self.objects += 1
            if self.objects > MOST_OBJECTS:
                raise FormatError(f"found more than {MOST_OBJECTS} objects, expected fewer")
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise FormatError(f"found a link at {name!r}, expected the data itself")
            item = group[name]
            if isinstance(item, h5py.Group):
                found[name] = self.group(item, depth + 1)
            elif isinstance(item, h5py.Dataset):
                found[name] = self.array(name, item)
            else:
                raise FormatError(f"found a {type(item).__name__} at {name!r}, expected an array")
        return found

    def array(self, name: str, item: h5py.Dataset) -> Any:
        """One array, its size checked first."""
        if item.external or item.is_virtual:
            raise FormatError(f"found {name!r} kept outside the file, expected the data itself")
        size, stored = int(item.nbytes), int(item.id.get_storage_size())
        if size > 1 << 16 and size > MOST_GROWTH * max(stored, 1):
            raise FormatError(f"found {name!r} of {size} bytes stored in {stored}, expected the data")
        self.size += size + _chunk(item)
        if self.size > self.most:
            raise FormatError(f"found over {self.most} bytes of arrays, expected fewer")
        if h5py.check_string_dtype(item.dtype) is not None:
            return self.words(name, item)
        if item.dtype.kind not in "fiub":
            raise FormatError(f"found {name!r} of {item.dtype}, expected numbers or text")
        return item[()]

    def words(self, name: str, item: h5py.Dataset) -> Any:
        """A text, or the (edges, 2) array of names."""
        if item.shape == ():
            return self._counted(name, item[()])
        if len(item.shape) != 2 or item.shape[1] != 2 or item.shape[0] > MOST_EDGES:
            raise FormatError(
                f"found texts {name!r} of shape {item.shape}, expected up to {MOST_EDGES} pairs"
            )
        return [
            (self._counted(name, a), self._counted(name, b))
            for row in range(item.shape[0])
            for a, b in (item[row],)
        ]

    def _counted(self, name: str, text: Any) -> str:
        self.text += len(text)
        if self.text > MOST_TEXT:
            raise FormatError(f"found over {MOST_TEXT} bytes of text at {name!r}, expected fewer")
        return text.decode() if isinstance(text, bytes) else str(text)


def _chunk(item: h5py.Dataset) -> int:
    """Bytes that one stored chunk unpacks to, where an array is stored in chunks."""
    return (
        0 if item.chunks is None else int(np.prod(item.chunks, dtype=np.float64)) * int(item.dtype.itemsize)
    )
