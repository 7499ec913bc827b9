"""What a run did and what a program stores: Contract 4, in 64-bit counts and exact bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from runtime.encodings import ENCODINGS
from runtime.encodings.table import Kind
from runtime.parameters import parameter_arrays
from runtime.program import EncodedMatrix, NeuronPopulation, Program


@dataclass(frozen=True)
class ProjectionCounts:
    """Counts of one projection over a run.

    A synaptic operation is one set bit of one event's payload at one target. ``effective_acs`` counts those
    at valid targets through nonzero weights, for events; under direct coding the input's go to
    ``input_adds`` instead. ``executed_adds`` is what the kernel added, stored zeros included.
    ``fanout_synops`` counts every valid target whatever its weight; ``dense_synops`` is what a network
    without events would do: every valid synapse, in every frame that was computed (a constant input is
    computed once a sample).
    """

    effective_acs: int = 0
    input_adds: int = 0
    executed_adds: int = 0
    dense_synops: int = 0
    fanout_synops: int = 0
    events: int = 0
    """Events that reached the table (after pooling), whatever their payload."""
    index_decodes: int = 0
    """List indices, gap codes or bitmap bytes read."""
    weight_bytes: float = 0.0
    """Bytes of weights, indices and row pointers read: a row's pointers once an event, the rest per use."""

    def __add__(self, other: ProjectionCounts) -> ProjectionCounts:
        return ProjectionCounts(*(a + b for a, b in zip(_values(self), _values(other), strict=True)))


@dataclass(frozen=True)
class PopulationCounts:
    """Counts of one population over a run. Gates only compare; a silent population only updates."""

    updates: int = 0
    """Neuron updates: one leak, charge and store each."""
    spikes: int = 0
    """Events emitted, whatever their payload."""
    compares: int = 0
    resets: int = 0
    ties: int = 0
    """Spikes fired with the membrane exactly at the threshold."""
    clamps: int = 0
    """Membranes that left [v_min, v_max] and were clamped."""
    state_bytes: int = 0
    """Bytes of stored state read and written by the updates."""

    def __add__(self, other: PopulationCounts) -> PopulationCounts:
        return PopulationCounts(*(a + b for a, b in zip(_values(self), _values(other), strict=True)))


@dataclass(frozen=True)
class Counts:
    """Counts of a run by projection and population name, over ``samples`` samples of ``steps`` steps.

    Streaming counts every reset-to-reset stretch that saw a step as one sample. ``a + b`` joins two runs
    of one program; every total is the sum of the parts.
    """

    samples: int
    steps: int
    """Steps of all samples together."""
    projections: Mapping[str, ProjectionCounts]
    populations: Mapping[str, PopulationCounts]

    def __add__(self, other: Counts) -> Counts:
        if self.projections.keys() != other.projections.keys():
            raise ValueError("counts of two different programs cannot be added")
        return Counts(
            self.samples + other.samples,
            self.steps + other.steps,
            {name: part + other.projections[name] for name, part in self.projections.items()},
            {name: part + other.populations[name] for name, part in self.populations.items()},
        )

    def _projections(self, field: str) -> int:
        return int(sum(getattr(part, field) for part in self.projections.values()))

    def _populations(self, field: str) -> int:
        return int(sum(getattr(part, field) for part in self.populations.values()))

    @property
    def effective_acs(self) -> int:
        return self._projections("effective_acs")

    @property
    def input_adds(self) -> int:
        return self._projections("input_adds")

    @property
    def executed_adds(self) -> int:
        return self._projections("executed_adds")

    @property
    def dense_synops(self) -> int:
        return self._projections("dense_synops")

    @property
    def fanout_synops(self) -> int:
        return self._projections("fanout_synops")

    @property
    def index_decodes(self) -> int:
        return self._projections("index_decodes")

    @property
    def weight_bytes(self) -> int:
        return self._projections("weight_bytes")

    @property
    def neuron_updates(self) -> int:
        return self._populations("updates")

    @property
    def spikes(self) -> int:
        return self._populations("spikes")

    @property
    def compares(self) -> int:
        return self._populations("compares")

    @property
    def resets(self) -> int:
        return self._populations("resets")

    @property
    def ties(self) -> int:
        return self._populations("ties")

    @property
    def clamps(self) -> int:
        return self._populations("clamps")

    @property
    def state_bytes(self) -> int:
        return self._populations("state_bytes")


@dataclass(frozen=True)
class Footprint:
    """Stored bytes of one layer: a table of synapses, or one population's neuron parameters.

    Summed over a program they are the container file's length less its header.
    """

    layer: str
    """Names of the projections that share a table, joined by " + "; or the population's name."""
    encoding: str
    weights: int = 0
    indices: int = 0
    pointers: int = 0
    parameters: int = 0

    @property
    def total(self) -> int:
        return self.weights + self.indices + self.pointers + self.parameters


def footprint(program: Program) -> tuple[Footprint, ...]:
    """Stored bytes by layer and kind: tables in order, then populations of neurons in order."""
    lines = [_table_line(program, number, table) for number, table in enumerate(program.tables)]
    for population in program.populations:
        if isinstance(population, NeuronPopulation):
            arrays = parameter_arrays(population.neuron).values()
            stored = sum(array.nbytes for array in arrays)
            lines.append(Footprint(population.name, "parameters", parameters=stored))
    return tuple(lines)


def table_bytes(table: EncodedMatrix) -> int:
    """Bytes of a table's stored arrays."""
    return sum(array.nbytes for array in table.arrays.values())


def _table_line(program: Program, number: int, table: EncodedMatrix) -> Footprint:
    kinds = ENCODINGS[table.encoding].kinds
    stored = dict.fromkeys(Kind, 0)
    for name, array in table.arrays.items():
        stored[kinds[name]] += array.nbytes
    users = " + ".join(p.name for p in program.projections if p.table == number)
    return Footprint(users, table.encoding, stored[Kind.WEIGHTS], stored[Kind.INDICES], stored[Kind.POINTERS])


def _values(counts: ProjectionCounts | PopulationCounts) -> list[int]:
    return [getattr(counts, field.name) for field in fields(counts)]
