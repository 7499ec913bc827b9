"""What changed between two runs: configuration, masks, widths, encodings."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from exporter import graph_file
from exporter.graph import Graph, Scale, Synapse
from exporter.wiring import synapses
from runtime.program import Program
from spikepress.rundir import RunDirectory


@dataclass(frozen=True)
class Difference:
    """One thing that is not the same: ``before`` and ``after`` in words, "-" where there is none."""

    what: str
    before: str
    after: str


@dataclass(frozen=True)
class MaskChange:
    """One layer's surviving weights in two networks of the same shape; ``both`` survive in each of them."""

    layer: str
    weights: int
    before: int
    after: int
    both: int
    """Survivors the two share."""
    moved: int
    """Of those, how many have another whole value."""


@dataclass(frozen=True)
class Changes:
    config: tuple[Difference, ...]
    layers: tuple[Difference, ...]
    """Widths, encodings and sizes of layers."""
    masks: tuple[MaskChange, ...]
    """Of layers whose shape before neurons were dropped is the same in both."""

    def as_json(self) -> dict[str, object]:
        return asdict(self)


def changes(one: tuple[RunDirectory, Program], other: tuple[RunDirectory, Program]) -> Changes:
    """What changed from ``one`` to ``other``, as far as their folders tell."""
    (before, first), (after, second) = one, other
    return Changes(
        tuple(_differing(_config(before.config), _config(after.config))),
        tuple(_differing(_layers(first), _layers(second))),
        tuple(_masks(before, after)),
    )


def _differing(before: Mapping[str, object], after: Mapping[str, object]) -> Iterator[Difference]:
    for key in dict.fromkeys([*before, *after]):
        values = [str(side[key]) if key in side else "-" for side in (before, after)]
        if values[0] != values[1]:
            yield Difference(key, *values)


def _config(path: Path) -> dict[str, object]:
    """The values of a configuration by dotted key; a list's entries by number."""
    if not path.exists():
        return {}
    return dict(_flat(tomllib.loads(path.read_text(encoding="utf-8")), ""))


def _flat(values: Any, name: str) -> Iterator[tuple[str, object]]:
    if isinstance(values, dict):
        for key, value in values.items():
            yield from _flat(value, f"{name}.{key}" if name else key)
    elif isinstance(values, list) and values and isinstance(values[0], dict):
        for number, value in enumerate(values):
            yield from _flat(value, f"{name}[{number}]")
    else:
        yield name, values


def _layers(program: Program) -> dict[str, object]:
    found: dict[str, object] = {}
    for projection in program.projections:
        table = program.tables[projection.table]
        found[f"{projection.name}: bits"] = table.bits
        found[f"{projection.name}: encoding"] = table.encoding
        found[f"{projection.name}: table"] = f"{table.rows} x {table.columns}"
    return found


def _masks(before: RunDirectory, after: RunDirectory) -> Iterator[MaskChange]:
    """Layers by name in the graphs before neurons were dropped, so that places mean the same."""
    first, second = _weights(before.whole_graph), _weights(after.whole_graph)
    for name, weight in first.items():
        other = second.get(name)
        if other is None or other.shape != weight.shape:
            continue
        kept, then = weight != 0, other != 0
        both = kept & then
        counts = (int(np.count_nonzero(x)) for x in (kept, then, both, both & (weight != other)))
        yield MaskChange(name, int(weight.size), *counts)


def _weights(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    graph: Graph = graph_file.load(path)
    found: list[Synapse] = [node for node in synapses(graph) if not isinstance(node, Scale)]
    return {node.name: node.weight for node in found}
