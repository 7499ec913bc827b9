"""Writes an integer graph as ONNX of a single step: for callers that bring the frames one by one.

Input ``frame`` is int32 (samples, *shape), one step of coded integers. Every state is an input
``NAME.before`` and an output ``NAME.after``, int32 (samples, *shape): what a call gives out the next one
takes. A state that is left out is that of a sample's first step. ``scores`` (int64, so far) are such a state
too, but for the readout of the last membrane; ``predictions`` are their maxima, and ``<output>.spikes`` the
payloads of the step.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from exporter.check import check_integer
from exporter.files import write_whole
from exporter.graph import Graph
from exporter.ranges import prove_int32
from exporter.targets.onnx import FRAME, Document, State
from exporter.wiring import input_of
from runtime.spec import Readout

SCORES, BEFORE, AFTER = "scores", ".before", ".after"


def export_step(graph: Graph, path: str | Path) -> None:
    """Write ``step_model(graph)`` to ``path``; errors as of ``exporter.targets.onnx.export``."""
    write_whole(path, step_model(graph).SerializeToString(deterministic=True))


def step_model(graph: Graph) -> onnx.ModelProto:
    """ONNX model of one step of an integer graph, checked in full by ``onnx.checker``."""
    check_integer(graph)
    prove_int32(graph)
    built = _Step(graph, traced=True).build()
    onnx.checker.check_model(built, full_check=True)
    return built


class _Step(Document):
    """A document whose loop's body is the main graph."""

    def build(self) -> onnx.ModelProto:
        self.walk(fixed=())
        states = list(self.states)
        if self.graph.readout is not Readout.MEMBRANE_LAST:
            states.append(State(SCORES, "", (self._classes,), np.asarray(self._first, np.int64)))
        samples = self.main.op("Shape", FRAME, start=0, end=1)
        for state in states:
            self._begin(state, samples)
        outputs = [self._out(state) for state in self.states] + self._read()
        frame = _value(FRAME, TensorProto.INT32, ("samples", *input_of(self.graph).spec.shape))
        main = helper.make_graph(
            [*self.main.nodes, *self.body.nodes],
            "spikepress_step",
            [frame, *(_value(s.before + BEFORE, _kind(s), ("held", *s.shape)) for s in states)],
            outputs,
            initializer=[*self.constants.tensors, *map(_start, states)],
        )
        return self.document(main)

    def _begin(self, state: State, samples: str) -> None:
        """The state as it is held, or as it starts, for every sample."""
        shape = self.main.op("Concat", samples, self.constants.int64(list(state.shape)), axis=0)
        self.main.named(self.main.op("Expand", state.before + BEFORE, shape), state.before)

    @property
    def _classes(self) -> int:
        return math.prod(self.shapes[self.graph.output])

    @property
    def _first(self) -> np.int64:
        """What scores begin with."""
        return np.int64(np.iinfo(np.int32).min if self.graph.readout is Readout.MEMBRANE_MAX else 0)

    def _out(self, state: State) -> onnx.ValueInfoProto:
        name = self.body.named(state.after, state.before + AFTER)
        return _value(name, TensorProto.INT32, ("samples", *state.shape))

    def _read(self) -> list[onnx.ValueInfoProto]:
        """Scores so far, predictions, and the output's payloads."""
        body, output = self.body, self.graph.output
        shown = "spikes" if self.graph.readout is Readout.COUNT else "membranes"
        now = body.cast(self.scanned[f"{output}.{shown}"], TensorProto.INT64)
        match self.graph.readout:
            case Readout.COUNT | Readout.MEMBRANE_SUM:
                now = body.op("Add", SCORES, now)
            case Readout.MEMBRANE_MAX:
                now = body.op("Max", SCORES, now)
        scores = body.named(now, SCORES + AFTER)
        best = body.named(body.op("ArgMax", scores, axis=1, keepdims=0), "predictions")
        spikes = body.named(self.scanned[f"{output}.spikes"], f"{output}.spikes")
        rows = ("samples", self._classes)
        return [
            _value(scores, TensorProto.INT64, rows),
            _value(best, TensorProto.INT64, ("samples",)),
            _value(spikes, TensorProto.INT32, rows),
        ]


def _value(name: str, kind: int, shape: tuple[int | str, ...]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def _kind(state: State) -> int:
    return TensorProto.INT64 if state.start.dtype == np.int64 else TensorProto.INT32


def _start(state: State) -> TensorProto:
    """What the state of one sample begins with: the value of an input that is left out."""
    return numpy_helper.from_array(
        np.array(np.broadcast_to(state.start, (1, *state.shape))), state.before + BEFORE
    )
