"""What the Verilog core does for each layer, and what of a program it has no form for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from exporter.ranges import Interval, Reach, reach
from runtime.encodings import decode
from runtime.parameters import per_neuron
from runtime.program import LinearSynapses, NeuronPopulation, Program, Projection
from runtime.spec import Coding, Fire, IntegerNeuron, Reset

FIELDS = ("threshold", "reset_by", "bias", "start")
Whole = NDArray[np.int64]


@dataclass(frozen=True)
class Layer:
    """A population of neurons and the one table that feeds it, (sources, neurons)."""

    name: str
    neuron: IntegerNeuron
    weights: NDArray[np.int32]
    bits: int
    shift: int
    values: dict[str, Whole]
    """``FIELDS``, one value a neuron."""
    payload: int = 1
    """The largest magnitude of what a source gives."""
    signed: bool = False
    """Whether it may be negative."""

    @property
    def neurons(self) -> int:
        return int(self.weights.shape[1])

    @cached_property
    def arriving(self) -> Interval:
        """What the sum of a step can be, neuron by neuron, before its shift."""
        weights = self.weights.astype(np.int64) * self.payload
        positive, negative = weights.clip(min=0).sum(axis=0), weights.clip(max=0).sum(axis=0)
        if self.signed:
            return Interval(negative - positive, positive - negative)
        return Interval(negative, positive)

    @cached_property
    def proved(self) -> Reach:
        """What a membrane can be in runs of any length, whatever the input."""
        found = self.arriving
        return reach(self.neuron, Interval(shifted(found.low, self.shift), shifted(found.high, self.shift)))

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
    feeding = {projection.post: projection for projection in program.projections}
    return tuple(
        _layer(program, population, feeding[number])
        for number, population in enumerate(program.populations)
        if isinstance(population, NeuronPopulation)
    )


def _layer(program: Program, population: NeuronPopulation, projection: Projection) -> Layer:
    table, neuron = program.tables[projection.table], population.neuron
    given = (neuron.threshold_q, neuron.reset_q, neuron.bias_q, neuron.start_q)
    values = [per_neuron(one, population.shape).astype(np.int64) for one in given]
    named = dict(zip(FIELDS, values, strict=True))
    heard = projection.pre == 0
    payload = (1 << program.input.bits) - 1 if heard else 1
    signed = heard and program.input.signed
    return Layer(population.name, neuron, decode(table), table.bits, projection.shift, named, payload, signed)


def shifted(total: Whole, shift: int) -> Whole:
    """What a sum is worth to a membrane: shifted to the left, or rounded to the right."""
    return total << shift if shift >= 0 else (total + (1 << -shift - 1)) >> -shift


def _of_input(program: Program) -> Iterator[str]:
    spec = program.input
    if spec.coding is not Coding.DIRECT and spec.bits != 1:
        yield f"{spec.coding.value} input of {spec.bits} bits"


def _of_populations(program: Program) -> Iterator[str]:
    for number, population in enumerate(program.populations[1:], 1):
        if not isinstance(population, NeuronPopulation):
            yield f"{population.name}: pooling of spikes"
            continue
        if population.pool is not None:
            yield f"{population.name}: pooling of currents"
        if population.neuron.fire is Fire.GRADED:
            yield f"{population.name}: graded spikes"
        if population.neuron.synaptic_leak is not None:
            yield f"{population.name}: a synaptic current"
        arriving = [p for p in program.projections if p.post == number]
        if len(arriving) != 1 or arriving[0].pre != number - 1:
            yield f"{population.name}: sources other than the layer before it"
    if program.output != len(program.populations) - 1:
        yield f"{program.populations[program.output].name}: an output that is not the last layer"


def _of_projections(program: Program) -> Iterator[str]:
    for projection in program.projections:
        if not isinstance(projection.synapses, LinearSynapses):
            yield f"{projection.name}: {type(projection.synapses).__name__.removesuffix('Synapses').lower()}"
        if projection.pool is not None:
            yield f"{projection.name}: pooling"
        if projection.delay:
            yield f"{projection.name}: a delay"
        if projection.shift < 0 and not (projection.pre == 0 and program.input.coding is Coding.DIRECT):
            yield f"{projection.name}: a rounding shift"
        bits = program.tables[projection.table].bits
        if bits > 8:
            yield f"{projection.name}: weights of {bits} bits"


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
