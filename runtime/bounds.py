"""Proof that no sum inside a step leaves int32, whatever the input and whatever the order of additions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.encodings import Entries, parts
from runtime.errors import ModelError
from runtime.program import (
    ConvSynapses,
    EncodedMatrix,
    GatePopulation,
    InputPopulation,
    NeuronPopulation,
    Program,
    Projection,
)
from runtime.spec import Fire, Reset

Sums = NDArray[np.float64]

LIMIT = 1 << 31
WINDOW = 1 << 12
"""Targets bounded one by one at a time, or a quarter as many as the tables have bytes if that is more."""


def check_sums(program: Program) -> None:
    """Raise ``ModelError`` naming a population where some input could reach 2^31.

    Bounded are every projection's sum of |w| x largest payload, their shifted total, and the step's largest
    membrane before the clamp: |v| (and the synaptic current) + total + |bias| + |reset|. First with all
    weights of a table as if at one target, which settles it for most; else target by target.
    """
    payloads = largest_payloads(program)
    weights = [_magnitude(table) for table in program.tables]
    for number, population in enumerate(program.populations):
        if not isinstance(population, NeuronPopulation):
            continue
        into = [
            _Current(program, p, payloads[p.pre], weights[p.table])
            for p in program.projections
            if p.post == number
        ]
        if sum(current.coarse for current in into) + _other_parts(population) >= LIMIT:
            _check_targets(population, into)


def largest_total(program: Program, number: int) -> float:
    """Largest |current| of a step that any input could bring to a neuron of population ``number``."""
    population, payloads = program.populations[number], largest_payloads(program)
    assert isinstance(population, NeuronPopulation)
    targets = math.prod(population.current_shape or population.shape)
    total = np.zeros(targets)
    for p in program.projections:
        if p.post == number:
            current = _Current(program, p, payloads[p.pre], _magnitude(program.tables[p.table]))
            total += current.largest(0, targets, targets)
    return float(total.max())


def _check_targets(population: NeuronPopulation, into: list[_Current]) -> None:
    targets = math.prod(population.current_shape or population.shape)
    size = max(WINDOW, sum(current.stored for current in into) // 4)
    for first in range(0, targets, size):
        total = np.zeros(min(size, targets - first))
        for current in into:
            total += current.largest(first, first + total.size, targets)
            _require_below(current.projection.name, total)
        _require_below(population.name, _other_parts(population) + float(total.max()))


def _magnitude(table: EncodedMatrix) -> float:
    """Sum of |w| over a table, exact below 2^53."""
    return float(sum(int(np.abs(part.weight).sum(dtype=np.int64)) for part in parts(table)))


def largest_payloads(program: Program) -> list[int]:
    """Largest |payload| that each population can emit."""
    largest: list[int] = []
    for population in program.populations:
        match population:
            case InputPopulation():
                largest.append((1 << program.input.bits) - 1)
            case GatePopulation():
                largest.append(largest[population.source])
            case NeuronPopulation():
                silent = population.neuron.fire is Fire.SILENT
                largest.append(0 if silent else (1 << population.neuron.payload_bits) - 1)
    return largest


class _Current:
    """The largest |current| that a projection can bring, as exact whole numbers in float64.

    Whole numbers below 2^53 are exact in float64; anything larger is far beyond the limit and still large.
    """

    def __init__(self, program: Program, projection: Projection, payload: int, magnitude: float) -> None:
        pool = projection.pool
        self.projection = projection
        self.table = program.tables[projection.table]
        self.events = payload * (math.prod(pool.kernel) if pool is not None else 1)
        self.stored = sum(array.nbytes for array in self.table.arrays.values())
        summed = magnitude * self.events
        settled = summed + 2.0 ** max(-projection.shift, 0) < LIMIT
        self.coarse = float(self._shifted(np.array([summed]))[0]) if settled else math.inf
        """Above the current of any target."""

    def largest(self, first: int, until: int, targets: int) -> Sums:
        """Of each target from ``first`` to ``until``."""
        synapses, columns = self.projection.synapses, self.table.columns
        count = synapses.out_shape[0] if isinstance(synapses, ConvSynapses) else columns
        span = targets // count
        lowest, highest = first // span, (until - 1) // span
        total = np.zeros(highest - lowest + 1)
        for part in parts(self.table):
            place = self._channels(part) - lowest
            inside = (place >= 0) & (place < total.size)
            magnitude = np.abs(part.weight[inside].astype(np.float64))
            total += np.bincount(place[inside], weights=magnitude, minlength=total.size)
        total *= self.events
        _require_below(self.projection.name, total)
        return self._shifted(total)[np.arange(first, until) // span - lowest]

    def _channels(self, part: Entries) -> NDArray[np.signedinteger[Any]]:
        """The target or channel of targets behind each weight."""
        synapses = self.projection.synapses
        if not isinstance(synapses, ConvSynapses):
            return part.column
        per_group = synapses.out_shape[0] // synapses.groups
        group = part.row // (synapses.in_shape[0] // synapses.groups)
        return group * per_group + part.column // math.prod(synapses.kernel)

    def _shifted(self, total: Sums) -> Sums:
        shift = self.projection.shift
        if shift < 0:
            half = 2.0 ** (-shift - 1)
            _require_below(self.projection.name, float(total.max()) + half)
            total = np.floor((total + half) / (half + half)) + 1
        return total * 2.0 ** max(shift, 0)


def _other_parts(population: NeuronPopulation) -> float:
    """Largest |membrane| before the clamp without the currents, coarsely: the largest of every part."""
    neuron = population.neuron
    stored = max(abs(neuron.v_min), abs(neuron.v_max))
    states = stored * (2 if neuron.synaptic_leak is not None else 1)
    bias = max(map(abs, neuron.bias_q))
    reset = max(map(abs, neuron.reset_q)) if neuron.reset is Reset.SUBTRACT else 0
    return float(states + bias + reset)


def _require_below(name: str, total: Sums | float) -> None:
    largest = float(np.max(total, initial=0.0))
    if largest >= LIMIT:
        raise ModelError(f"{name}: found sums that could reach {largest:.0f}, expected all below 2^31")
