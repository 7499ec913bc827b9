"""Interval analysis of an integer graph: what currents and membranes can reach, whatever the input.

Intervals are per entry of a population's parameter axis: one per channel, or one per neuron.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporter.graph import Graph, Input, Neuron, Pool, Scale, Synapse, by_name
from exporter.reference_ops import Integers, shifted
from exporter.wiring import fan_in, neurons, origins
from runtime.errors import UnsupportedError
from runtime.spec import Fire, FloatNeuron, InputSpec, IntegerNeuron, Leak, Reset, SynapticOrder

INT32_LIMIT = 1 << 31
WIDE = (1 << 30) - 1
"""Clamp of 32-bit states: leaves room for one step's current, so that no step leaves int32."""
ROUNDS = 512


@dataclass(frozen=True)
class Interval:
    """Inclusive bounds, one pair per entry of the parameter axis."""

    low: Integers
    high: Integers

    def within(self, lowest: int, highest: int) -> bool:
        return bool(self.low.min() >= lowest and self.high.max() <= highest)

    def hull(self, other: Interval) -> Interval:
        return Interval(np.minimum(self.low, other.low), np.maximum(self.high, other.high))

    def clamped(self, lowest: int, highest: int) -> Interval:
        return Interval(self.low.clip(lowest, highest), self.high.clip(lowest, highest))


@dataclass(frozen=True)
class Reach:
    """What one population can reach: ``current``, membrane ``before`` the comparison, ``stored``."""

    current: Interval
    before: Interval
    stored: Interval


def axis_length(graph: Graph, neuron: Neuron, shape: tuple[int, ...]) -> int:
    """Entries of a population's parameter axis: its channels, or its neurons where something needs that."""
    n = math.prod(shape)
    model = neuron.model
    tuples = (
        (model.threshold, model.reset_value, model.bias, model.start, model.v_leak)
        if isinstance(model, FloatNeuron)
        else (model.threshold_q, model.reset_q, model.bias_q, model.start_q, model.payload_shift)
    )
    single = any(len(values) == n for values in tuples) or any(
        isinstance(s, Scale) and s.weight.size == n for s in fan_in(graph, neuron).synapses
    )
    return n if single else shape[0]


