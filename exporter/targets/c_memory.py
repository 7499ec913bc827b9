"""A ``MemoryPlan`` as one C union: every buffer a member at its offset, those of different lives on top of
each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from exporter.buffers import Buffer
from exporter.plan import Kind, MemoryPlan, Order, Queues, payload_bits
from runtime.program import GatePopulation, NeuronPopulation, Program, n_neurons
from runtime.spec import Coding


class Role(Enum):
    """What the engine uses a buffer for; the value is the member's name behind its population's."""

    MEMBRANES = "v"
    SYNAPTIC = "i"
    CURRENT = "acc"
    ROUNDED = "rounded"
    CONSTANT = "constant"
    CONSTANT_ROUNDED = "constant_rounded"
    EVENTS = "events"
    TRAINS = "trains"
    FRAMES = "frames"
    SAMPLE = "sample"
    SEEN = "seen"
    SCORES = "scores"


@dataclass(frozen=True)
class Field:
    """A C member: ``c_type name[count]``, or ``c_type name`` where count is 0."""

    c_type: str
    name: str
    count: int = 0


@dataclass(frozen=True)
class Member:
    """One buffer. ``slots`` of ``slot_bytes`` hold the steps that delays read; each is made of ``fields``."""

    name: str
    role: Role
    population: int
    offset: int
    bytes: int
    what: str
    fields: tuple[Field, ...]
    slots: int = 1
    slot_bytes: int = 0


@dataclass(frozen=True)
class Memory:
    """The net's RAM: the plan's buffers, and counters behind them."""

    members: tuple[Member, ...]
    plan_bytes: int
    counters: tuple[Field, ...]

    @property
    def bytes(self) -> int:
        return self.plan_bytes + 4 * len(self.counters)

    def find(self, population: int, role: Role) -> Member | None:
        for member in self.members:
            if (member.population, member.role) == (population, role):
                return member
        return None

    def get(self, population: int, role: Role) -> Member:
        member = self.find(population, role)
        assert member is not None, (population, role)
        return member


def memory_of(program: Program, plan: MemoryPlan) -> Memory:
    """The members of the union, in the order of the program."""
    numbers = {population.name: number for number, population in enumerate(program.populations)}
    members: list[Member] = []
    taken: set[tuple[int, Role]] = set()
    for buffer in sorted(plan.buffers, key=lambda b: (numbers[b.layer], b.offset)):
        number = numbers[buffer.layer]
        role = _role(program, number, buffer, taken)
        if role is Role.EVENTS and plan.options.order is Order.ROWS:
            role = Role.TRAINS
        taken.add((number, role))
        members.append(_member(program, plan, number, role, buffer))
    rings = [Field("uint32_t", f"p{m.population}_at") for m in members if m.slots > 1]
    counters = (Field("uint32_t", "step"), Field("uint32_t", "dropped"), *rings)
    return Memory(tuple(members), plan.ram_bytes, counters)


ROLES: Mapping[Kind, Role] = {
    Kind.MEMBRANES: Role.MEMBRANES,
    Kind.SYNAPTIC_STATE: Role.SYNAPTIC,
    Kind.CONSTANT_CURRENT: Role.CONSTANT,
    Kind.SAMPLE: Role.SAMPLE,
    Kind.EVENT_QUEUES: Role.EVENTS,
    Kind.SCRATCH: Role.SCORES,
    Kind.ACCUMULATORS: Role.CURRENT,
}


def _role(program: Program, number: int, buffer: Buffer, taken: set[tuple[int, Role]]) -> Role:
    """What the engine does with a buffer of the plan."""
    kind = Kind(buffer.kind)
    if kind is Kind.EVENT_QUEUES and number == 0 and program.input.coding is Coding.DIRECT:
        return Role.FRAMES
    if kind is Kind.SCRATCH and isinstance(program.populations[number], GatePopulation):
        return Role.SEEN
    if kind is Kind.ACCUMULATORS and buffer.first == 0:
        return Role.CONSTANT_ROUNDED
    if kind is Kind.ACCUMULATORS and (number, Role.CURRENT) in taken:
        return Role.ROUNDED
    return ROLES[kind]


def _member(program: Program, plan: MemoryPlan, number: int, role: Role, buffer: Buffer) -> Member:
    fields, slot = _fields(program, plan.options.queues, number, role, buffer.bytes)
    what = f"{buffer.kind} of {buffer.layer}"
    slots = buffer.bytes // slot
    return Member(
        f"p{number}_{role.value}", role, number, buffer.offset, buffer.bytes, what, fields, slots, slot
    )


def _fields(
    program: Program, queues: Queues, number: int, role: Role, size: int
) -> tuple[tuple[Field, ...], int]:
    """The fields of one slot, and its bytes."""
    population = program.populations[number]
    if role in (Role.MEMBRANES, Role.SYNAPTIC):
        assert isinstance(population, NeuronPopulation)
        width = int(population.neuron.width)
        return (Field(f"int{width}_t", "at", size // (width // 8)),), size
    if role in (Role.SEEN, Role.TRAINS):
        return (Field("uint8_t", "at", size),), size
    if role is Role.FRAMES:
        width = 2 if program.input.bits + program.input.sample_shift + program.input.signed > 8 else 1
        sign = "" if program.input.signed else "u"
        items = n_neurons(population)
        return (Field(f"{sign}int{8 * width}_t", "at", items),), items * width
    if role is Role.SAMPLE:
        items = n_neurons(population)
        sign = "" if program.input.coding is Coding.DELTA else "u"
        return (Field(f"{sign}int{8 * size // items}_t", "at", items),), size
    if role is Role.EVENTS:
        return _queue(program, queues, number)
    return (Field("int32_t", "at", size // 4),), size


def _queue(program: Program, queues: Queues, number: int) -> tuple[tuple[Field, ...], int]:
    population = program.populations[number]
    n, bits = n_neurons(population), payload_bits(program, population)
    if queues is Queues.BITMAPS:
        planes = (n * bits + 7) // 8
        return (Field("uint8_t", "bits", planes),), planes
    index = 1 if n <= 1 << 8 else 2 if n <= 1 << 16 else 4
    count = 2 if n < 1 << 16 else 4
    payload = 0 if bits == 1 else 1 if bits <= 8 else 2
    parts = [Field(f"uint{8 * index}_t", "index", n)]
    if payload:
        parts.insert(0 if payload >= index else 1, Field(f"uint{8 * payload}_t", "payload", n))
    slot = -(-(count + n * (index + payload)) // count) * count
    return (Field(f"uint{8 * count}_t", "count"), *parts), slot
