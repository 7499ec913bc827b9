"""Writes an integer graph as ONNX: one ``Scan`` over time, any number of steps and samples.

Input ``input`` is int32 (steps, samples, *shape), the coded integers. Outputs are ``scores`` int64
(samples, classes) and ``predictions`` int64 (samples,). The traced twin also gives ``<population>.spikes``
and ``<population>.membranes``, int32 (steps, samples, neurons). Runs in a stock ONNX Runtime; the document
asks for no operator beyond the standard domain.
"""

from __future__ import annotations

import math
from collections.abc import Container
from dataclasses import dataclass
from functools import partial, reduce
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from exporter.check import check_integer
from exporter.files import write_whole
from exporter.graph import Add, Conv, Flatten, Graph, Input, Linear, Neuron, Node, Pool, Scale, sources
from exporter.ranges import payloads, prove_int32
from exporter.targets.onnx_neuron import Stepped, neuron_step
from exporter.targets.onnx_ops import Constants, Scope, per_neuron
from exporter.targets.onnx_synapse import Synapses, pooled
from exporter.wiring import delay_of, fixed_nodes, input_of
from runtime.spec import IntegerNeuron, Readout

OPSET = 18
IR_VERSION = 9
INPUT = "input"
FRAME = "frame"


def export(graph: Graph, path: str | Path, *, traced: bool = False) -> None:
    """Write ``model(graph)`` to ``path``: the same graph gives the same bytes.

    ``UnsupportedError`` names the layer that has no exact form; ``OutputError`` a place not writable.
    """
    write_whole(path, model(graph, traced=traced).SerializeToString(deterministic=True))


def model(graph: Graph, *, traced: bool = False) -> onnx.ModelProto:
    """ONNX model of an integer graph, checked in full by ``onnx.checker``."""
    check_integer(graph)
    prove_int32(graph)
    built = Document(graph, traced).build()
    onnx.checker.check_model(built, full_check=True)
    return built


@dataclass(frozen=True)
class State:
    """A value that goes around the loop: its name ``before`` and ``after`` a step, and its start value."""

    before: str
    after: str
    shape: tuple[int, ...]
    start: NDArray[np.int32] | NDArray[np.int64]


