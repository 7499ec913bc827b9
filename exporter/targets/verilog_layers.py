"""What the Verilog core does for each layer, and what of a program it has no form for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from exporter.ranges import Interval, Reach, reach
from exporter.targets.verilog_segments import Segment, gate, segment
from runtime.parameters import per_neuron
from runtime.program import GatePopulation, NeuronPopulation, Program, n_neurons
from runtime.spec import Coding, Fire, IntegerNeuron, Leak, Reset, StateWidth

FIELDS = ("threshold", "reset_by", "bias", "start")
Whole = NDArray[np.int64]


OR = IntegerNeuron(
    leak=Leak(()),
    fire=Fire.BINARY,
    reset=Reset.VALUE,
    width=StateWidth.INT16,
    v_min=0,
    v_max=1,
    frac_bits=0,
    threshold_q=(1,),
    reset_q=(0,),
    bias_q=(0,),
    start_q=(0,),
)
"""A gate as a neuron: any event fires it, and nothing is left behind."""


@dataclass(frozen=True)
class Layer:
    """A population of neurons and the segments of synapses that feed it."""

    name: str
    neuron: IntegerNeuron
    segments: tuple[Segment, ...]
    values: dict[str, Whole]
    """``FIELDS``, one value a neuron."""
    traced: bool = True
    """Whether the engine keeps what its neurons do: not of a gate."""

    @property
    def neurons(self) -> int:
        return len(self.values["threshold"])

    @cached_property
    def proved(self) -> Reach:
        """What a membrane can be in runs of any length, whatever the input."""
        low = sum((shifted(one.arriving.low, one.shift) for one in self.segments), np.zeros(1, np.int64))
        high = sum((shifted(one.arriving.high, one.shift) for one in self.segments), np.zeros(1, np.int64))
        return reach(self.neuron, Interval(low, high))

    @property
    def clamps(self) -> bool:
        """Whether a membrane may leave its stored range before it is stored."""
        low, high = self._after_reset
        return not self.neuron.v_min <= low <= high <= self.neuron.v_max

    @property
    def reach(self) -> int:
        """The largest magnitude of any membrane, level or reset. On the way to one the sum may wrap."""
        stored = self.proved.stored
        met = (
            self.proved.before.low,
            self.proved.before.high,
            stored.low,
            stored.high,
            *self.values.values(),
        )
        rest = self.values["start"] + self.values["bias"]
        return max(
            *(int(np.abs(one).max()) for one in (*met, rest)), *(abs(end) for end in self._after_reset)
        )

    @property
    def _after_reset(self) -> tuple[int, int]:
        """Least and largest membrane between reset and clamp."""
        low, high = self.proved.before.low, self.proved.before.high
        if self.neuron.fire is Fire.SILENT or self.neuron.reset is Reset.NONE:
            return int(low.min()), int(high.max())
        threshold, by = self.values["threshold"], self.values["reset_by"]
        fired = Interval(np.maximum(low, threshold), high)
        can = fired.low <= fired.high
        left = (by, by) if self.neuron.reset is Reset.VALUE else (fired.low - by, fired.high - by)
        quiet = np.minimum(high, threshold - 1)
        lowest = np.where(can, np.minimum(left[0], np.minimum(low, quiet)), low)
        return int(lowest.min()), int(np.where(can, np.maximum(left[1], quiet), quiet).max())


def unsupported(program: Program) -> list[str]:
    """Everything of the program that the core has no form for, each by its name."""
    return [*_of_input(program), *_of_populations(program), *_of_projections(program)]


def layers_of(program: Program) -> tuple[Layer, ...]:
    """The layers of a supported program, in the order of a step."""
    return tuple(_layer(program, number) for number in range(1, len(program.populations)))


def _layer(program: Program, number: int) -> Layer:
    population = program.populations[number]
    if isinstance(population, GatePopulation):
        segments: tuple[Segment, ...] = (gate(program, population),)
    else:
        segments = tuple(segment(program, p) for p in program.projections if p.post == number)
    neuron = population.neuron if isinstance(population, NeuronPopulation) else OR
    given = (neuron.threshold_q, neuron.reset_q, neuron.bias_q, neuron.start_q)
    values = [per_neuron(one, population.shape).astype(np.int64) for one in given]
    assert len(values[0]) == n_neurons(population)
    traced = isinstance(population, NeuronPopulation)
    return Layer(population.name, neuron, segments, dict(zip(FIELDS, values, strict=True)), traced)


def shifted(total: Whole, shift: int) -> Whole:
    """What a sum is worth to a membrane: shifted to the left, or rounded to the right."""
    return total << shift if shift >= 0 else (total + (1 << -shift - 1)) >> -shift


def _of_input(program: Program) -> Iterator[str]:
    spec = program.input
    if spec.coding is not Coding.DIRECT and spec.bits != 1:
        yield f"{spec.coding.value} input of {spec.bits} bits"


def _of_populations(program: Program) -> Iterator[str]:
    for number, population in enumerate(program.populations[1:], 1):
        if isinstance(population, GatePopulation):
            if population.source == 0 and program.input.coding is Coding.DIRECT:
                yield f"{population.name}: pooling of direct input"
            continue
        if not isinstance(population, NeuronPopulation):
            continue
        if population.pool is not None:
            yield f"{population.name}: pooling of currents"
        if population.neuron.fire is Fire.GRADED:
            yield f"{population.name}: graded spikes"
        if population.neuron.synaptic_leak is not None:
            yield f"{population.name}: a synaptic current"
        if not any(p.post == number for p in program.projections):
            yield f"{population.name}: no synapses"
    last = program.populations[-1]
    if program.output != len(program.populations) - 1 or not isinstance(last, NeuronPopulation):
        yield f"{program.populations[program.output].name}: an output that is not the last layer"


def _of_projections(program: Program) -> Iterator[str]:
    hearing = [p.post for p in program.projections if p.pre == 0]
    hearing += [
        number
        for number, population in enumerate(program.populations)
        if isinstance(population, GatePopulation) and population.source == 0
    ]
    if hearing != [1]:
        yield f"{program.populations[0].name}: read {len(hearing)} times, not once and by the first layer"
    for projection in program.projections:
        if projection.delay > 1 or (
            projection.delay and (projection.pre < projection.post or projection.pre == 0)
        ):
            yield f"{projection.name}: a delay of {projection.delay}"
        if projection.shift < 0 and not (projection.pre == 0 and program.input.coding is Coding.DIRECT):
            yield f"{projection.name}: a rounding shift"


def leak_text(neuron: IntegerNeuron) -> str:
    shifts = [f"(v >>> {k})" for k in neuron.leak.shifts]
    return " - ".join(["v", *shifts])


def clamp_text(layer: Layer) -> str:
    if not layer.clamps:
        return "v"
    low, high = number(layer.neuron.v_min), number(layer.neuron.v_max)
    return f"v < {low} ? {low} : v > {high} ? {high} : v"


def reset_text(neuron: IntegerNeuron) -> str:
    match neuron.reset:
        case Reset.NONE:
            return "v"
        case Reset.VALUE:
            return "reset_by_of(layer, word)"
        case Reset.SUBTRACT:
            return "v - reset_by_of(layer, word)"


def number(value: int) -> str:
    """A signed literal wide enough for any membrane."""
    return f"-40'sd{-value}" if value < 0 else f"40'sd{value}"
