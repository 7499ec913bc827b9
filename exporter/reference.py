"""Runs a graph in plain numpy, in integers or in real units. What it says is what is right.

The neuron is in ``reference_neuron``, the synapses and pools in ``reference_ops``; this file walks the
nodes through the time steps. Every array inside a step is (samples, *shape of the node).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from exporter.check import check, check_integer, is_integer
from exporter.graph import (
    Add,
    BatchNorm,
    Flatten,
    Graph,
    Input,
    Neuron,
    Node,
    Pool,
    Reals,
    Scale,
    Synapse,
    sources,
)
from exporter.reference_neuron import (
    FloatState,
    IntegerState,
    start_float,
    start_integer,
    step_float,
    step_integer,
)
from exporter.reference_ops import accumulate, per_neuron, pooled, shifted, transfer
from exporter.wiring import delay_of, fixed_nodes, input_of, neurons
from runtime.errors import DataError, ModelError
from runtime.spec import FloatNeuron, IntegerNeuron, Readout
from runtime.trace import Trace

Array = NDArray[Any]
Values = dict[str, Array]


@dataclass(frozen=True)
class FloatTrace:
    """As ``runtime.trace.Trace``, with membranes and scores in real units."""

    spikes: Mapping[str, NDArray[np.int32]]
    membranes: Mapping[str, Reals]
    scores: Reals
    predictions: NDArray[np.int64]


Watch = Callable[[Synapse, Array], None]
"""Called at every step with each synapse and what reaches it: (samples, *shape of its source)."""


def run(graph: Graph, coded: NDArray[np.integer], watch: Watch | None = None) -> Trace:
    """Trace of an integer graph on coded input of shape (steps, samples, *input shape)."""
    shapes = check_integer(graph)
    spikes, membranes = _walk(graph, shapes, coded, _Integers(), watch)
    scores = read_out(graph, spikes, membranes).astype(np.int64)
    return Trace(_as_int32(spikes), _as_int32(membranes), scores, scores.argmax(axis=1))


def run_float(graph: Graph, coded: NDArray[np.integer]) -> FloatTrace:
    """Trace in real units; integer weights count as ``weight * scale``, the input as ``integer * scale``."""
    shapes = check(graph)
    spikes, membranes = _walk(graph, shapes, coded, _Reals(input_of(graph).spec.scale))
    scores = read_out(graph, spikes, membranes).astype(np.float64)
    return FloatTrace(_as_int32(spikes), membranes, scores, scores.argmax(axis=1))


def read_out(graph: Graph, spikes: Mapping[str, Array], membranes: Mapping[str, Array]) -> Array:
    """Scores (samples, classes) from the output population's (steps, samples, neurons)."""
    match graph.readout:
        case Readout.COUNT:
            return np.asarray(spikes[graph.output].sum(axis=0))
        case Readout.MEMBRANE_LAST:
            return np.asarray(membranes[graph.output][-1])
        case Readout.MEMBRANE_MAX:
            return np.asarray(membranes[graph.output].max(axis=0))
        case Readout.MEMBRANE_SUM:
            return np.asarray(membranes[graph.output].sum(axis=0))


def real_weight(synapse: Synapse) -> Reals:
    """Weights in real units: as they are, or whole numbers times their scale."""
    weight = synapse.weight.astype(np.float64)
    if not is_integer(synapse) or synapse.scale is None:
        return weight
    return weight * synapse.scale.reshape(-1, *([1] * (weight.ndim - 1)))


class _Arithmetic(Protocol):
    """How one of the two legs computes a node; it keeps the neurons' state between steps."""

    def receive(self, frame: Array) -> Array: ...

    def synapse(self, node: Synapse, x: Array) -> Array: ...

    def neuron(self, node: Neuron, current: Array) -> tuple[Array, Array]:
        """Payloads and stored membrane."""
        ...


class _Integers:
    def __init__(self) -> None:
        self.states: dict[str, IntegerState] = {}

    def receive(self, frame: Array) -> Array:
        return frame.astype(np.int64)

    def synapse(self, node: Synapse, x: Array) -> Array:
        return shifted(accumulate(node, x), node.shift)

    def neuron(self, node: Neuron, current: Array) -> tuple[Array, Array]:
        assert isinstance(node.model, IntegerNeuron)
        before = self.states.get(node.name) or start_integer(node.model, len(current), current.shape[1:])
        payload, self.states[node.name] = step_integer(node.model, before, current)
        return payload, self.states[node.name].v


