"""Graphs survive a file unchanged; damaged and hostile files are refused in one sentence."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exporter import graph_file
from exporter.graph import Graph
from exporter.passes import drop_dead
from runtime.errors import FormatError, SpikepressError
from tests.builders.graphs import CASES, real, whole
from tests.exporter.test_passes import deadened


def same(first: Any, second: Any) -> bool:
    if isinstance(first, np.ndarray):
        return first.dtype == second.dtype and np.array_equal(first, second)
    if is_dataclass(first):
        if type(first) is not type(second):
            return False
        return all(same(getattr(first, f.name), getattr(second, f.name)) for f in fields(first))
    if isinstance(first, tuple):
        return len(first) == len(second) and all(same(a, b) for a, b in zip(first, second, strict=True))
    return bool(first == second)


@pytest.mark.parametrize("case", CASES)
def test_a_graph_survives_its_file(case: str, tmp_path: Path) -> None:
    for graph in (real(case), whole(case), drop_dead(deadened(whole(case), 1))):
        graph_file.save(graph, tmp_path / "graph.npz")
        assert same(graph, graph_file.load(tmp_path / "graph.npz"))


def test_writing_is_deterministic_and_numpy_can_open_the_arrays(tmp_path: Path) -> None:
    for name in ("a.npz", "b.npz"):
        graph_file.save(whole("residual"), tmp_path / name)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    with np.load(tmp_path / "a.npz", allow_pickle=False) as opened:
        assert opened["array_0"].dtype == np.int32


def rewritten(path: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    """The file at ``path`` with its members changed."""
    with zipfile.ZipFile(path) as archive:
        members = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    change(members)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def document(change: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, bytes]], None]:
    def edit(members: dict[str, bytes]) -> None:
        text = json.loads(members["graph.json"])
        change(text)
        members["graph.json"] = json.dumps(text).encode()

    return edit


def _huge(members: dict[str, bytes]) -> None:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        stream, {"descr": "<f8", "fortran_order": False, "shape": (1 << 40, 1 << 20)}
    )
    members["array_0.npy"] = stream.getvalue()


def _pickled(members: dict[str, bytes]) -> None:
    stream = io.BytesIO()
    np.save(stream, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    members["array_0.npy"] = stream.getvalue()


ATTACKS: dict[str, Callable[[dict[str, bytes]], None]] = {
    "no document": lambda members: members.pop("graph.json") and None,
    "not json": lambda members: members.update({"graph.json": b"{"}),
    "deep json": lambda members: members.update({"graph.json": b"[" * 100_000}),
    "a list": lambda members: members.update({"graph.json": b"[]"}),
    "next version": document(lambda text: text.update(version=2)),
    "no graph": document(lambda text: text.pop("graph") and None),
    "unknown kind": document(lambda text: text["graph"]["nodes"][1].update(kind="Popen")),
    "unknown field": document(lambda text: text["graph"]["nodes"][1].update(extra=1)),
    "missing field": document(lambda text: text["graph"]["nodes"][1].pop("weight") and None),
    "missing array": document(lambda text: text["graph"]["nodes"][1].update(weight={"array": "none"})),
    "a word for a number": document(lambda text: text["graph"]["nodes"][1].update(delay="1")),
    "a truth for a number": document(lambda text: text["graph"]["nodes"][1].update(delay=True)),
    "a wrong choice": document(lambda text: text["graph"].update(readout="best")),
    "impossible leak": document(lambda text: text["graph"]["nodes"][2]["model"]["leak"].update(shifts=[99])),
    "unknown source": document(lambda text: text["graph"]["nodes"][1].update(source="nowhere")),
    "huge array": _huge,
    "pickled array": _pickled,
    "short array": lambda members: members.update({"array_0.npy": members["array_0.npy"][:-3]}),
    "no array": lambda members: members.update({"array_0.npy": b"text"}),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_hostile_files_are_refused(attack: str, tmp_path: Path) -> None:
    graph_file.save(whole("linear"), tmp_path / "graph.npz")
    path = rewritten(tmp_path / "graph.npz", ATTACKS[attack])
    with pytest.raises(SpikepressError) as caught:
        graph_file.load(path)
    assert "found" in str(caught.value)


def test_damaged_files_are_refused_or_read_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "graph.npz"
    graph_file.save(whole("linear"), path)
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    for length in rng.integers(0, len(content), 40):
        path.write_bytes(content[:length])
        with pytest.raises(FormatError):
            graph_file.load(path)
    for place in rng.integers(0, len(content), 200):
        flipped = bytearray(content)
        flipped[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(bytes(flipped))
        try:
            found = graph_file.load(path)
        except SpikepressError:
            continue
        assert isinstance(found, Graph)


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="no readable graph file"):
        graph_file.load(tmp_path / "none.npz")
