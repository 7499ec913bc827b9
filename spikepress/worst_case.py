"""The most additions that an inference can take, whatever its input."""

from __future__ import annotations

import numpy as np

from runtime.geometry import fan_out, pooled_place
from runtime.program import GatePopulation, InputPopulation, Population, Program, Projection, n_neurons
from runtime.spec import Fire


def worst_synops(program: Program) -> int:
    """Additions of an inference in which every neuron fires in every step with every bit of its payload,
    and every bit of the input is set; a constant input is added once."""
    return sum(_projection(program, projection) for projection in program.projections)


def _projection(program: Program, projection: Projection) -> int:
    pre = program.populations[projection.pre]
    once = projection.pre == 0 and program.input.constant and projection.delay == 0
    frames = 1 if once else program.input.n_steps
    return _targets(program, projection, pre) * _payload_bits(program, pre) * frames


def _targets(program: Program, projection: Projection, pre: Population) -> int:
    """Surviving targets of all presynaptic neurons together; each spike of a summed window is an event."""
    table = program.tables[projection.table]
    if projection.pool is None:
        return int(fan_out(projection.synapses, table, n_neurons(pre))[0].sum())
    place = pooled_place(pre.shape, projection.pool)
    surviving = fan_out(projection.synapses, table, int(place.max()) + 1)[0]
    return int(np.where(place >= 0, surviving[place], 0).sum())


def _payload_bits(program: Program, population: Population) -> int:
    while isinstance(population, GatePopulation):
        population = program.populations[population.source]
    if isinstance(population, InputPopulation):
        return program.input.bits
    return population.neuron.payload_bits if population.neuron.fire is Fire.GRADED else 1
