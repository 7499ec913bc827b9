"""Redraws what a run's pruning log says: the metric against sparsity, bytes, operations and cost."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from runtime.errors import DataError, FormatError
from spikepress.page import Report, rows_of, write_page
from spikepress.page import Table as PageTable
from spikepress.plots import Plot, PlotKind, Series
from spikepress.rundir import RunDirectory, run_directory_of

AXES = {
    "weight_sparsity": "weight sparsity",
    "stored_bytes": "stored bytes of the tables, at 8 bits",
    "synops": "events times living synapses, per sample",
    "sample_passes": "sample passes so far",
    "seconds": "seconds so far",
}


def read_events(run: RunDirectory) -> list[dict[str, Any]]:
    """The lines of a run's pruning log. DataError where there is none, FormatError where it is damaged."""
    path = run.require(run.prune_log, "spikepress prune")
    try:
        events = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]
    except ValueError as error:
        raise FormatError(f"{path}: found {error}, expected one JSON object a line") from error
    if not any(isinstance(event.get("metric"), float) for event in events):
        raise DataError(f"{path}: found no event with a metric, expected a log of this version's prune")
    return events


def curves(events: Sequence[dict[str, Any]]) -> tuple[Plot, ...]:
    """One picture an axis; events without a value for it are left out."""
    plots = []
    for key, words in AXES.items():
        points = tuple(
            (float(e[key]), float(e["metric"])) for e in events if None not in (e.get(key), e["metric"])
        )
        note = "One point a pruning event, right after it and before the training that follows."
        plots.append(
            Plot(
                f"metric-vs-{key.replace('_', '-')}",
                f"Metric against {words}",
                PlotKind.LINE,
                words,
                "metric on validation samples",
                (Series("metric", points),),
                note=note,
                percent=True,
            )
        )
    return tuple(plots)


def plot(run_dir: str | Path, output: Path | None = None) -> Path:
    """Writes ``prune.html`` into the run (or ``output``) from its pruning log; returns the file."""
    run = run_directory_of(run_dir)
    events = read_events(run)
    columns = ("event", "epoch", "metric", "living", "stored_bytes", "synops", "regenerated", "sample_passes")
    rows = rows_of([[_cell(event.get(key)) for key in columns] for event in events])
    table = PageTable("Events", tuple(column.replace("_", " ") for column in columns), rows)
    path = output or run.path / "prune.html"
    report = Report("Pruning", str(run.path.name), (), curves(events), (), (table, *_criticality(events)), {})
    write_page(report, path)
    return path


def _criticality(events: Sequence[dict[str, Any]]) -> tuple[PageTable, ...]:
    keys = ("mean", "deviation", "lowest", "highest")
    rows = [
        [event["event"], name, *(f"{spread[key]:.4g}" for key in keys)]
        for event in events
        for name, spread in event.get("criticality", {}).items()
    ]
    if not rows:
        return ()
    return (PageTable("Criticality over channels", ("event", "population", *keys), rows_of(rows)),)


def _cell(value: object) -> object:
    return f"{value:.4g}" if isinstance(value, float) else "-" if value is None else value
