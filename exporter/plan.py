"""One ``MemoryPlan`` of a program: every byte of flash and RAM as a line, for reports and targets.

Flash lines are the arrays of the ``.spk`` file, to the byte; code is a target's own. RAM is that of one
sample on a target that runs the tables as stored. Buffers that are never live together share memory; the
RAM lines are those live at the peak, which the plan names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from exporter.buffers import Buffer, extent, live, place
from exporter.row_plan import refusals, row_buffers
from runtime.cost import footprint
from runtime.errors import ConfigError, UnsupportedError
from runtime.program import (
    GatePopulation,
    InputPopulation,
    NeuronPopulation,
    Population,
    Program,
    Projection,
    n_neurons,
)
from runtime.spec import Coding, Fire

BYTE_INDICES, SHORT_INDICES = 1 << 8, 1 << 16
ACCUMULATOR_BYTES = 4
SCORE_BYTES = 4
SHARED = "shared"
"""Layer name of bytes that belong to no layer: gaps that alignment and sharing leave."""


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
    SAMPLE = "raw sample"
    SCRATCH = "scratch"
    GAPS = "gaps"


ROW_KINDS = {
    "membranes": Kind.MEMBRANES.value,
    "synaptic": Kind.SYNAPTIC_STATE.value,
    "sums": Kind.ACCUMULATORS.value,
    "constant": Kind.CONSTANT_CURRENT.value,
    "events": Kind.EVENT_QUEUES.value,
    "scores": Kind.SCRATCH.value,
}


class Order(Enum):
    """What runs first: all layers of a step, all steps of a layer, or all steps of a row of a layer.

    ``LAYERS`` keeps the membranes of one layer at a time but the events of every step. It needs a net
    without delays. ``ROWS`` keeps those of one row at a time (``exporter.row_plan``).
    """

    STEPS = "step by step"
    LAYERS = "layer by layer"
    ROWS = "row by row"


class Queues(Enum):
    """How the events of a population wait for their readers: an index each, or a place for every neuron."""

    LISTS = "lists"
    BITMAPS = "bitmaps"


@dataclass(frozen=True)
class PlanOptions:
    """How a target schedules a program.

    ``event_bounds``: the most events of a step that a population's list holds, where fewer than the proved
    worst case (every neuron). Events beyond it are dropped, last in canonical order first, and counted:
    a target that takes a bound must report that count (``exporter.overflow``).
    """

    order: Order = Order.STEPS
    queues: Queues = Queues.LISTS
    event_bounds: Mapping[str, int] = field(default_factory=dict)

    @property
    def sentence(self) -> str:
        return f"{self.order.value}, events in {self.queues.value}"


@dataclass(frozen=True)
class Line:
    layer: str
    kind: Kind
    memory: Memory
    bytes: int


@dataclass(frozen=True)
class MemoryPlan:
    """Lines in the order of the program; empty ones are left out.

    ``buffers`` are all of RAM with offset and life; RAM lines those live at the moment ``peak``, and gaps.
    """

    lines: tuple[Line, ...]
    buffers: tuple[Buffer, ...] = ()
    peak: str = ""
    moments: tuple[str, ...] = ()
    options: PlanOptions = PlanOptions()

    @property
    def flash_bytes(self) -> int:
        return self.total(Memory.FLASH)

    @property
    def ram_bytes(self) -> int:
        return self.total(Memory.RAM)

    @property
    def unshared_bytes(self) -> int:
        """RAM if every buffer had its own bytes."""
        return sum(buffer.bytes for buffer in self.buffers)

    def total(self, memory: Memory) -> int:
        return sum(line.bytes for line in self.lines if line.memory is memory)


def plan(program: Program, options: PlanOptions = PlanOptions()) -> MemoryPlan:
    """Memory of ``program`` under a schedule; UnsupportedError where the net has delays and the schedule
    goes layer by layer, ConfigError for an event bound that cannot be."""
    _check(program, options)
    buffers = place(_buffers(program, options))
    moments = tuple(population.name for population in program.populations)
    sums = [sum(b.bytes for b in live(buffers, moment)) for moment in range(len(moments))]
    peak = sums.index(max(sums))
    places = {name: number for number, name in enumerate(moments)}
    at_peak = sorted(live(buffers, peak), key=lambda b: places[b.layer])
    found = [*_flash(program), *(Line(b.layer, Kind(b.kind), Memory.RAM, b.bytes) for b in at_peak)]
    found.append(Line(SHARED, Kind.GAPS, Memory.RAM, extent(buffers) - sums[peak]))
    return MemoryPlan(
        tuple(line for line in found if line.bytes > 0), buffers, moments[peak], moments, options
    )


def schedules(program: Program) -> tuple[PlanOptions, ...]:
    """Every schedule the program can run under, the fastest first."""
    orders = (Order.STEPS,) if _is_delayed(program) else (Order.STEPS, Order.LAYERS)
    found = tuple(PlanOptions(order, queues) for order in orders for queues in Queues)
    return found if refusals(program) else (*found, PlanOptions(Order.ROWS, Queues.BITMAPS))


def _is_delayed(program: Program) -> bool:
    return any(projection.delay for projection in program.projections)


def _check(program: Program, options: PlanOptions) -> None:
    if options.order is Order.LAYERS and _is_delayed(program):
        raise UnsupportedError("schedule: found layer by layer for a net with delays, expected step by step")
    if options.order is Order.ROWS:
        _check_rows(program, options)
    sizes = {population.name: n_neurons(population) for population in program.populations}
    for name, bound in options.event_bounds.items():
        if name not in sizes or not 1 <= bound <= sizes[name]:
            known = sizes.get(name, "an unknown population")
            raise ConfigError(
                f"event bound of {name!r}: found {bound} for {known} neurons, expected 1 to all of them"
            )


def _check_rows(program: Program, options: PlanOptions) -> None:
    found = refusals(program)
    if options.queues is not Queues.BITMAPS or options.event_bounds:
        found = (*found, "events in lists")
    if found:
        raise UnsupportedError(f"schedule row by row: found {', '.join(found)}, expected none of these")


def _flash(program: Program) -> Iterator[Line]:
    for stored in footprint(program):
        yield Line(stored.layer, Kind.WEIGHTS, Memory.FLASH, stored.weights)
        yield Line(stored.layer, Kind.INDICES, Memory.FLASH, stored.indices)
        yield Line(stored.layer, Kind.POINTERS, Memory.FLASH, stored.pointers)
        yield Line(stored.layer, Kind.NEURON_PARAMETERS, Memory.FLASH, stored.parameters)


def _buffers(program: Program, options: PlanOptions) -> Iterator[Buffer]:
    """Moment ``n`` sums the currents of population ``n`` and updates it; moment 0 makes the input."""
    if options.order is Order.ROWS:
        yield from row_buffers(program, ROW_KINDS, _frame(program))
        return
    last = len(program.populations) - 1
    by_steps = options.order is Order.STEPS
    for number, population in enumerate(program.populations):
        if isinstance(population, NeuronPopulation):
            yield from _neuron_buffers(program, number, population, by_steps)
        yield from _queue(program, number, options)
        if isinstance(population, GatePopulation) and options.queues is Queues.LISTS:
            # Which places fired already: several spikes of a window are one event.
            seen = _whole_bytes(n_neurons(population) * payload_bits(program, population))
            yield Buffer(population.name, Kind.SCRATCH.value, seen, number, number)
    yield from _sample(program)
    name = program.populations[program.output].name
    scores = n_neurons(program.populations[program.output]) * SCORE_BYTES
    start = int(program.input.constant) if by_steps else program.output
    yield Buffer(name, Kind.SCRATCH.value, scores, start, last, SCORE_BYTES)


def _neuron_buffers(
    program: Program, number: int, population: NeuronPopulation, by_steps: bool
) -> Iterator[Buffer]:
    last = len(program.populations) - 1
    # The currents of a constant input are summed before the first step: no state is live yet.
    life = (int(program.input.constant), last) if by_steps else (number, number)
    name, width = population.name, population.neuron.width // 8
    state = n_neurons(population) * width
    yield Buffer(name, Kind.MEMBRANES.value, state, *life, width)
    if population.neuron.synaptic_leak is not None:
        yield Buffer(name, Kind.SYNAPTIC_STATE.value, state, *life, width)
    cells = _currents(population) * ACCUMULATOR_BYTES
    incoming = [projection for projection in program.projections if projection.post == number]
    once = [p for p in incoming if program.input.constant and p.pre == 0]
    if once:
        # Summed once a sample and kept.
        start = 0 if by_steps else number
        yield Buffer(name, Kind.CONSTANT_CURRENT.value, cells, start, life[1], ACCUMULATOR_BYTES)
        yield from _rounded(population, once, len(once), (start, start))
    if len(incoming) > len(once):
        moment = (number, number)
        yield Buffer(name, Kind.ACCUMULATORS.value, cells, *moment, ACCUMULATOR_BYTES)
        yield from _rounded(population, [p for p in incoming if p not in once], len(incoming), moment)


def _rounded(
    population: NeuronPopulation, found: Sequence[Projection], arriving: int, life: tuple[int, int]
) -> Iterator[Buffer]:
    """A sum that is rounded before it meets others needs accumulators of its own."""
    if arriving > 1 and any(projection.shift < 0 for projection in found):
        cells = _currents(population) * ACCUMULATOR_BYTES
        yield Buffer(population.name, Kind.ACCUMULATORS.value, cells, *life, ACCUMULATOR_BYTES)


def _currents(population: NeuronPopulation) -> int:
    """Cells over which a population's currents are summed: those before its pool, if it has one."""
    if population.current_shape is None:
        return n_neurons(population)
    return n_neurons(InputPopulation(population.name, population.current_shape))


