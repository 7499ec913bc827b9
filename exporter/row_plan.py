"""The schedule row by row: which networks can run under it, and the buffers they need.

A layer runs all steps of its first row, then of the next: only one row's membranes and sums exist at a time.
What it fires waits in bit planes of every step, all channels of a place side by side, so that a byte which is
zero tells of eight channels at once. A layer without rows is one row.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from exporter.buffers import Buffer
from runtime.program import (
    ConvSynapses,
    LinearSynapses,
    NeuronPopulation,
    Population,
    Program,
    Projection,
)
from runtime.spec import Coding, Fire


@dataclass(frozen=True)
class Rows:
    """A population as rows of places, each with every channel."""

    channels: int
    rows: int
    width: int
    payload_bits: int

    @property
    def cells(self) -> int:
        """Neurons of one row."""
        return self.channels * self.width

    @property
    def plane_bytes(self) -> int:
        """Bytes of one bit of all channels at one place."""
        return (self.channels + 7) // 8

    @property
    def place_bytes(self) -> int:
        return self.plane_bytes * self.payload_bits

    @property
    def step_bytes(self) -> int:
        """Bytes of what all neurons fire in one step."""
        return self.place_bytes * self.width * self.rows


def rows_of(program: Program, number: int) -> Rows:
    """The rows of a population of neurons; a flat one is one place with a channel for each neuron."""
    population = program.populations[number]
    assert isinstance(population, NeuronPopulation)
    graded = population.neuron.fire is Fire.GRADED
    bits = population.neuron.payload_bits if graded else 1
    into = (p.synapses for p in program.projections if p.post == number)
    shape = next((found.out_shape for found in into if isinstance(found, ConvSynapses)), None)
    if shape is None:
        return Rows(math.prod(population.shape), 1, 1, bits)
    return Rows(shape[0], shape[1], shape[2], bits)


def refusals(program: Program) -> tuple[str, ...]:
    """What keeps a network from running row by row; nothing where it can."""
    found = []
    if program.input.coding is not Coding.DIRECT or not program.input.constant:
        found.append("an input that changes from step to step")
    if any(p.delay for p in program.projections):
        found.append("delays")
    for number, population in enumerate(program.populations[1:], 1):
        into = [p for p in program.projections if p.post == number]
        if not isinstance(population, NeuronPopulation) or population.pool is not None:
            found.append(f"the pool of {population.name}")
        elif len(into) != 1:
            found.append(f"{len(into)} projections into {population.name}")
        elif not _is_plain(population, into[0]):
            found.append(f"the synapses {into[0].name}")
    return tuple(found)


def _is_plain(population: Population, p: Projection) -> bool:
    if p.pool is not None:
        return False
    if isinstance(p.synapses, ConvSynapses):
        return p.synapses.dilation == (1, 1) and p.synapses.groups == 1
    return isinstance(p.synapses, LinearSynapses) and len(population.shape) == 1


def row_buffers(program: Program, kinds: dict[str, str], frame_bytes: tuple[int, int]) -> Iterator[Buffer]:
    """Moment ``n`` runs all rows of population ``n``. ``kinds`` names what buffers hold; ``frame_bytes``: the
    input's bytes and their alignment."""
    last = len(program.populations) - 1
    for number, population in enumerate(program.populations):
        readers = [p.post for p in program.projections if p.pre == number]
        if number == 0:
            yield Buffer(population.name, kinds["events"], frame_bytes[0], 0, max(readers), frame_bytes[1])
            continue
        assert isinstance(population, NeuronPopulation)
        rows, width, here = rows_of(program, number), population.neuron.width // 8, (number, number)
        if program.input.n_steps > 1:
            # Nothing reads the membranes of the last step again.
            yield Buffer(population.name, kinds["membranes"], rows.cells * width, *here, width)
        if population.neuron.synaptic_leak is not None:
            yield Buffer(population.name, kinds["synaptic"], rows.cells * width, *here, width)
        once = any(p.post == number and p.pre == 0 for p in program.projections)
        kind = kinds["constant"] if once else kinds["sums"]
        yield Buffer(population.name, kind, 4 * rows.cells, *here, 4)
        if readers:
            size = rows.step_bytes * program.input.n_steps
            yield Buffer(population.name, kinds["events"], size, number, max(readers))
    name = program.populations[program.output].name
    scores = rows_of(program, program.output).cells * rows_of(program, program.output).rows
    yield Buffer(name, kinds["scores"], 4 * scores, program.output, last, 4)
