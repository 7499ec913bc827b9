"""Proof that no sum inside a step leaves int32, whatever the input and whatever the order of additions."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from runtime.encodings import entries
from runtime.errors import ModelError
from runtime.parameters import per_neuron
from runtime.program import (
    ConvSynapses,
    DiagonalSynapses,
    GatePopulation,
    InputPopulation,
    NeuronPopulation,
    Program,
    Projection,
)
from runtime.spec import Fire, Reset

Sums = NDArray[np.float64]

LIMIT = 1 << 31


def check_sums(program: Program) -> None:
    """Raise ``ModelError`` naming a population where some input could reach 2^31.

    Bounded are every projection's sum of |w| x largest payload, their shifted total, and the step's largest
    membrane before the clamp: |v| (and the synaptic current) + total + |bias| + |reset|.
    """
    payloads = largest_payloads(program)
    totals: dict[int, Sums] = {}
    for projection in program.projections:
        current = _largest_current(program, projection, payloads[projection.pre])
        totals[projection.post] = totals.get(projection.post, np.zeros(1)) + current
        _require_below(projection.name, totals[projection.post])
    for number, population in enumerate(program.populations):
        if isinstance(population, NeuronPopulation):
            _require_below(population.name, _largest_membrane(population, totals.get(number, np.zeros(1))))


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


def _largest_current(program: Program, p: Projection, payload: int) -> Sums:
    """Largest |current| of each target, or of each channel's targets, as exact whole numbers in float64.

    Whole numbers below 2^53 are exact in float64; anything larger is far beyond the limit and still large.
    """
    table = program.tables[p.table]
    found = entries(table)
    magnitude = np.abs(found.weight.astype(np.float64))
    bins = found.column
    count = table.columns
    if isinstance(p.synapses, ConvSynapses):
        per_group = p.synapses.out_shape[0] // p.synapses.groups
        group = found.row // (p.synapses.in_shape[0] // p.synapses.groups)
        bins = group * per_group + found.column // math.prod(p.synapses.kernel)
        count = p.synapses.out_shape[0]
    events = payload * (math.prod(p.pool.kernel) if p.pool is not None else 1)
    total: Sums = np.bincount(bins, weights=magnitude, minlength=count).astype(np.float64) * events
    _require_below(p.name, total)
    if p.shift < 0:
        half = 2.0 ** (-p.shift - 1)
        _require_below(p.name, float(total.max()) + half)
        total = np.floor((total + half) / (half + half)) + 1
    return _per_target(program, p, total * 2.0 ** max(p.shift, 0))


def _per_target(program: Program, p: Projection, total: Sums) -> Sums:
    """Bounds per channel or per neuron as bounds per neuron of the current's shape."""
    post = program.populations[p.post]
    assert isinstance(post, NeuronPopulation)
    targets = math.prod(post.current_shape or post.shape)
    if isinstance(p.synapses, (ConvSynapses, DiagonalSynapses)):
        return np.repeat(total, targets // total.size)
    return total


def _largest_membrane(population: NeuronPopulation, total: Sums) -> float:
    """Largest |membrane| before the clamp, coarsely: the largest of every part."""
    neuron = population.neuron
    stored = max(abs(neuron.v_min), abs(neuron.v_max))
    states = stored * (2 if neuron.synaptic_leak is not None else 1)
    bias = np.abs(per_neuron(neuron.bias_q, population.shape).astype(np.float64)).max()
    reset = max(map(abs, neuron.reset_q)) if neuron.reset is Reset.SUBTRACT else 0
    return float(states + total.max() + bias + reset)


def _require_below(name: str, total: Sums | float) -> None:
    largest = float(np.max(total, initial=0.0))
    if largest >= LIMIT:
        raise ModelError(f"{name}: found sums that could reach {largest:.0f}, expected all below 2^31")
