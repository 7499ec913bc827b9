"""A run's network as a NIR file, and what a reader that takes NIR at its word would lose of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from exporter.graph import Graph
from runtime.errors import ConfigError, DataError
from spikepress.rundir import RunDirectory, write_json
from spikepress.samples import random_samples, samples_of_test

SAMPLES = 64


@dataclass(frozen=True)
class NirOptions:
    """``dt``: a step in the unit of the time constants; ``lossy``: also what NIR has no words for, its loss
    measured on ``data``, a set's name or an .npz; None: the run's own test samples, else random events."""

    dt: float = 1e-4
    lossy: bool = False
    data: str | None = None

    def __post_init__(self) -> None:
        if not 0 < self.dt < float("inf"):
            raise ConfigError(f"export --dt: found {self.dt}, expected a time above 0")


@dataclass(frozen=True)
class NirLoss:
    """Spikes and predictions of the network and of its file, read with NIR's own rules."""

    spikes: int
    differing: int
    samples: int
    differing_predictions: int
    measured_on: str

    @property
    def sentence(self) -> str:
        return (
            f"Read by NIR's own rules, {self.differing:,} neuron-steps differ beside {self.spikes:,} spikes "
            f"and {self.differing_predictions} of {self.samples} predictions ({self.measured_on})."
        )


def export_nir(run: RunDirectory, where: RunDirectory, options: NirOptions) -> Path:
    """Writes ``model.nir``, and where ``lossy`` what that loses into ``model-nir.json``. UnsupportedError
    names all that NIR cannot say."""
    from exporter.targets import nir
    from spikepress.lowering import graphs_of

    graph = graphs_of(run).real
    nir.export(graph, where.nir, dt=options.dt, lossy=options.lossy)
    where.nir_loss.unlink(missing_ok=True)
    if options.lossy:
        found = loss(graph, where.nir, options.dt, samples_for(run, graph, options.data))
        write_json(where.nir_loss, {**asdict(found), "sentence": found.sentence})
    return where.nir


@dataclass(frozen=True)
class Coded:
    """Coded input (steps, samples, *shape) and where it is from."""

    values: NDArray[np.integer]
    source: str


def samples_for(run: RunDirectory, graph: Graph, data: str | None) -> Coded:
    """Test samples of ``data`` or of the run's own set; random events where that set is not at hand."""
    from exporter.wiring import input_of
    from runtime.coding import encode_input
    from runtime.spec import Coding

    spec = input_of(graph).spec
    try:
        x = samples_of_test(run, data).x[:SAMPLES]
        return Coded(encode_input(x, spec), "test samples" if data is None else data)
    except DataError:
        if data is not None:
            raise
    events = replace(spec, coding=Coding.EVENTS, signed=False, constant=False)
    return Coded(encode_input(random_samples(events, SAMPLES), events), "random events")


def loss(graph: Graph, path: Path, dt: float, coded: Coded) -> NirLoss:
    """The file against the graph it was written from."""
    from exporter.reference import run_float
    from exporter.sources.nir import load_nir
    from exporter.sources.nir_neurons import Conventions
    from exporter.wiring import input_of

    spec = input_of(graph).spec
    again = load_nir(path, Conventions(dt), spec=replace(spec, scale=1.0), readout=graph.readout)
    before, after = run_float(graph, coded.values), run_float(again, coded.values)
    return NirLoss(
        sum(int(np.count_nonzero(x)) for x in before.spikes.values()),
        sum(int(np.count_nonzero(x != after.spikes[name])) for name, x in before.spikes.items()),
        coded.values.shape[1],
        int(np.count_nonzero(before.predictions != after.predictions)),
        coded.source,
    )
