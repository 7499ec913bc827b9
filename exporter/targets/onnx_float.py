"""Writes a graph in real units as ONNX in float32: the twin that shows what integers changed.

Input and outputs are those of ``exporter.targets.onnx`` (``input`` int32, ``scores`` here float32,
``predictions`` int64), with ``<population>.spikes`` of every population. Sums in float32 differ from the
reference's float64 in the last bits: a membrane at its threshold may fall on the other side.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import ArrayLike
from onnx import TensorProto, helper

from exporter.check import check
from exporter.files import write_whole
from exporter.graph import (
    Add,
    Conv,
    Flatten,
    Graph,
    Input,
    Linear,
    Neuron,
    Node,
    Pool,
    PoolKind,
    Scale,
    sources,
)
from exporter.passes import simplify
from exporter.reference import real_weight
from exporter.reference_ops import per_neuron
from exporter.targets.onnx import IR_VERSION, OPSET
from exporter.targets.onnx_ops import Constants, Scope
from exporter.wiring import delay_of, input_of
from runtime.errors import ModelError
from runtime.spec import Compare, Fire, FloatNeuron, Leak, Readout, Reset, ResetTiming, SynapticOrder

Shape = tuple[int, ...]


def export_float(graph: Graph, path: str | Path) -> None:
    """Write ``float_model(graph)`` to ``path``."""
    write_whole(path, float_model(graph).SerializeToString(deterministic=True))


def float_model(graph: Graph) -> onnx.ModelProto:
    """ONNX model of a graph in real units, checked in full by ``onnx.checker``."""
    graph = simplify(graph)
    built = _Twin(graph, check(graph)).build()
    onnx.checker.check_model(built, full_check=True)
    return built


class _Twin:
    """The main graph, the body of its loop, and what goes around: (before, after, shape, start)."""

    def __init__(self, graph: Graph, shapes: dict[str, Shape]) -> None:
        self.graph, self.shapes = graph, shapes
        self.constants = Constants()
        self.main, self.body = Scope("", self.constants), Scope("step_", self.constants)
        self.values: dict[str, str] = {}
        self.states: list[tuple[str, str, Shape, ArrayLike]] = []
        self.shown: dict[str, str] = {}

    def build(self) -> onnx.ModelProto:
        for node in self.graph.nodes:
            self.values[node.name] = self._neuron(node) if isinstance(node, Neuron) else self._given(node)
        self._remember()
        self._loop()
        self._read()
        return self._model()

    def real(self, values: ArrayLike, shape: Shape | None = None) -> str:
        """A float32 constant, shaped to broadcast over (samples, *shape)."""
        array = np.asarray(values, np.float64)
        if shape is not None:
            array = np.asarray(per_neuron(array.reshape(-1), shape))
        return self.constants.store(array.astype(np.float32))

    def _given(self, node: Node) -> str:
        body, shape = self.body, self.shapes[node.name]
        if isinstance(node, Input):
            return body.op("Mul", body.cast("frame", TensorProto.FLOAT), self.real(node.spec.scale))
        delay = delay_of(node)
        seen = [_late(name, delay) if delay else self.values[name] for name in sources(node)]
        match node:
            case Add():
                return body.op("Sum", *seen)
            case Flatten():
                return body.reshaped(seen[0], shape)
            case Pool():
                return self._pool(node, seen[0])
            case Linear():
                now = body.op("MatMul", seen[0], self.real(real_weight(node).T))
            case Conv():
                now = self._conv(node, seen[0])
            case Scale():
                return body.op("Mul", seen[0], self.real(real_weight(node), shape))
            case _:
                raise ModelError(f"{node.name}: found a {type(node).__name__}, expected it folded")
        return now if node.bias is None else body.op("Add", now, self.real(node.bias, shape))

    def _conv(self, node: Conv, x: str) -> str:
        return self.body.op(
            "Conv",
            x,
            self.real(real_weight(node)),
            strides=list(node.stride),
            pads=[*node.padding, *node.padding],
            dilations=list(node.dilation),
            group=node.groups,
        )

    def _pool(self, node: Pool, x: str) -> str:
        kind = "MaxPool" if node.kind is PoolKind.MAX else "AveragePool"
        pads = [*node.padding, *node.padding]
        found = self.body.op(kind, x, kernel_shape=list(node.kernel), strides=list(node.stride), pads=pads)
        if node.kind is PoolKind.SUM:
            return self.body.op("Mul", found, self.real(math.prod(node.kernel)))
        return found

    def _neuron(self, node: Neuron) -> str:
        """One step of a population, as ``exporter.reference_neuron.step_float``."""
        model, shape, body = node.model, self.shapes[node.name], self.body
        if not isinstance(model, FloatNeuron):
            raise ModelError(f"{node.name}: found an integer neuron, expected one in real units")
        drive = self.values[node.source]
        if model.synaptic_leak is not None:
            before = f"{node.name}.i"
            charged = body.op(
                "Add", self._faded(before, model.synaptic_decay, model.synaptic_leak, shape), drive
            )
            self.states.append((before, charged, shape, 0.0))
            drive = charged if model.synaptic_order is SynapticOrder.NEW else before
        v, fired = f"{node.name}.v", f"{node.name}.fired"
        left = self._leaked(v, model, shape)
        if model.reset_timing is ResetTiming.NEXT_STEP:
            left = self._reset(model, left, fired, shape)
        u = body.op("Add", left, drive)
        if any(model.bias):
            u = body.op("Add", u, self.real(model.bias, shape))
        payload = self._fired(model, u, shape)
        after = self._reset(model, u, payload, shape) if model.reset_timing is ResetTiming.SAME_STEP else u
        start = np.asarray(per_neuron(np.asarray(model.start, np.float64), shape))
        self.states.append((v, after, shape, start))
        if model.reset_timing is ResetTiming.NEXT_STEP:
            self.states.append((fired, payload, shape, 0.0))
        self.shown[f"{node.name}.spikes"] = self._flat(payload, shape)
        if node.name == self.graph.output and self.graph.readout is not Readout.COUNT:
            self.shown[f"{node.name}.membranes"] = self._flat(after, shape)
        return payload

    def _faded(self, value: str, decay: tuple[float, ...] | None, leak: Leak, shape: Shape) -> str:
        return self.body.op("Mul", value, self.real((leak.beta,) if decay is None else decay, shape))

    def _leaked(self, v: str, model: FloatNeuron, shape: Shape) -> str:
        if not any(model.v_leak):
            return self._faded(v, model.decay, model.leak, shape)
        rest = self.real(model.v_leak, shape)
        faded = self._faded(self.body.op("Sub", v, rest), model.decay, model.leak, shape)
        return self.body.op("Add", faded, rest)

    def _fired(self, model: FloatNeuron, u: str, shape: Shape) -> str:
        body, threshold = self.body, self.real(model.threshold, shape)
        if model.fire is Fire.SILENT:
            return body.op("Mul", u, self.real(0.0))
        if model.fire is Fire.GRADED:
            size = body.op("Floor", body.op("Div", u, threshold))
            return body.op("Clip", size, self.real(0.0), self.real((1 << model.payload_bits) - 1))
        kind = "GreaterOrEqual" if model.compare is Compare.GREATER_EQUAL else "Greater"
        return body.cast(body.op(kind, u, threshold), TensorProto.FLOAT)

    def _reset(self, model: FloatNeuron, u: str, payload: str, shape: Shape) -> str:
        body = self.body
        if model.reset is Reset.NONE or model.fire is Fire.SILENT:
            return u
        if model.reset is Reset.VALUE:
            above = body.op("Greater", payload, self.real(0.0))
            return body.op("Where", above, self.real(model.reset_value, shape), u)
        return body.op("Sub", u, body.op("Mul", payload, self.real(model.threshold, shape)))

    def _flat(self, value: str, shape: Shape) -> str:
        return value if len(shape) == 1 else self.body.reshaped(value, (math.prod(shape),))

    def _remember(self) -> None:
        """What is read late, each with a chain of its last values."""
        longest: dict[str, int] = {}
        for node in self.graph.nodes:
            for source in sources(node) if delay_of(node) else ():
                longest[source] = max(longest.get(source, 0), delay_of(node))
        for source, delay in longest.items():
            for steps in range(1, delay + 1):
                after = self.values[source] if steps == 1 else _late(source, steps - 1)
                self.states.append((_late(source, steps), after, self.shapes[source], 0.0))

    def _loop(self) -> None:
        samples = self.main.op("Shape", "input", start=1, end=2)
        starts = []
        for _, _, shape, start in self.states:
            sides = self.main.op("Concat", samples, self.constants.int64(list(shape)), axis=0)
            starts.append(self.main.op("Expand", self.real(start), sides))
        inner = [self.body.op("Identity", after) for _, after, _, _ in self.states]
        inner += [self.body.op("Identity", value) for value in self.shown.values()]
        frame = helper.make_tensor_value_info(
            "frame", TensorProto.INT32, ("samples", *input_of(self.graph).spec.shape)
        )
        befores = [_floats(before, ("samples", *shape)) for before, _, shape, _ in self.states]
        outs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in inner]
        body = helper.make_graph(self.body.nodes, "step", [*befores, frame], outs)
        last = [f"{before}.last" for before, *_ in self.states]
        self.main.nodes.append(
            helper.make_node(
                "Scan", [*starts, "input"], [*last, *self.shown], name="time", num_scan_inputs=1, body=body
            )
        )

    def _read(self) -> None:
        main, kind = self.main, self.graph.readout
        history = f"{self.graph.output}.{'spikes' if kind is Readout.COUNT else 'membranes'}"
        if kind is Readout.MEMBRANE_LAST:
            scores = main.op("Gather", history, self.constants.store(np.asarray(-1, np.int64)), axis=0)
        else:
            reduce = "ReduceMax" if kind is Readout.MEMBRANE_MAX else "ReduceSum"
            scores = main.op(reduce, history, self.constants.int64([0]), keepdims=0)
        main.named(scores, "scores")
        main.named(main.op("ArgMax", scores, axis=1, keepdims=0), "predictions")

    def _model(self) -> onnx.ModelProto:
        spec, classes = input_of(self.graph).spec, math.prod(self.shapes[self.graph.output])
        outputs = [
            _floats("scores", ("samples", classes)),
            helper.make_tensor_value_info("predictions", TensorProto.INT64, ("samples",)),
        ]
        for name in self.shown:
            if name.endswith(".spikes"):
                count = math.prod(self.shapes[name.removesuffix(".spikes")])
                outputs.append(_floats(name, ("steps", "samples", count)))
        frames = helper.make_tensor_value_info("input", TensorProto.INT32, ("steps", "samples", *spec.shape))
        main = helper.make_graph(
            self.main.nodes, "spikepress_float", [frames], outputs, initializer=self.constants.tensors
        )
        opset = [helper.make_opsetid("", OPSET)]
        return helper.make_model(main, opset_imports=opset, ir_version=IR_VERSION, producer_name="spikepress")


def _late(name: str, steps: int) -> str:
    return f"{name}.before_{steps}"


def _floats(name: str, shape: tuple[int | str, ...]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