def spread(values: NDArray[Any], length: int) -> NDArray[Any]:
    """Values per channel repeated over the neurons of each channel, to ``length`` entries."""
    return np.repeat(values, length // len(values))


def input_payloads(spec: InputSpec) -> tuple[int, int]:
    """Smallest and largest integer a step of the input can carry per element."""
    highest = (1 << spec.bits) - 1
    return (-highest if spec.signed else 0), highest


def payloads(graph: Graph, synapse: Synapse) -> tuple[int, int]:
    """Smallest and largest payload sum that one presynaptic address of a synapse can carry in a step."""
    low = high = 0
    for origin in origins(graph, synapse):
        cells = math.prod(origin.window.kernel) if origin.window else 1
        lowest, highest = _payloads_of(graph, origin.population)
        low, high = low + cells * lowest, high + cells * highest
    return low, high


def _payloads_of(graph: Graph, name: str) -> tuple[int, int]:
    node = by_name(graph)[name]
    while isinstance(node, Pool):
        node = by_name(graph)[node.source]
    if isinstance(node, Input):
        return input_payloads(node.spec)
    assert isinstance(node, Neuron)
    return (0, 0) if node.model.fire is Fire.SILENT else (0, (1 << node.model.payload_bits) - 1)


def acc_interval(graph: Graph, synapse: Synapse) -> Interval:
    """Bounds of the accumulated integers per output channel, also of every partial sum."""
    low, high = payloads(graph, synapse)
    weight = synapse.weight.astype(np.int64).reshape(len(synapse.weight), -1)
    positive, negative = weight.clip(min=0).sum(axis=1), weight.clip(max=0).sum(axis=1)
    return Interval(positive * low + negative * high, positive * high + negative * low)


def current_interval(graph: Graph, neuron: Neuron, length: int) -> Interval:
    """Bounds of the current of one step."""
    total = Interval(np.zeros(length, np.int64), np.zeros(length, np.int64))
    for synapse in fan_in(graph, neuron).synapses:
        acc = acc_interval(graph, synapse)
        low, high = (spread(shifted(x, synapse.shift), length) for x in (acc.low, acc.high))
        total = Interval(total.low + low, total.high + high)
    return total


def reach(model: IntegerNeuron, current: Interval) -> Reach:
    """Bounds that hold at every step of a run of any length.

    Iterates the step on intervals; bounds still moving after ``ROUNDS`` rounds go to the clamp.
    """
    drive = current
    if model.synaptic_leak is not None:
        i = _settle(model, model.synaptic_leak, current)
        after = _charge(i, model.synaptic_leak, current)
        drive = after if model.synaptic_order is SynapticOrder.NEW else i
    length = len(current.low)
    start, bias = (_axis(values, length) for values in (model.start_q, model.bias_q))
    drive = Interval(drive.low + bias, drive.high + bias)
    stored = before = Interval(start, start)
    for _ in range(ROUNDS):
        grown = stored.hull(_after(model, _charge(stored, model.leak, drive)))
        if np.array_equal(grown.low, stored.low) and np.array_equal(grown.high, stored.high):
            return Reach(current, _charge(stored, model.leak, drive), stored)
        before, stored = stored, grown
    moving = (stored.low != before.low) | (stored.high != before.high)
    stored = Interval(np.where(moving, model.v_min, stored.low), np.where(moving, model.v_max, stored.high))
    return Reach(current, _charge(stored, model.leak, drive), stored)


def _settle(model: IntegerNeuron, leak: Leak, current: Interval) -> Interval:
    """Bounds of the stored synaptic current."""
    silent = replace(model, synaptic_leak=None, leak=leak, fire=Fire.SILENT, reset=Reset.NONE)
    return reach(replace(silent, bias_q=(0,), start_q=(0,)), current).stored


def _charge(v: Interval, leak: Leak, drive: Interval) -> Interval:
    """One leak and charge. Two floors together can step back by one, hence their slack of 1."""
    slack = max(len(leak.shifts) - 1, 0)
    low, high = (x - sum((x >> k for k in leak.shifts), start=np.zeros_like(x)) for x in (v.low, v.high))
    return Interval(low - slack + drive.low, high + slack + drive.high)


def _after(model: IntegerNeuron, u: Interval) -> Interval:
    """Stored membranes after firing or not, reset and clamp."""
    length = len(u.low)
    threshold = _axis(model.threshold_q, length)
    if model.fire is Fire.SILENT or model.reset is Reset.NONE:
        return u.clamped(model.v_min, model.v_max)
    quiet = Interval(np.minimum(u.low, threshold - 1), np.minimum(u.high, threshold - 1))
    fired = _reset(model, Interval(np.maximum(u.low, threshold), u.high))
    can, must = u.high >= threshold, u.low >= threshold
    low = np.where(must, fired.low, np.where(can, np.minimum(fired.low, quiet.low), quiet.low))
    high = np.where(must, fired.high, np.where(can, np.maximum(fired.high, quiet.high), quiet.high))
    return Interval(low, high).clamped(model.v_min, model.v_max)


def _reset(model: IntegerNeuron, fired: Interval) -> Interval:
    length = len(fired.low)
    amount = _axis(model.reset_q, length)
    if model.reset is Reset.VALUE:
        return Interval(amount, amount)
    if model.fire is Fire.GRADED:
        shift = _axis(model.payload_shift, length)
        most = ((1 << model.payload_bits) - 1) << shift
        return Interval(np.zeros_like(amount), np.maximum((1 << shift) - 1, fired.high - most))
    return Interval(fired.low - amount, fired.high - amount)


def _axis(values: tuple[int, ...], length: int) -> Integers:
    return spread(np.asarray(values, np.int64), length)


def prove_int32(graph: Graph) -> None:
    """``UnsupportedError`` naming the layer where some input could push a step out of int32."""
    for neuron in neurons(graph):
        model = neuron.model
        assert isinstance(model, IntegerNeuron)
        total = 0
        for synapse in fan_in(graph, neuron).synapses:
            acc = acc_interval(graph, synapse)
            largest = int(max(-acc.low.min(), acc.high.max())) + (1 << max(-synapse.shift - 1, 0))
            total += largest << max(synapse.shift, 0)
            _fits(synapse.name, total)
        state = max(-model.v_min, model.v_max) * (2 if model.synaptic_leak else 1)
        _fits(neuron.name, total + state + max(map(abs, model.bias_q)) + max(map(abs, model.reset_q)))


def _fits(name: str, largest: int) -> None:
    if largest >= INT32_LIMIT:
        raise UnsupportedError(f"{name}: found sums that could reach {largest}, expected them below 2^31")
