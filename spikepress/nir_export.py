"""A run's network as a NIR file, and what a reader that takes NIR at its word would lose of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from exporter.graph import Graph
from runtime.errors import ConfigError
from spikepress.rundir import RunDirectory, write_json
from spikepress.samples import random_samples

SAMPLES = 64


@dataclass(frozen=True)
class NirOptions:
    """``dt``: a step in the unit of the time constants; ``lossy``: also what NIR has no words for."""

    dt: float = 1e-4
    lossy: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.dt < float("inf"):
            raise ConfigError(f"export --dt: found {self.dt}, expected a time above 0")


@dataclass(frozen=True)
class NirLoss:
    """Spikes of the network and of its file, read with NIR's own rules, on random events."""

    spikes: int
    differing: int
    samples: int

    @property
    def sentence(self) -> str:
        return (
            f"Read by NIR's own rules, {self.differing:,} neuron-steps differ beside {self.spikes:,} spikes "
            f"({self.samples} samples of random events)."
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
        found = loss(graph, where.nir, options.dt)
        write_json(where.nir_loss, {**asdict(found), "sentence": found.sentence})
    return where.nir


def loss(graph: Graph, path: Path, dt: float) -> NirLoss:
    """The file against the graph it was written from."""
    from exporter.reference import run_float
    from exporter.sources.nir import load_nir
    from exporter.sources.nir_neurons import Conventions
    from exporter.wiring import input_of
    from runtime.coding import encode_input
    from runtime.spec import Coding

    spec = input_of(graph).spec
    events = replace(spec, coding=Coding.EVENTS, signed=False, constant=False)
    coded = encode_input(random_samples(events, SAMPLES), events)
    again = load_nir(path, Conventions(dt), spec=replace(spec, scale=1.0), readout=graph.readout)
    before, after = run_float(graph, coded).spikes, run_float(again, coded).spikes
    differing = sum(int(np.count_nonzero(before[name] != after[name])) for name in before)
    return NirLoss(sum(int(np.count_nonzero(x)) for x in before.values()), differing, SAMPLES)
