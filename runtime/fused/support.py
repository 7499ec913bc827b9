"""Which programs the fused kernel runs: binary spikes, one common shift a population, plain windows."""

from __future__ import annotations

from runtime.program import (
    ConvSynapses,
    DiagonalSynapses,
    GatePopulation,
    NeuronPopulation,
    Population,
    Program,
    Projection,
    Window,
)
from runtime.spec import Fire


def unsupported(program: Program) -> str | None:
    """Why the fused kernel does not run a program, in a few words; None where it does."""
    for population in program.populations:
        found = _population(population)
        if found is not None:
            return f"{population.name}: {found}"
    for number, population in enumerate(program.populations):
        into = [p for p in program.projections if p.post == number]
        if len({p.shift for p in into}) > 1 or (len(into) > 1 and into[0].shift < 0):
            return f"{population.name}: projections with shifts of their own"
        if len({type(p.synapses) for p in into}) > 1:
            return f"{population.name}: a convolution beside a linear layer"
    for projection in program.projections:
        found = _projection(program, projection)
        if found is not None:
            return f"{projection.name}: {found}"
    return None


def _population(population: Population) -> str | None:
    if isinstance(population, NeuronPopulation):
        if population.neuron.fire is Fire.GRADED:
            return "graded spikes"
        if population.neuron.synaptic_leak is not None:
            return "synaptic currents"
        if population.pool is not None:
            return "pooled currents"
    if isinstance(population, GatePopulation) and population.source == 0:
        return "a gate on the input"
    return None


def _projection(program: Program, projection: Projection) -> str | None:
    synapses = projection.synapses
    if isinstance(synapses, DiagonalSynapses):
        return "diagonal synapses"
    if isinstance(synapses, ConvSynapses) and synapses.groups != 1:
        return "grouped convolution"
    if projection.pool is not None and not _plain(projection.pool):
        return "overlapping sum pool"
    if program.tables[projection.table].bits > 8:
        return "weights wider than 8 bits"
    if projection.pre == 0 and projection.delay and program.input.constant:
        return "a delayed constant input"
    return None


def _plain(window: Window) -> bool:
    return window.kernel == window.stride and window.padding == (0, 0)
