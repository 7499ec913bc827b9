"""Names of layers for people: the module's name with what it is, since ``7`` alone says little."""

from __future__ import annotations

from collections.abc import Mapping

from runtime.program import (
    ConvSynapses,
    DiagonalSynapses,
    GatePopulation,
    InputPopulation,
    NeuronPopulation,
    Program,
    Projection,
)
from runtime.spec import Fire


def labels_of(program: Program) -> Mapping[str, str]:
    """Label of every population and projection by name."""
    found = {p.name: f"{p.name} · {_kind(p)} {_shape(p.shape)}" for p in program.populations}
    return found | {p.name: f"{p.name} · {_synapses(p)}" for p in program.projections}


def label(labels: Mapping[str, str], name: str) -> str:
    """The label of a name, or of the several joined by " + " that share a table; others as they are."""
    return " + ".join(labels.get(part, part) for part in name.split(" + "))


def _kind(population: InputPopulation | NeuronPopulation | GatePopulation) -> str:
    if isinstance(population, NeuronPopulation):
        return "readout" if population.neuron.fire is Fire.SILENT else "neurons"
    return "max" if isinstance(population, GatePopulation) else "input"


def _shape(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))


def _synapses(projection: Projection) -> str:
    synapses = projection.synapses
    if isinstance(synapses, ConvSynapses):
        return f"conv {_shape(synapses.kernel)}"
    return "skip" if isinstance(synapses, DiagonalSynapses) else "linear"
