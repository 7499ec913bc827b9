"""What the C code of one population needs to know: its currents, its step, and what it passes on."""

from __future__ import annotations

from dataclasses import dataclass

from exporter.plan import Queues, payload_bits
from exporter.targets.c_arithmetic import Arithmetic
from exporter.targets.c_arrays import used_parameters
from exporter.targets.c_memory import Member, Memory, Role
from exporter.targets.c_synapses import (
    Grid,
    Source,
    Split,
    Synapse,
    common_shift,
    currents_of,
    source_of,
    split_of,
    window_grid,
)
from runtime.bounds import largest_total
from runtime.errors import UnsupportedError
from runtime.program import GatePopulation, NeuronPopulation, Program, Window, n_neurons
from runtime.spec import Fire, IntegerNeuron, Readout, Reset, SynapticOrder


@dataclass(frozen=True)
class Parameter:
    """A neuron parameter as C: the expression inside the loop over neurons, and over channels."""

    neuron: str
    channel: str


@dataclass(frozen=True)
class Currents:
    """The sums that enter a population. ``total`` holds them when its step begins."""

    cells: int
    total: Member
    constant: Member | None
    wait: int
    """Steps before the constant current begins: the delay of its projections."""
    once: tuple[Synapse, ...]
    moving: tuple[Synapse, ...]
    rounded: Member | None
    constant_rounded: Member | None
    shift: int
    """What is left to shift when a moving sum enters the neuron."""
    settle: int
    """What is left to shift when the constant current has been summed."""


@dataclass(frozen=True)
class Pool:
    """The largest current of each window enters a neuron."""

    channels: int
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    side: tuple[int, int]
    out: tuple[int, int]


@dataclass(frozen=True)
class Neurons:
    """One population of neurons."""

    number: int
    name: str
    size: int
    channels: int
    area: int
    """Neurons of a channel, where parameters go by channel; else all of them, and ``channels`` is 1."""
    currents: Currents
    pool: Pool | None
    v: Member | None
    """Stored membranes; None where no later step reads them."""
    synaptic: Member | None
    leak: tuple[int, ...]
    synaptic_leak: tuple[int, ...]
    drives_new: bool
    fire: str
    reset: str
    payload_bits: int
    v_min: int
    v_max: int
    clamps: bool
    """Whether the clamp can act; where no input brings a membrane near its bounds it is left out."""
    width: int
    parameters: dict[str, Parameter]
    out: Source | None
    scores: str
    """How the output's scores are kept; empty for other populations."""


@dataclass(frozen=True)
class Gate:
    """A stateless maximum over windows of payloads."""

    number: int
    name: str
    size: int
    bits: int
    source: Source
    split: Split
    grid: Grid
    origin: str
    seen: Member
    listed: Source | None
    """The list that the marks are turned into; None where the marks are the events."""


def neurons_of(
    program: Program, number: int, memory: Memory, queues: Queues, synapses: list[Synapse]
) -> Neurons:
    population = program.populations[number]
    assert isinstance(population, NeuronPopulation)
    model = population.neuron
    size = n_neurons(population)
    by_channel = _by_channel(population)
    output = number == program.output
    has_readers = any(memory.find(number, role) for role in (Role.EVENTS, Role.TRAINS))
    return Neurons(
        number=number,
        name=population.name,
        size=size,
        channels=population.shape[0] if by_channel else 1,
        area=size // population.shape[0] if by_channel else size,
        currents=_currents(program, number, memory, synapses),
        pool=_pool(population) if population.pool else None,
        v=memory.find(number, Role.MEMBRANES),
        synaptic=memory.find(number, Role.SYNAPTIC),
        leak=model.leak.shifts,
        synaptic_leak=model.synaptic_leak.shifts if model.synaptic_leak else (),
        drives_new=model.synaptic_order is SynapticOrder.NEW,
        fire=model.fire.value,
        reset=_reset(model),
        payload_bits=model.payload_bits,
        v_min=model.v_min,
        v_max=model.v_max,
        clamps=can_clamp(program, number),
        width=int(model.width),
        parameters=_parameters(population, f"p{number}"),
        out=source_of(program, number, memory, queues) if has_readers else None,
        scores=_scores(program, model) if output else "",
    )


def gate_of(program: Program, number: int, memory: Memory, queues: Queues, arithmetic: Arithmetic) -> Gate:
    gate = program.populations[number]
    assert isinstance(gate, GatePopulation)
    shape = program.populations[gate.source].shape
    listed = source_of(program, number, memory, queues) if queues is Queues.LISTS else None
    return Gate(
        number=number,
        name=gate.name,
        size=n_neurons(gate),
        bits=payload_bits(program, gate),
        source=source_of(program, gate.source, memory, queues),
        split=split_of((shape[0], shape[1], shape[2]), arithmetic),
        grid=window_grid(shape, gate.window, arithmetic),
        origin=arithmetic.times("c", gate.shape[1] * gate.shape[2]),
        seen=memory.get(number, Role.SEEN if listed else Role.EVENTS),
        listed=listed,
    )


