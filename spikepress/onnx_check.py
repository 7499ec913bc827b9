"""What is wrong with an ONNX file that nobody vouches for: its size, then versions, then ONNX's checker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from runtime.errors import DataError, FormatError
from runtime.rehearsal import rehearse
from spikepress.check_rules import Finding

TARGET = "onnx"
MOST_BYTES = 1 << 26
MOST_MEMORY = 350 << 20
"""What reading and checking may take: a short document can unpack to many objects."""
SMALL = 1 << 20
"""Bytes that unpack to less than that, whatever they are."""
MOST_NODES = 20_000
DEEPEST = 16
"""Graphs within graphs (If, Loop, Scan)."""
NEWEST_IR = 13
OPSETS = range(6, 27)
"""What ONNX Runtime 1.31.1 loads, by trying each."""


def onnx_findings(place: Path) -> tuple[Finding, ...]:
    """All findings. DataError where there is no file, FormatError where it is no ONNX model."""
    if not place.is_file():
        raise DataError(f"{place}: found no such file, expected an ONNX file")
    size = place.stat().st_size
    if not 0 < size <= MOST_BYTES:
        raise FormatError(f"{place}: found {size} bytes, expected 1 to {MOST_BYTES}")
    broken = rehearse(lambda: _rehearsed(place, size), 0, library="ONNX", most_bytes=MOST_MEMORY)
    if broken is not None:
        raise FormatError(f"{place}: found {broken}, expected an ONNX file")
    return _findings(place)


def _rehearsed(place: Path, size: int) -> None:
    """Raises where the parser gave up on a file large enough that memory may have been what it lacked."""
    try:
        _findings(place)
    except FormatError as error:
        if size > SMALL and error.__cause__ is not None:
            raise


def _findings(place: Path) -> tuple[Finding, ...]:
    model = _read(place)
    graphs = list(_graphs(place, model))
    count = sum(len(graph.node) for graph in graphs)
    if not count:
        raise FormatError(f"{place}: found a document without nodes, expected a network")
    if count > MOST_NODES:
        raise FormatError(f"{place}: found {count} nodes, expected at most {MOST_NODES}")
    found = [*_versions(model)]
    for graph in graphs:
        found += [*_outside(graph), *_domains(graph)]
    return tuple(found or _checked(model))


def _read(place: Path) -> Any:
    import onnx

    try:
        return onnx.ModelProto.FromString(place.read_bytes())
    except Exception as error:
        # protobuf raises classes of its own, which differ by its version
        said = _short(error)
        raise FormatError(f"{place}: found no ONNX document ({said}), expected one") from error


def _graphs(place: Path, model: Any) -> Iterator[Any]:
    """The main graph, functions' bodies and all graphs within them."""
    waiting = [(model.graph, 0), *((one, 0) for one in model.functions)]
    while waiting:
        graph, depth = waiting.pop()
        if depth > DEEPEST:
            raise FormatError(f"{place}: found graphs nested more than {DEEPEST} deep, expected fewer")
        yield graph
        for node in graph.node:
            for one in node.attribute:
                inner = ([one.g] if one.HasField("g") else []) + list(one.graphs)
                waiting += [(deeper, depth + 1) for deeper in inner]


def _tensors(graph: Any) -> Iterator[Any]:
    """Every tensor of a graph, those of sparse weights and of attributes too."""
    weights = getattr(graph, "initializer", ())
    sparse = list(getattr(graph, "sparse_initializer", ()))
    yield from weights
    for node in graph.node:
        for one in node.attribute:
            yield from ([one.t] if one.HasField("t") else []) + list(one.tensors)
            sparse += ([one.sparse_tensor] if one.HasField("sparse_tensor") else []) + list(
                one.sparse_tensors
            )
    for both in sparse:
        yield from (both.values, both.indices)


def _outside(graph: Any) -> Iterator[Finding]:
    """Weights that lie in other files: a path of the document's choice is never opened."""
    import onnx

    for tensor in _tensors(graph):
        if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
            yield _finding(
                tensor.name or graph.name or "tensor",
                "weights in the file",
                "weights in another file",
                "save it as one file",
            )


def _versions(model: Any) -> Iterator[Finding]:
    if not 1 <= model.ir_version <= NEWEST_IR:
        rule, remedy = f"IR version 1 to {NEWEST_IR}", "write it with an older version"
        yield _finding("model", rule, str(model.ir_version), remedy)
    opsets = {one.version for one in model.opset_import if one.domain in ("", "ai.onnx")}
    for version in sorted(opsets or {0}):
        if version not in OPSETS:
            rule = f"opset {OPSETS.start} to {OPSETS.stop - 1}"
            remedy = "convert it with onnx.version_converter"
            yield _finding("model", rule, f"opset {version}", remedy)


def _domains(graph: Any) -> Iterator[Finding]:
    for node in graph.node:
        if node.domain not in ("", "ai.onnx"):
            found = f"{node.domain}.{node.op_type}"
            yield _finding(node.name or node.op_type, "standard operators", found, "replace it")


def _checked(model: Any) -> list[Finding]:
    import onnx

    try:
        onnx.checker.check_model(model, full_check=True)
    except MemoryError:
        raise
    except Exception as error:
        # the checker's own classes, and whatever shape inference raises
        return [
            _finding(
                "model", "what the ONNX checker takes", _short(error), "write it again with its own tool"
            )
        ]
    return []


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__


def _finding(node: str, rule: str, found: str, remedy: str) -> Finding:
    return Finding(TARGET, _printed(node), rule, _printed(found), remedy)


def _printed(text: str) -> str:
    """A name of the file's choice on one short line."""
    return " ".join(text.split())[:300]
