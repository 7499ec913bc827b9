"""One ``MemoryPlan`` of a program: every byte of flash and RAM as a line, for reports and targets.

Flash lines are the arrays of the ``.spk`` file, to the byte; code is a target's own. RAM is that of one
sample on a target that runs the tables as stored, with queues for the worst case.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from runtime.cost import footprint
from runtime.program import (
    GatePopulation,
    InputPopulation,
    NeuronPopulation,
    Population,
    Program,
    n_neurons,
)
from runtime.spec import Coding, Fire

INDEX_LIMIT = 1 << 16
ACCUMULATOR_BYTES = 4
SCORE_BYTES = 4
SHARED = "shared"
"""Layer name of memory that all populations use in turn."""


class Memory(Enum):
    FLASH = "flash"
    RAM = "ram"


class Kind(Enum):
    """What a line's bytes hold."""

    WEIGHTS = "weights"
    INDICES = "indices"
    POINTERS = "pointers"
    NEURON_PARAMETERS = "neuron parameters"
    MEMBRANES = "membranes"
    SYNAPTIC_STATE = "synaptic state"
    ACCUMULATORS = "accumulators"
    CONSTANT_CURRENT = "constant current"
    EVENT_QUEUES = "event queues"
    SCRATCH = "scratch"


@dataclass(frozen=True)
class Line:
    layer: str
    kind: Kind
    memory: Memory
    bytes: int


@dataclass(frozen=True)
class MemoryPlan:
    """Lines in the order of the program; empty ones are left out."""

    lines: tuple[Line, ...]

    @property
    def flash_bytes(self) -> int:
        return self.total(Memory.FLASH)

    @property
    def ram_bytes(self) -> int:
        return self.total(Memory.RAM)

    def total(self, memory: Memory) -> int:
        return sum(line.bytes for line in self.lines if line.memory is memory)


def plan(program: Program) -> MemoryPlan:
    """Memory of ``program``.

    The accumulators of int32 are shared: a population consumes its currents before the next one's are
    summed. Event queues hold every neuron of a population at once, once more for every step of delay.
    """
    found = (*_flash(program), *_ram(program))
    return MemoryPlan(tuple(line for line in found if line.bytes > 0))


def _flash(program: Program) -> Iterator[Line]:
    for stored in footprint(program):
        yield Line(stored.layer, Kind.WEIGHTS, Memory.FLASH, stored.weights)
        yield Line(stored.layer, Kind.INDICES, Memory.FLASH, stored.indices)
        yield Line(stored.layer, Kind.POINTERS, Memory.FLASH, stored.pointers)
        yield Line(stored.layer, Kind.NEURON_PARAMETERS, Memory.FLASH, stored.parameters)


def _ram(program: Program) -> Iterator[Line]:
    for number, population in enumerate(program.populations):
        name = population.name
        if isinstance(population, NeuronPopulation):
            state = n_neurons(population) * population.neuron.width // 8
            yield Line(name, Kind.MEMBRANES, Memory.RAM, state)
            synaptic = state if population.neuron.synaptic_leak is not None else 0
            yield Line(name, Kind.SYNAPTIC_STATE, Memory.RAM, synaptic)
            yield Line(name, Kind.CONSTANT_CURRENT, Memory.RAM, _constant_current(program, number))
        yield Line(name, Kind.EVENT_QUEUES, Memory.RAM, _queue(program, number))
    yield Line(SHARED, Kind.ACCUMULATORS, Memory.RAM, _accumulators(program))
    scores = n_neurons(program.populations[program.output]) * SCORE_BYTES
    yield Line(program.populations[program.output].name, Kind.SCRATCH, Memory.RAM, scores)


def _currents(population: NeuronPopulation) -> int:
    """Cells over which a population's currents are summed: those before its pool, if it has one."""
    if population.current_shape is None:
        return n_neurons(population)
    return n_neurons(InputPopulation(population.name, population.current_shape))


def _constant_current(program: Program, number: int) -> int:
    """Bytes of the currents of a constant input, summed once a sample and kept."""
    population = program.populations[number]
    hears = any(p.post == number and p.pre == 0 for p in program.projections)
    if not (program.input.constant and hears and isinstance(population, NeuronPopulation)):
        return 0
    return _currents(population) * ACCUMULATOR_BYTES


def _accumulators(program: Program) -> int:
    sizes = [_currents(p) for p in program.populations if isinstance(p, NeuronPopulation)]
    return max(sizes, default=0) * ACCUMULATOR_BYTES


def _queue(program: Program, number: int) -> int:
    """Bytes of what a population gives to others: a frame of direct input, or a queue of events."""
    population = program.populations[number]
    readers = [p for p in program.projections if p.pre == number]
    gates = [g for g in program.populations if isinstance(g, GatePopulation) and g.source == number]
    if not readers and not gates:
        return 0
    payload = _payload_bits(program, population)
    if number == 0 and program.input.coding is Coding.DIRECT:
        return n_neurons(population) * _whole_bytes(payload + program.input.signed)
    index = 2 if n_neurons(population) <= INDEX_LIMIT else 4
    entry = index + (0 if payload == 1 else _whole_bytes(payload))
    frames = 1 + max((p.delay for p in readers), default=0)
    return n_neurons(population) * entry * frames


def _whole_bytes(bits: int) -> int:
    return (bits + 7) // 8


def _payload_bits(program: Program, population: Population) -> int:
    while isinstance(population, GatePopulation):
        population = program.populations[population.source]
    if isinstance(population, InputPopulation):
        return program.input.bits
    return population.neuron.payload_bits if population.neuron.fire is Fire.GRADED else 1
