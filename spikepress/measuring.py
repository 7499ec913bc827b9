"""Measures what a report shows: the whole run, the run stopped after each step, and the drift."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporter import graph_file
from exporter.drift import Drift, drift
from exporter.plan import MemoryPlan, plan
from runtime import container
from runtime.coding import encode_input
from runtime.cost import Counts
from runtime.engine import Engine, Result
from runtime.errors import DataError
from runtime.program import NeuronPopulation, Population, Program
from runtime.spec import Fire
from runtime.trace import Trace
from spikepress.card import program_path
from spikepress.catalog import Resource
from spikepress.energy import EnergyLine, energy_lines, work_of
from spikepress.figures import StepFigures
from spikepress.needs import needs_of
from spikepress.progress import Notify, silent
from spikepress.rundir import RunDirectory
from spikepress.samples import samples_of_test

DRIFT_SAMPLES = 100
"""The float reference is plain numpy: a hundred samples place a share to about a percent of itself."""


@dataclass(frozen=True)
class Measured:
    """What was measured of one program on test samples."""

    run: RunDirectory
    program: Program
    memory: MemoryPlan
    coded: NDArray[np.int32]
    """(steps, samples, *input shape)."""
    accuracy: float
    counts: Counts
    steps: StepFigures
    first: Trace
    """Trace of the first sample."""
    busiest: Mapping[str, int]
    """Most events of any step of the first samples, at least 1, by population."""
    drift: Drift | None
    """None where the run has no graphs to compare."""

    @property
    def samples(self) -> int:
        return self.counts.samples

    @property
    def adds(self) -> float:
        """Effective additions per sample, of events and of direct input."""
        return (self.counts.effective_acs + self.counts.input_adds) / self.samples

    @property
    def needs(self) -> dict[Resource, int]:
        return needs_of(self.program, self.memory)

    @property
    def rates(self) -> dict[str, float]:
        """Share of neuron-steps with a spike, by layer that can fire."""
        names = (p.name for p in self.program.populations if _fires(p))
        parts = {name: self.counts.populations[name] for name in names}
        return {name: part.spikes / max(1, part.updates) for name, part in parts.items()}

    @property
    def energy(self) -> tuple[EnergyLine, ...]:
        return energy_lines(work_of(self.counts))


def _fires(population: Population) -> bool:
    return isinstance(population, NeuronPopulation) and population.neuron.fire is not Fire.SILENT


def measure(
    model: str | Path,
    *,
    data: str | None = None,
    data_dir: Path | None = None,
    samples: int | None = None,
    notify: Notify = silent,
) -> Measured:
    """Runs the model on test samples, whole and stopped after each step, and against its float form."""
    path = program_path(model)
    run, program = RunDirectory(path.parent), container.read(path)
    test = samples_of_test(run, data, data_dir)
    x, labels = test.x[:samples], np.asarray(test.y[:samples])
    if len(x) == 0:
        raise DataError("report: found no samples, expected at least one")
    coded = encode_input(x, program.input)
    engine, results = Engine(program), []
    for count in range(1, len(coded) + 1):
        notify("measure", (count - 1) / len(coded))
        results.append(engine.run(coded[:count]))
    first, some = (engine.run(coded[:, :n], trace=True).trace for n in (1, DRIFT_SAMPLES))
    assert first is not None
    assert some is not None
    steps = _steps(results, labels)
    made = Measured(
        run=run,
        program=program,
        memory=plan(program),
        coded=coded,
        accuracy=steps.accuracy[-1],
        counts=results[-1].counts,
        steps=steps,
        first=first,
        busiest=_busiest(some),
        drift=_drift(run, coded),
    )
    notify("measure", 1.0)
    return made


def _busiest(trace: Trace) -> dict[str, int]:
    counts = {name: np.count_nonzero(fired, axis=2) for name, fired in trace.spikes.items()}
    return {name: max(1, int(count.max(initial=0))) for name, count in counts.items()}


def _steps(results: Sequence[Result], labels: NDArray[Any]) -> StepFigures:
    target = labels if labels.ndim == 1 else labels[:, -1]
    return StepFigures(
        tuple(float(np.mean(result.predictions == target)) for result in results),
        tuple((r.counts.effective_acs + r.counts.input_adds) / r.counts.samples for r in results),
    )


def _drift(run: RunDirectory, coded: NDArray[np.int32]) -> Drift | None:
    if not (run.graph.exists() and run.float_graph.exists()):
        return None
    real, whole = graph_file.load(run.float_graph), graph_file.load(run.graph)
    return drift(real, whole, coded[:, :DRIFT_SAMPLES])
