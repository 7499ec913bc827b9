"""``sweep``: many runs of one configuration, in parallel, taken up where they stopped.

Runs that differ only in how they are pruned or quantized share one dense network a seed.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from runtime.errors import ConfigError, SpikepressError
from spikepress.grid import Cell, Values, cells
from spikepress.progress import Notify, silent
from spikepress.rundir import RunDirectory, read_json, write_json

STAGES = ("train", "prune", "quantize", "run")
LATER = ("prune", "quantize", "export")
"""Sections that the dense network does not depend on."""


@dataclass(frozen=True)
class SweptRun:
    """One run of a sweep: what it set, where it lies, the outcome of each stage, or why it stopped."""

    label: str
    setting: Mapping[str, str]
    seed: int
    folder: str
    outcomes: Mapping[str, Mapping[str, Any]]
    error: str | None = None


@dataclass(frozen=True)
class Sweep:
    """All runs of a sweep, in its order."""

    output: str
    runs: tuple[SweptRun, ...]

    @property
    def complete(self) -> bool:
        """True when no run stopped with an error."""
        return all(run.error is None for run in self.runs)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def sentence(self) -> str:
        stopped = [run for run in self.runs if run.error is not None]
        told = [f"{run.folder}: {run.error}" for run in stopped]
        return "\n".join(
            [*told, f"{len(self.runs) - len(stopped)} of {len(self.runs)} runs in {self.output}"]
        )


def sweep(
    config: str | Path,
    output: str | Path = "runs/sweep",
    *,
    values: Values | None = None,
    seeds: Sequence[int] = (0,),
    until: str | None = None,
    jobs: int = 1,
    data_dir: Path | None = None,
    notify: Notify = silent,
) -> Sweep:
    """Runs every combination of ``values`` ("section.name" to TOML values) with every seed, up to a stage.

    ``until`` is train, prune, quantize or run; default: as far as the configuration has tables for. Runs
    that are complete are not done again, others are taken up. ``jobs`` processes by joblib; within
    ``joblib.parallel_config(backend="dask")`` its workers are a cluster's.

    Raises ConfigError before anything is trained if any of the runs cannot be.
    """
    from spikepress.settings import config_text, parse_settings

    text, folder = config_text(config)
    made = cells(text, values or {}, seeds)
    for cell in made:
        parse_settings(cell.text, folder, f"{config} ({cell.label})")
    last = _last(made[0], until)
    root = RunDirectory(output).create().path
    works = [_Work(cell, str(root / cell.folder), str(folder), last, data_dir) for cell in made]
    leads: dict[str, _Work] = {}
    for work in works:
        leads.setdefault(_dense_key(work.cell), work)
    _each(_train, list(leads.values()), jobs, lambda done: notify("dense networks", done))
    later = [(work, leads[_dense_key(work.cell)].folder) for work in works]
    runs = _each(_finish, later, jobs, lambda done: notify("runs", done))
    found = Sweep(str(root), tuple(runs))
    write_json(root / "sweep.json", found.as_json())
    return found


@dataclass(frozen=True)
class _Work:
    """A cell with its folder, the folder its configuration's paths start from, and its last stage."""

    cell: Cell
    folder: str
    base: str
    last: str
    data_dir: Path | None

    def goes_to(self, stage: str) -> bool:
        return STAGES.index(stage) <= STAGES.index(self.last)


def _last(cell: Cell, until: str | None) -> str:
    if until is not None:
        if until not in STAGES:
            raise ConfigError(f"sweep --until: found {until!r}, expected one of {', '.join(STAGES)}")
        return until
    tables = tomllib.loads(cell.text)
    return "quantize" if "quantize" in tables else "prune" if "prune" in tables else "train"


def _dense_key(cell: Cell) -> str:
    """What a dense network depends on, seed included."""
    tables = {name: table for name, table in tomllib.loads(cell.text).items() if name not in LATER}
    return hashlib.sha256(json.dumps(tables, sort_keys=True, default=str).encode()).hexdigest()