def _queue(program: Program, number: int, options: PlanOptions) -> Iterator[Buffer]:
    """What a population gives to others: a frame of direct input, or a queue of events for each step held.

    A frame of constant input is read once a sample when the order is by steps; its currents stay.
    """
    population = program.populations[number]
    readers = [p for p in program.projections if p.pre == number]
    posts = [p.post for p in readers] + _gates(program, number)
    if not posts:
        return
    delay = max((p.delay for p in readers), default=0)
    last = len(program.populations) - 1 if delay else max(posts)
    frames = 1 + delay if options.order is Order.STEPS else program.input.n_steps
    if number == 0 and program.input.coding is Coding.DIRECT:
        if program.input.constant:
            frames, last = 1, (0 if options.order is Order.STEPS else last)
        size, align = _frame(program)
        size *= frames
    else:
        size, align = _events(program, population, options)
        size *= frames
    yield Buffer(population.name, Kind.EVENT_QUEUES.value, size, 0 if delay else number, last, align)


def _frame(program: Program) -> tuple[int, int]:
    """Bytes of a step of direct input, and their alignment."""
    width = _whole_bytes(program.input.bits + program.input.sample_shift + program.input.signed)
    return n_neurons(program.populations[0]) * width, _alignment(width)


def _gates(program: Program, number: int) -> list[int]:
    return [
        index
        for index, gate in enumerate(program.populations)
        if isinstance(gate, GatePopulation) and gate.source == number
    ]


