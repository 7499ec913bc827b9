"""``fit``: the most accurate model of a trained network that a device or a budget holds, or "no"."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.errors import ConfigError
from spikepress.catalog import Device, Resource, devices
from spikepress.catalog import device as device_of
from spikepress.fit_result import FitResult
from spikepress.fit_verdict import FitBudget, Model, decide, front, nearest
from spikepress.progress import Notify, silent
from spikepress.proposal import Proposal, smallest_device
from spikepress.recipe import Lattice
from spikepress.rundir import RunDirectory, run_directory_of, write_json
from spikepress.search import Search

if TYPE_CHECKING:
    from spikepress.fit_source import Trained

WORTH = 0.9
"""Share of the trained network's accuracy that a model must keep, unless another one is asked for."""


@dataclass(frozen=True)
class Limits:
    """What a model must stay within; sizes in bytes. Beside a device's own limits the tighter one holds."""

    flash: int | None = None
    ram: int | None = None
    synops: float | None = None
    latency_ms: float | None = None
    accuracy: float | None = None
    """The least on validation samples; None for ``WORTH`` of the trained network's."""

    @property
    def sizes(self) -> dict[Resource, int]:
        given = {Resource.FLASH: self.flash, Resource.RAM: self.ram}
        return {resource: size for resource, size in given.items() if size is not None}


def fit(
    run_dir: str | Path,
    *,
    device: str | None = None,
    limits: Limits = Limits(),
    device_file: str | Path | None = None,
    output: str | Path | None = None,
    data_dir: Path | None = None,
    thorough: bool = False,
    notify: Notify = silent,
) -> FitResult:
    """Compresses a run's trained network until a device or ``limits`` hold it; writes the best model.

    ``output`` is by default ``fit/NAME`` in the run directory; it becomes a run directory of its own, for
    ``run``, ``verify`` and ``report``. Raises ConfigError for limits that cannot be, DataError or ModelError
    for a network that cannot be compressed.
    """
    from spikepress.fit_source import source_of

    start = time.perf_counter()
    run = run_directory_of(run_dir)
    budget = budget_of(device, limits, device_file)
    where = RunDirectory(run.fits / budget.name if output is None else output)
    if where.path.resolve() == run.path.resolve():
        raise ConfigError(f"--output: found the run itself, {run.path}, expected another folder")
    given = source_of(run, data_dir)
    where.create()
    if limits.accuracy is None and given.accuracy is not None:
        budget = replace(budget, accuracy=WORTH * given.accuracy)
    result = _searched(given, budget, where, devices(device_file), (thorough, notify))
    result = replace(result, seconds=time.perf_counter() - start)
    write_json(where.fit, result.as_json())
    return result


def _searched(
    given: Trained,
    budget: FitBudget,
    where: RunDirectory,
    entries: tuple[Device, ...],
    how: tuple[bool, Notify],
) -> FitResult:
    from spikepress.estimate import Known
    from spikepress.fit_output import write_model
    from spikepress.workshop import program_of

    thorough, notify = how
    work, own = given.workshop(notify)
    if budget.latency_ms is not None and work.known is None:
        work.known = Known(1.0, work.measured(program_of(given.source.net), None))
    search = Search(work, Lattice(), budget)
    found = search.run(thorough=thorough)
    if not search.made and work.estimator.refusal is not None:
        raise work.estimator.refusal
    known = [] if own is None else [own]
    if found is not None:
        search.smaller(found)
    model = decide([*known, *search.made.values()], budget)
    proposal: Proposal | None = None
    near: Model | None = None
    accuracy: float | None = None
    if model is None:
        near = nearest([*known, *search.made.values()], budget)
        proposal = smallest_device(search, entries, known)
    else:
        accuracy = write_model(model, given, work, where.path)
    notify("models tried", 1.0)
    return FitResult(
        budget=budget,
        trained_accuracy=given.accuracy,
        model=model,
        near=near,
        front=front([*known, *search.made.values()]),
        proposal=proposal,
        output=where.path,
        test_accuracy=accuracy,
        tried=len(search.made) + len(known),
        kept=work.found,
        seconds=0.0,
    )


def budget_of(device: str | None, limits: Limits, device_file: str | Path | None = None) -> FitBudget:
    """The budget of a device, of ``limits``, or the tighter of both. ConfigError for one that cannot be."""
    if limits.latency_ms is not None and device is None:
        raise ConfigError("--latency: found no device, expected --device, whose clock is to tell the time")
    accuracy = limits.accuracy or 0.0
    if device is None:
        words = [f"{resource.value.removesuffix('_bytes')}{size}" for resource, size in limits.sizes.items()]
        words += [] if limits.synops is None else [f"synops{limits.synops:g}"]
        return FitBudget("-".join(words), limits.sizes, limits.synops, accuracy)
    whole = FitBudget.of_device(
        device_of(device, device_file),
        synops=limits.synops,
        accuracy=accuracy,
        latency_ms=limits.latency_ms,
    )
    tight = {r: min(size, limits.sizes.get(r, size)) for r, size in whole.limits.items()}
    return replace(whole, limits=tight)
