"""Turns what a network stores and needs into plots: areas of memory, the plan of RAM, bounds, fronts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from exporter.plan import Memory, MemoryPlan
from runtime.cost import footprint, table_bytes
from runtime.encodings import decode
from runtime.encodings.bounds import bounds
from runtime.encodings.registry import sparse_of
from runtime.program import ConvSynapses, EncodedMatrix, Program
from spikepress.labels import label
from spikepress.plots import Plot, PlotKind, Series


def memory_map(memory: MemoryPlan, which: Memory) -> Plot:
    """Flash as stored, or RAM at its peak, by layer and kind."""
    found: dict[str, list[tuple[str, int]]] = {}
    for line in memory.lines:
        if line.memory is which:
            found.setdefault(line.kind.value, []).append((line.layer, line.bytes))
    series = tuple(Series(kind, tuple(_summed(points))) for kind, points in found.items())
    what = "stored bytes" if which is Memory.FLASH else f"bytes live at the peak, {memory.peak}"
    return Plot(
        f"{which.value}-map",
        "What fills the flash" if which is Memory.FLASH else "What fills the RAM at its peak",
        PlotKind.TREEMAP,
        "layer",
        "bytes",
        series,
        note=f"Areas are {what}, {memory.total(which):,} in all; one rectangle a layer, divided by kind.",
    )


def _summed(points: list[tuple[str, int]]) -> list[tuple[str, int]]:
    total: dict[str, int] = {}
    for layer, count in points:
        total[layer] = total.get(layer, 0) + count
    return list(total.items())


def ram_plan(memory: MemoryPlan, labels: Mapping[str, str]) -> Plot:
    """Where every buffer lies and from when to when it is needed."""
    series = tuple(
        Series(
            f"{label(labels, buffer.layer)}: {buffer.kind}",
            ((buffer.first, buffer.offset), (buffer.last, buffer.end)),
        )
        for buffer in memory.buffers
    )
    return Plot(
        "ram-plan",
        "Where everything lies in RAM, and when",
        PlotKind.PLAN,
        f"moment of a step ({memory.options.sentence})",
        "byte",
        series,
        note=f"Buffers that are never live together share bytes: {memory.ram_bytes:,} instead of"
        f" {memory.unshared_bytes:,}, with the peak at {label(labels, memory.peak)}.",
        x_names=tuple(label(labels, name) for name in memory.moments),
    )


def size_against_bounds(program: Program) -> Plot:
    """Stored bytes of every table beside its two entropy bounds."""
    stored: list[tuple[str, float]] = []
    zero_order: list[tuple[str, float]] = []
    per_row: list[tuple[str, float]] = []
    for name, table, taps in tables_of(program):
        found = bounds(sparse_of(decode(table), taps))
        stored.append((name, table_bytes(table)))
        zero_order.append((name, found.zero_order / 8))
        per_row.append((name, found.per_row / 8))
    return Plot(
        "size-vs-bounds",
        "Stored size against the entropy bounds",
        PlotKind.GROUPED,
        "table",
        "bytes",
        (
            Series("stored", tuple(stored)),
            Series("zero-order bound", tuple(zero_order)),
            Series("per-row bound", tuple(per_row)),
        ),
        note="Bounds: entropy of the mask, with one density or one for each row, and of the values"
        " (docs/format.md). No encoding that keeps weights one by one gets far below the lower one.",
    )


def tables_of(program: Program) -> list[tuple[str, EncodedMatrix, int]]:
    """Every table that is not an identity skip: name of its line, itself, kernel cells."""
    names = [line.layer for line in footprint(program)][: len(program.tables)]
    found = []
    for number, (name, table) in enumerate(zip(names, program.tables, strict=True)):
        if table.encoding == "diagonal":
            continue
        user = next(p.synapses for p in program.projections if p.table == number)
        taps = user.kernel[0] * user.kernel[1] if isinstance(user, ConvSynapses) else 1
        found.append((name, table, taps))
    return found


def fit_fronts(found: Mapping[str, Any]) -> tuple[Plot, ...]:
    """Accuracy against flash and RAM of the models a search tried, from its ``fit.json``."""
    budget = found["budget"]
    return tuple(
        plot
        for resource, word in (("flash_bytes", "flash"), ("ram_bytes", "RAM"))
        if (plot := _front(found, resource, word, budget)) is not None
    )


def _front(found: Mapping[str, Any], resource: str, word: str, budget: Mapping[str, Any]) -> Plot | None:
    points = _rising([_point(model, resource) for model in found["front"]])
    if not points:
        return None
    series = [Series("not beaten by another", tuple(points))]
    told = found["model"] or found["nearest"]
    name = "taken" if found["model"] else "nearest"
    if told is not None:
        series.append(Series(name, (_point(told, resource),)))
    limit = budget["limits"].get(resource)
    if limit is not None:
        low, high = min(y for _, y in points), max(y for _, y in points)
        series.append(Series(f"limit of {budget['name']}", ((limit, low), (limit, high))))
    return Plot(
        f"fit-{word.lower()}",
        f"Accuracy against {word} of the models tried",
        PlotKind.LINE,
        f"{word}, bytes with code and stack (estimated)",
        "validation accuracy",
        tuple(series),
        note=f"{found['sentence'][:1].upper()}{found['sentence'][1:]}.",
        percent=True,
    )


def _rising(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Those that no point of no more bytes is as accurate as: models may stand on the front for the other
    memory's sake."""
    kept: list[tuple[float, float]] = []
    for point in sorted(points, key=lambda p: (p[0], -p[1])):
        if not kept or point[1] > kept[-1][1]:
            kept.append(point)
    return kept


def _point(model: Mapping[str, Any], resource: str) -> tuple[float, float]:
    """Least need over the schedules, and accuracy."""
    return min(layout["needs"][resource] for layout in model["layouts"]), model["validation_accuracy"]