def _events(program: Program, population: Population, options: PlanOptions) -> tuple[int, int]:
    """Bytes of one step's events, and their alignment. A list has a count before it, as wide as two
    indices at most: every neuron may fire."""
    n, payload = n_neurons(population), payload_bits(program, population)
    if options.queues is Queues.BITMAPS:
        return _whole_bytes(n * payload), 1
    index = 1 if n <= BYTE_INDICES else 2 if n <= SHORT_INDICES else 4
    count = 2 if n < SHORT_INDICES else 4
    entry = index + (0 if payload == 1 else _whole_bytes(payload))
    most = options.event_bounds.get(population.name, n)
    return -(-(count + most * entry) // count) * count, count


def _sample(program: Program) -> Iterator[Buffer]:
    """The raw sample that rate and latency coding look at in every step; of delta coding, the values of a
    step and those before."""
    spec, source = program.input, program.populations[0]
    if spec.coding in (Coding.RATE, Coding.LATENCY, Coding.DELTA):
        width = _whole_bytes(spec.sample_bits + (spec.coding is Coding.DELTA))
        last = len(program.populations) - 1
        size = n_neurons(source) * width
        yield Buffer(source.name, Kind.SAMPLE.value, size, 0, last, _alignment(width))


def _alignment(width: int) -> int:
    return width if width in (1, 2, 4) else 1


def _whole_bytes(bits: int) -> int:
    return (bits + 7) // 8


def payload_bits(program: Program, population: Population) -> int:
    while isinstance(population, GatePopulation):
        population = program.populations[population.source]
    if isinstance(population, InputPopulation):
        return program.input.bits
    return population.neuron.payload_bits if population.neuron.fire is Fire.GRADED else 1