class Document:
    """The main graph, the body of its one loop, and the states that go around."""

    def __init__(self, graph: Graph, traced: bool) -> None:
        self.graph = graph
        self.traced = traced
        self.shapes = check_integer(graph)
        self.constants = Constants()
        self.main = Scope("", self.constants)
        self.body = Scope("step_", self.constants)
        self.synapses = Synapses(self.main)
        self.values: dict[str, str] = {}
        self.states: list[State] = []
        self.scanned: dict[str, str] = {}
        """Per step results by their name in the main graph, each int32 (samples, neurons)."""

    def build(self) -> onnx.ModelProto:
        self.walk(fixed_nodes(self.graph))
        self._loop()
        self._read_out()
        return self._model()

    def walk(self, fixed: Container[str]) -> None:
        """Every node, in the loop's body, or outside where it is ``fixed``, and every state."""
        for node in self.graph.nodes:
            if isinstance(node, Neuron):
                self._neuron(node)
            else:
                scope = self.main if node.name in fixed else self.body
                self.values[node.name] = self._stateless(scope, node)
        for source, delay in self._delays():
            self._remember(source, delay)

    def _stateless(self, scope: Scope, node: Node) -> str:
        """Value of a node without state, in the scope it belongs to."""
        if isinstance(node, Input):
            first = self.constants.store(np.asarray(0, np.int64))
            return scope.op("Gather", INPUT, first, axis=0) if scope is self.main else FRAME
        delay = delay_of(node)
        seen = [_before(name, delay) if delay else self.values[name] for name in sources(node)]
        shape = self.shapes[node.name]
        match node:
            case Add():
                return reduce(partial(scope.op, "Add"), seen)
            case Flatten():
                return scope.reshaped(seen[0], shape)
            case Pool():
                return pooled(scope, node, seen[0], (self.shapes[node.source], shape))
            case Linear() | Conv() | Scale():
                carried = payloads(self.graph, node)
                return self.synapses.current(scope, node, seen[0], carried, shape)
        raise AssertionError(f"{node.name}: not a node of an integer graph")

    def _neuron(self, node: Neuron) -> None:
        """One population's step, its states and what it shows."""
        model, shape = node.model, self.shapes[node.name]
        assert isinstance(model, IntegerNeuron)
        v, i = f"{node.name}.v", f"{node.name}.i"
        stepped = neuron_step(self.body, model, shape, self.values[node.source], (v, i))
        self.values[node.name] = stepped.payload
        self.states.append(State(v, stepped.v, shape, per_neuron(model.start_q, shape)))
        if stepped.i is not None:
            self.states.append(State(i, stepped.i, shape, np.zeros((), np.int32)))
        self._show(node, stepped)

    def _show(self, node: Neuron, stepped: Stepped) -> None:
        read = node.name == self.graph.output
        count = self.graph.readout is Readout.COUNT
        if self.traced or (read and count):
            self.scanned[f"{node.name}.spikes"] = self._flat(node, stepped.payload)
        if self.traced or (read and not count):
            self.scanned[f"{node.name}.membranes"] = self._flat(node, stepped.v)

    def _flat(self, node: Neuron, value: str) -> str:
        shape = self.shapes[node.name]
        return value if len(shape) == 1 else self.body.reshaped(value, (math.prod(shape),))

    def _delays(self) -> list[tuple[str, int]]:
        """Sources read late, each with its longest delay."""
        longest: dict[str, int] = {}
        for node in self.graph.nodes:
            for source in sources(node) if delay_of(node) else ():
                longest[source] = max(longest.get(source, 0), delay_of(node))
        return list(longest.items())

    def _remember(self, source: str, delay: int) -> None:
        """A chain of states that holds what ``source`` gave in the last ``delay`` steps."""
        for steps in range(1, delay + 1):
            after = self.values[source] if steps == 1 else _before(source, steps - 1)
            state = State(_before(source, steps), after, self.shapes[source], np.zeros((), np.int32))
            self.states.append(state)

    def _loop(self) -> None:
        """The Scan: states start at their start values; a constant input is left outside."""
        samples = self.main.op("Shape", INPUT, start=1, end=2)
        starts = [self._start(state, samples) for state in self.states]
        constant = input_of(self.graph).spec.constant
        frames = self._step_numbers() if constant else INPUT
        owned: set[str] = set()
        inner = [_owned(self.body, name, owned) for name in self._after()]
        shape: tuple[int | str, ...] = () if constant else ("samples", *input_of(self.graph).spec.shape)
        kind = TensorProto.INT64 if constant else TensorProto.INT32
        before = [_info(s.before, ("samples", *s.shape)) for s in self.states]
        body = helper.make_graph(
            self.body.nodes,
            "step",
            [*before, helper.make_tensor_value_info(FRAME, kind, shape)],
            [helper.make_tensor_value_info(name, TensorProto.INT32, None) for name in inner],
        )
        last = [f"{state.before}.last" for state in self.states]
        scan = helper.make_node(
            "Scan", [*starts, frames], [*last, *self.scanned], name="time", num_scan_inputs=1, body=body
        )
        self.main.nodes.append(scan)

    def _after(self) -> list[str]:
        return [*(state.after for state in self.states), *self.scanned.values()]

    def _start(self, state: State, samples: str) -> str:
        shape = self.main.op("Concat", samples, self.constants.int64(list(state.shape)), axis=0)
        return self.main.op("Expand", self.constants.int32(state.start), shape)

    def _step_numbers(self) -> str:
        """0, 1, … once per step: what the loop runs over when the input is constant."""
        zero, one = (self.constants.store(np.asarray(n, np.int64)) for n in (0, 1))
        steps = self.main.op("Squeeze", self.main.op("Shape", INPUT, start=0, end=1))
        return self.main.op("Range", zero, steps, one)

    def _read_out(self) -> None:
        main, constants = self.main, self.constants
        shown = "spikes" if self.graph.readout is Readout.COUNT else "membranes"
        history = main.cast(f"{self.graph.output}.{shown}", TensorProto.INT64)
        match self.graph.readout:
            case Readout.COUNT | Readout.MEMBRANE_SUM:
                scores = main.op("ReduceSum", history, constants.int64([0]), keepdims=0)
            case Readout.MEMBRANE_MAX:
                scores = main.op("ReduceMax", history, constants.int64([0]), keepdims=0)
            case Readout.MEMBRANE_LAST:
                scores = main.op("Gather", history, constants.store(np.asarray(-1, np.int64)), axis=0)
        main.named(scores, "scores")
        best = main.op("ArgMax", scores, axis=1, keepdims=0)
        main.named(best, "predictions")

    def _model(self) -> onnx.ModelProto:
        spec = input_of(self.graph).spec
        classes = math.prod(self.shapes[self.graph.output])
        outputs = [
            helper.make_tensor_value_info("scores", TensorProto.INT64, ("samples", classes)),
            helper.make_tensor_value_info("predictions", TensorProto.INT64, ("samples",)),
        ]
        for name in self.scanned if self.traced else ():
            neurons_here = math.prod(self.shapes[name.rpartition(".")[0]])
            outputs.append(_info(name, ("steps", "samples", neurons_here)))
        main = helper.make_graph(
            self.main.nodes,
            "spikepress",
            [_info(INPUT, ("steps", "samples", *spec.shape))],
            outputs,
            initializer=self.constants.tensors,
        )
        return self.document(main)

    def document(self, main: onnx.GraphProto) -> onnx.ModelProto:
        """The model of a main graph, with what it says about itself."""
        opset = [helper.make_opsetid("", OPSET)]
        built = helper.make_model(
            main, opset_imports=opset, ir_version=IR_VERSION, producer_name="spikepress"
        )
        helper.set_model_props(built, self._properties())
        return built

    def _properties(self) -> dict[str, str]:
        """What the document says about itself; names of classes only where there are any."""
        spec = input_of(self.graph).spec
        found = {**self.graph.meta, "coding": spec.coding.value, "readout": self.graph.readout.value}
        found |= {"input_scale": repr(spec.scale), "steps": str(spec.n_steps)}
        if self.graph.classes:
            found["classes"] = ",".join(self.graph.classes)
        return dict(sorted(found.items()))


def _before(name: str, steps: int) -> str:
    return f"{name}.before_{steps}"


def _info(name: str, shape: tuple[int | str, ...]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.INT32, shape)


def _owned(body: Scope, name: str, owned: set[str]) -> str:
    """``name`` where the body makes it and gives it out for the first time, else a copy of it."""
    if name in owned or all(name not in node.output for node in body.nodes):
        name = body.op("Identity", name)
    owned.add(name)
    return name
