"""``table``: what many runs came to, as mean and standard deviation over seeds, for a paper."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from runtime.errors import ConfigError, DataError
from spikepress.rundir import RunDirectory, read_json


@dataclass(frozen=True)
class Figure:
    """A metric over seeds. ``std`` is the sample's (n - 1 below the root) and None for a single seed."""

    mean: float
    std: float | None
    n: int


@dataclass(frozen=True)
class Row:
    """One setting: its metrics, and their paired differences to the chosen row over common seeds."""

    label: str
    seeds: tuple[int, ...]
    figures: Mapping[str, Figure]
    differences: Mapping[str, Figure]


@dataclass(frozen=True)
class Table:
    """Rows in the order of their runs. ``against`` is the label of the row that others are compared with."""

    stage: str
    metrics: tuple[str, ...]
    against: str | None
    rows: tuple[Row, ...]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def as_text(self, kind: str = "md") -> str:
        """The table as md, csv or latex; ConfigError for another kind."""
        from spikepress.table_text import formatted

        return formatted(self, kind)


def table(
    runs: str | Path | Sequence[str | Path],
    *,
    metrics: Sequence[str] = ("accuracy", "weight_sparsity"),
    stage: str | None = None,
    against: str | None = None,
) -> Table:
    """The table of the runs below one or more folders, those of a sweep or any others.

    ``stage`` is dense, pruned, pruned-quantized, runtime…; default: the last one that every run has.
    ``against`` is a row's label, or any part of one that fits a single row.

    Raises:
        DataError: there is no run, or one lacks the stage or a metric.
        ConfigError: ``against`` fits no row, or several.
    """
    folders = [Path(runs)] if isinstance(runs, str | Path) else [Path(run) for run in runs]
    found = [entry for folder in folders for entry in _entries(folder)]
    if not found:
        raise DataError(
            f"table {', '.join(map(str, folders))}: found no finished run, expected run directories"
        )
    chosen = stage or _common_stage(found)
    groups: dict[str, dict[int, Mapping[str, float]]] = {}
    for entry in found:
        seeds = groups.setdefault(entry.label, {})
        if entry.seed in seeds:
            raise DataError(
                f"run {entry.folder}: found seed {entry.seed} of {entry.label!r} twice, expected once"
            )
        seeds[entry.seed] = entry.values(chosen, metrics)
    base = None if against is None else _row_named(against, list(groups))
    rows = tuple(_row(label, groups, base, metrics) for label in groups)
    return Table(chosen, tuple(metrics), base, rows)


@dataclass(frozen=True)
class _Entry:
    """One run directory."""

    folder: Path
    label: str
    seed: int
    stages: Mapping[str, Mapping[str, Any]]

    def values(self, stage: str, metrics: Sequence[str]) -> dict[str, float]:
        if stage not in self.stages:
            known = ", ".join(self.stages)
            raise DataError(f"run {self.folder}: found stages {known}, expected {stage}")
        return {metric: self._value(stage, metric) for metric in metrics}

    def _value(self, stage: str, metric: str) -> float:
        value = self.stages[stage].get(metric)
        if not isinstance(value, int | float) or isinstance(value, bool):
            known = [name for name, v in self.stages[stage].items() if isinstance(v, int | float)]
            raise DataError(f"run {self.folder}: found no {metric}, expected one of {', '.join(known)}")
        return float(value)


def _entries(root: Path) -> Iterator[_Entry]:
    """Runs below ``root``; those of a sweep in its order, others in the order of their paths."""
    if not root.is_dir():
        raise DataError(f"table {root}: found no such folder, expected one with run directories")
    order = {Path(run["folder"]).resolve(): n for n, run in enumerate(_swept(root))}
    paths = [path.parent for path in root.rglob("stages.json")]
    for path in sorted(paths, key=lambda p: (order.get(p.resolve(), len(order)), p.as_posix())):
        yield _entry(path, root)


def _swept(root: Path) -> list[Any]:
    file = root / "sweep.json"
    runs = read_json(file).get("runs") if file.exists() else []
    return runs if isinstance(runs, list) else []


def _entry(path: Path, root: Path) -> _Entry:
    run = RunDirectory(path)
    stages = {name: v for name, v in read_json(run.stages).items() if isinstance(v, Mapping)}
    cell = read_json(path / "cell.json") if (path / "cell.json").exists() else {}
    if isinstance(cell.get("seed"), int) and isinstance(cell.get("label"), str):
        return _Entry(path, str(cell["label"]), int(str(cell["seed"])), stages)
    return _Entry(path, _path_label(path, root), _configured_seed(run), stages)


def _path_label(path: Path, root: Path) -> str:
    """The path below ``root`` without a folder that only names a seed."""
    parts = list(path.relative_to(root).parts)
    if parts and parts[-1].removeprefix("seed").strip("-_").isdigit():
        parts.pop()
    return "/".join(parts) or root.name


def _configured_seed(run: RunDirectory) -> int:
    from spikepress.settings import load_settings

    return load_settings(run).config.train.seed


def _common_stage(found: Sequence[_Entry]) -> str:
    common = [stage for stage in found[0].stages if all(stage in entry.stages for entry in found)]
    if not common:
        raise DataError("table: found no stage that every run has, expected --stage and runs that have it")
    return common[-1]


def _row_named(part: str, labels: Sequence[str]) -> str:
    fits = [label for label in labels if label == part] or [label for label in labels if part in label]
    if len(fits) != 1:
        raise ConfigError(
            f"table --against: found {part!r} in {len(fits)} rows, expected one of {'; '.join(labels)}"
        )
    return fits[0]


def _row(
    label: str,
    groups: Mapping[str, Mapping[int, Mapping[str, float]]],
    base: str | None,
    metrics: Sequence[str],
) -> Row:
    own = groups[label]
    figures = {metric: figure([values[metric] for values in own.values()]) for metric in metrics}
    differences = {}
    if base is not None and base != label:
        common = [seed for seed in own if seed in groups[base]]
        if common:
            differences = {
                metric: figure([own[seed][metric] - groups[base][seed][metric] for seed in common])
                for metric in metrics
            }
    return Row(label, tuple(own), figures, differences)


def figure(values: Sequence[float]) -> Figure:
    """Mean, standard deviation and count of at least one value."""
    std = statistics.stdev(values) if len(values) > 1 else None
    return Figure(statistics.fmean(values), std, len(values))