class _Reals:
    def __init__(self, input_scale: float) -> None:
        self.input_scale = input_scale
        self.states: dict[str, FloatState] = {}

    def receive(self, frame: Array) -> Array:
        return frame * self.input_scale

    def synapse(self, node: Synapse, x: Array) -> Array:
        current = transfer(node, real_weight(node), x.astype(np.float64))
        if isinstance(node, Scale) or node.bias is None:
            return current
        return np.asarray(current + per_neuron(node.bias, current.shape[1:]))

    def neuron(self, node: Neuron, current: Array) -> tuple[Array, Array]:
        if not isinstance(node.model, FloatNeuron):
            raise ModelError(f"{node.name}: found an integer neuron, expected one in real units")
        before = self.states.get(node.name) or start_float(node.model, len(current), current.shape[1:])
        payload, self.states[node.name] = step_float(node.model, before, current)
        return payload, self.states[node.name].v


def _walk(
    graph: Graph,
    shapes: Mapping[str, tuple[int, ...]],
    coded: Array,
    arithmetic: _Arithmetic,
    watch: Watch | None = None,
) -> tuple[Values, Values]:
    """Payloads and membranes of every neuron, each (steps, samples, neurons)."""
    _check_coded(graph, coded)
    silence = {name: np.zeros((coded.shape[1], *shape), np.int64) for name, shape in shapes.items()}
    fixed = fixed_nodes(graph)
    spikes: dict[str, list[Array]] = {n.name: [] for n in neurons(graph)}
    membranes: dict[str, list[Array]] = {n.name: [] for n in neurons(graph)}
    past: list[Values] = []
    for frame in coded:
        values = {name: past[-1][name] for name in fixed} if past else {}
        for node in graph.nodes:
            seen = _seen(node, values, past, silence)
            if watch is not None and isinstance(node, Synapse):
                watch(node, seen[0])
            if node.name in values:
                continue
            if isinstance(node, Neuron):
                values[node.name], v = arithmetic.neuron(node, seen[0])
                spikes[node.name].append(_flat(values[node.name]))
                membranes[node.name].append(_flat(v))
            else:
                values[node.name] = _output(node, seen or (frame,), arithmetic)
        past = [*past, values][-max(1, *map(delay_of, graph.nodes)) :]
    return _stacked(spikes), _stacked(membranes)


def _seen(node: Node, values: Values, past: list[Values], silence: Values) -> tuple[Array, ...]:
    """What a node reads this step: of this step, or of ``delay`` steps before."""
    delay = delay_of(node)
    if delay == 0:
        return tuple(values[name] for name in sources(node))
    return tuple(past[-delay][name] if delay <= len(past) else silence[name] for name in sources(node))


def _output(node: Node, seen: tuple[Array, ...], arithmetic: _Arithmetic) -> Array:
    """Output of a node without state."""
    x = seen[0]
    match node:
        case Input():
            return arithmetic.receive(x)
        case Add():
            return np.asarray(np.sum(seen, axis=0))
        case BatchNorm():
            gain, offset = (per_neuron(values, x.shape[1:]) for values in (node.gain, node.offset))
            return np.asarray(x * gain + offset)
        case Pool():
            return pooled(node, x)
        case Flatten():
            return x.reshape(len(x), -1)
        case Neuron():
            raise AssertionError("a neuron has state")
        case _:
            return arithmetic.synapse(node, x)


def _check_coded(graph: Graph, coded: Array) -> None:
    expected = tuple(input_of(graph).spec.shape)
    if coded.ndim != len(expected) + 2 or coded.shape[2:] != expected or coded.shape[0] < 1:
        raise DataError(f"coded input: found shape {coded.shape}, expected (steps, samples, *{expected})")
    if not np.issubdtype(coded.dtype, np.integer):
        raise DataError(f"coded input: found {coded.dtype}, expected integers")


def _flat(x: Array) -> Array:
    flat: Array = x.reshape(len(x), -1)
    return flat


def _stacked(found: Mapping[str, list[Array]]) -> Values:
    return {name: np.stack(steps) for name, steps in found.items()}


def _as_int32(found: Mapping[str, Array]) -> dict[str, NDArray[np.int32]]:
    return {name: value.astype(np.int32) for name, value in found.items()}