def _currents(program: Program, number: int, memory: Memory, synapses: list[Synapse]) -> Currents:
    once = tuple(s for s in synapses if s.post == number and s.once)
    moving = tuple(s for s in synapses if s.post == number and not s.once)
    constant, total = memory.find(number, Role.CONSTANT), memory.find(number, Role.CURRENT)
    shift = common_shift(program, number)
    member = total or constant
    if member is None:
        raise UnsupportedError(
            f"{program.populations[number].name}: found no projection into it, expected at least one"
        )
    return Currents(
        cells=currents_of(program, number),
        total=member,
        constant=constant,
        wait=_wait(program, number, once),
        once=once,
        moving=moving,
        rounded=memory.find(number, Role.ROUNDED),
        constant_rounded=memory.find(number, Role.CONSTANT_ROUNDED),
        shift=0 if once else shift,
        settle=shift if once else 0,
    )


def _wait(program: Program, number: int, once: tuple[Synapse, ...]) -> int:
    delays = {program.projections[s.number].delay for s in once}
    if len(delays) > 1:
        raise UnsupportedError(
            f"{program.populations[number].name}: found a constant input that arrives after several delays,"
            f" {sorted(delays)}, expected one"
        )
    return delays.pop() if delays else 0


def _by_channel(population: NeuronPopulation) -> bool:
    channels, size = population.shape[0], n_neurons(population)
    lengths = {len(getattr(population.neuron, name)) for name in used_parameters(population)}
    return channels != size and channels > 1 and channels in lengths


def _parameters(population: NeuronPopulation, owner: str) -> dict[str, Parameter]:
    found = {}
    by_channel = _by_channel(population)
    for name in used_parameters(population):
        values = getattr(population.neuron, name)
        array = f"{owner}_{name}"
        if len(values) == 1:
            value = "(-2147483647 - 1)" if values[0] == -(1 << 31) else str(values[0])
            found[name] = Parameter(f"({value})" if values[0] < 0 else value, "")
        elif len(values) == population.shape[0] and by_channel:
            found[name] = Parameter("", array)
        else:
            found[name] = Parameter(array, "")
    return found


def _pool(population: NeuronPopulation) -> Pool:
    window, shape = population.pool, population.current_shape
    assert isinstance(window, Window)
    assert shape is not None
    out = (population.shape[1], population.shape[2])
    return Pool(shape[0], window.kernel, window.stride, window.padding, (shape[1], shape[2]), out)


def _reset(model: IntegerNeuron) -> str:
    if model.fire is Fire.SILENT or model.reset is Reset.NONE:
        return "none"
    return str(model.reset.value)


def can_clamp(program: Program, number: int) -> bool:
    """Whether some input could bring a membrane of population ``number`` to a bound, in any number of steps.

    |v| stays below the largest of: where it starts, what a reset leaves, and where leak and drive balance
    (floors add at most 2 to the drive). Without a leak nothing holds it but the clamp.
    """
    population = program.populations[number]
    assert isinstance(population, NeuronPopulation)
    model = population.neuron
    resets = model.fire is not Fire.SILENT and model.reset is not Reset.NONE
    adds = resets and model.reset is Reset.SUBTRACT and min(model.reset_q) < 0
    if model.synaptic_leak is not None or adds or not model.leak.shifts:
        return True
    drive = largest_total(program, number) + max(map(abs, model.bias_q)) + 2
    left = max(map(abs, model.reset_q)) + max(map(abs, model.threshold_q)) if resets else 0
    balance = drive / sum(2.0**-k for k in model.leak.shifts)
    return max(balance, left, *map(abs, model.start_q)) >= min(-model.v_min, model.v_max)


def _scores(program: Program, model: IntegerNeuron) -> str:
    """How the scores are kept, once they are known to fit 32 bits; UnsupportedError otherwise."""
    steps, most = program.input.n_steps, 0
    if program.readout is Readout.COUNT:
        most = ((1 << model.payload_bits) - 1) * steps
    elif program.readout is Readout.MEMBRANE_SUM:
        most = min(steps * max(-model.v_min, model.v_max), _summed_membrane(program, model))
    if most >= 1 << 31:
        raise UnsupportedError(
            f"readout {program.readout.value}: found scores that could reach {most}, expected them below 2^31"
        )
    return str(program.readout.value)


def _summed_membrane(program: Program, model: IntegerNeuron) -> int:
    """Bound of a silent neuron's membranes, summed over a sample: no leak lets them grow by more than the
    largest current of a step (and 1 for two floors)."""
    steps = program.input.n_steps
    if model.fire is not Fire.SILENT:
        return 1 << 62
    drive = largest_total(program, program.output) * (steps if model.synaptic_leak is not None else 1)
    step = drive + max(map(abs, model.bias_q)) + 1
    return int(steps * max(map(abs, model.start_q)) + step * steps * (steps + 1) / 2) + 1
