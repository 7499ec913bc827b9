"""Stores a graph as ``.npz``: one JSON text for the nodes, one ``.npy`` member for each array, no pickle.

The members can be opened with ``numpy.load``. Writing is deterministic. Loading trusts nothing: sizes are
checked before anything is allocated, classes and fields are those of ``exporter.graph`` or refused.
"""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporter.check import check
from exporter.files import write_whole
from exporter.graph import Graph
from exporter.graph_text import Reader, plain
from runtime.errors import FormatError

VERSION = 1
DOCUMENT = "graph.json"
MOST_BYTES = 1 << 30
"""All members together, unpacked; larger files are refused."""
MOST_MEMBERS = 10_000
EPOCH = (1980, 1, 1, 0, 0, 0)
DTYPES = ("<f8", "<i4", "<i8")


def save(graph: Graph, path: str | Path) -> None:
    """Write ``graph`` to ``path`` under a temporary name, then rename it."""
    arrays: dict[str, NDArray[Any]] = {}
    document = {"version": VERSION, "graph": plain(graph, arrays)}
    text = json.dumps(document, indent=1, sort_keys=True).encode()
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo(DOCUMENT, EPOCH), text)
        for name, array in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, array, version=(1, 0), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", EPOCH), member.getvalue())
    write_whole(path, stream.getvalue())


def load(path: str | Path) -> Graph:
    """Read a graph; ``FormatError`` names what is wrong with a damaged or foreign file."""
    name = str(path)
    try:
        with zipfile.ZipFile(path) as archive:
            members = _members(archive, name)
            document = json.loads(members.pop(DOCUMENT).decode())
    except (OSError, zipfile.BadZipFile, KeyError, ValueError, RecursionError, NotImplementedError) as error:
        raise FormatError(f"{name}: found no readable graph file ({error}), expected one") from error
    if not isinstance(document, dict) or document.get("version") != VERSION:
        found = document.get("version") if isinstance(document, dict) else type(document).__name__
        raise FormatError(f"{name}: found graph file version {found!r}, expected {VERSION}")
    arrays = {key.removesuffix(".npy"): _array(key, content) for key, content in members.items()}
    graph = Reader(arrays).typed(document.get("graph"), Graph, "graph")
    assert isinstance(graph, Graph)
    check(graph)
    return graph


def _members(archive: zipfile.ZipFile, name: str) -> dict[str, bytes]:
    entries = archive.infolist()
    total = sum(entry.file_size for entry in entries)
    if len(entries) > MOST_MEMBERS or total > MOST_BYTES:
        raise FormatError(
            f"{name}: found {len(entries)} members of {total} bytes, expected at most "
            f"{MOST_MEMBERS} and {MOST_BYTES}"
        )
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise FormatError(f"{name}: found a compressed member, expected stored members only")
    return {entry.filename: archive.read(entry) for entry in entries}


def _array(key: str, content: bytes) -> NDArray[Any]:
    """The array of one member whose header agrees with its length."""
    stream = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(stream)
        if version != (1, 0):
            raise ValueError(f"header version {version}")
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
    except ValueError as error:
        raise FormatError(f"{key}: found no array header ({error}), expected one") from error
    count = 1
    for side in shape:
        count *= side
    left = len(content) - stream.tell()
    if fortran or dtype.str not in DTYPES or count * dtype.itemsize != left:
        raise FormatError(
            f"{key}: found {dtype.str} of shape {shape} in {left} bytes, expected one of {DTYPES} in C order"
        )
    return np.frombuffer(content, dtype, count, stream.tell()).reshape(shape).copy()