def _each(
    function: Callable[..., Any], works: Sequence[Any], jobs: int, tell: Callable[[float], None]
) -> list[Any]:
    """The function of every work, in order; on several processes when there are several jobs."""
    import joblib

    # where a caller configured another backend, such as dask, it may only know how to return lists
    gives = getattr(joblib.parallel.get_active_backend()[0], "supports_return_generator", False)
    results = joblib.Parallel(n_jobs=jobs, return_as="generator" if gives else "list")(
        joblib.delayed(function)(work) for work in works
    )
    out = []
    for result in results:
        out.append(result)
        tell(len(out) / len(works))
    return out


def _train(work: _Work) -> None:
    """The dense network of a cell; an error is told by ``_finish``, which meets it again."""
    from spikepress.pipeline import train

    run = RunDirectory(work.folder)
    if run.checkpoint("dense").exists() and _same(run, work.cell):
        return
    resumes = _same(run, work.cell)
    try:
        if not resumes:
            _write_config(run, work)
        train(_config(work), work.folder, data_dir=work.data_dir, resume=resumes)
    except SpikepressError as error:
        write_json(run.path / "cell.json", {"error": str(error)})


def _config(work: _Work) -> Path:
    return Path(work.folder) / "sweep.toml"


def _write_config(run: RunDirectory, work: _Work) -> None:
    """Leave the cell's text in its folder, beside a module of the user's that it names."""
    run.create()
    _config(work).write_text(work.cell.text, encoding="utf-8")
    module = tomllib.loads(work.cell.text).get("model", {}).get("module")
    if module:
        file = module.partition(":")[0]
        if (Path(work.base) / file).is_file():
            shutil.copyfile(Path(work.base) / file, run.path / Path(file).name)


def _same(run: RunDirectory, cell: Cell) -> bool:
    return run.config.exists() and run.config.read_text(encoding="utf-8") == cell.text


def _finish(pair: tuple[_Work, str]) -> SweptRun:
    """The later stages of a cell, on its own or on a copy of the dense network it shares."""
    work, lead = pair
    cell, run = work.cell, RunDirectory(work.folder)
    try:
        if work.folder != lead:
            _share(run, RunDirectory(lead), work)
        run.require(run.checkpoint("dense"), "the dense stage of this sweep")
        _later_stages(work, run)
        outcomes, error = _outcomes(run), None
    except SpikepressError as problem:
        told = run.path / "cell.json"
        first = dict(read_json(told)).get("error") if told.exists() else None
        outcomes, error = {}, str(first or problem)
    values = dict(cell.setting)
    found = SweptRun(cell.label, values, cell.seed, work.folder, outcomes, error)
    if error is None:
        write_json(run.path / "cell.json", asdict(found))
    return found


def _share(run: RunDirectory, lead: RunDirectory, work: _Work) -> None:
    """Copy the dense network and its outcome from the run that trained it."""
    if run.checkpoint("dense").exists() and _same(run, work.cell):
        return
    lead.require(lead.checkpoint("dense"), "the dense stage of this sweep")
    run.create().clear()
    _write_config(run, work)
    run.config.write_text(work.cell.text, encoding="utf-8")
    for file in (lead.checkpoint("dense"), lead.checkpoint("dense").with_suffix(".json")):
        shutil.copyfile(file, run.path / file.name)
    write_json(run.stages, {"dense": read_json(lead.stages)["dense"]})


def _later_stages(work: _Work, run: RunDirectory) -> None:
    from spikepress.pipeline import export, prune, quantize
    from spikepress.pipeline import run as run_exported

    done = read_json(run.stages)
    pruning = "prune" in tomllib.loads(work.cell.text)
    if pruning and work.goes_to("prune") and "pruned" not in done:
        prune(run.path, data_dir=work.data_dir, resume=True)
    if work.goes_to("quantize") and not any(name.endswith("quantized") for name in done):
        quantize(run.path, data_dir=work.data_dir, resume=True)
    if work.goes_to("run") and "runtime" not in done:
        export(run.path, targets=("spk",))
        outcome = run_exported(run.path, data_dir=work.data_dir)
        write_json(run.stages, {**read_json(run.stages), "runtime": outcome.as_json()})


def _outcomes(run: RunDirectory) -> dict[str, Mapping[str, Any]]:
    return {name: values for name, values in read_json(run.stages).items() if isinstance(values, Mapping)}
