"""Other systems on the same networks: each takes the input of one sample and gives the output's membranes.

Peers compute in float32 with the same weights and thresholds and a leak of 15/16 without rounding, so their
spikes differ a little from the integer ones; rates are printed beside each other.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import onnx
import onnxruntime as ort
import scipy.sparse
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch.nn import functional as F

from benchmarks.runtime_cases import LEAK_SHIFT, Net, Trained
from runtime.geometry import window_output
from runtime.program import Window

BETA = np.float32(1 - 2.0**-LEAK_SHIFT)
OPSET = 21
Run = Callable[[], NDArray[np.float32]]


@dataclass(frozen=True)
class Peer:
    name: str
    version: str
    run: Run


def peers(net: Net) -> Iterator[Peer]:
    """Every peer that is installed and can run the net."""
    yield Peer("onnxruntime fp32, Scan", ort.__version__, onnx_scan(net))
    yield Peer("onnxruntime fp32, per step", ort.__version__, onnx_steps(net))
    yield Peer("torch eager", torch.__version__, torch_steps(net, sparse=False))
    if not any(trained.layer.kernel for trained in net.layers):
        yield Peer("torch CSR", torch.__version__, torch_steps(net, sparse=True))
        yield Peer("scipy CSR", scipy.__version__, scipy_steps(net))
    try:
        import snntorch
    except ModuleNotFoundError:
        print("snntorch: not installed, left out")
    else:
        yield Peer("snntorch", snntorch.__version__, snntorch_steps(net))


def shapes(net: Net) -> list[tuple[int, ...]]:
    """Shape of each layer's neurons."""
    found, shape = [], net.case.shape
    for trained in net.layers:
        layer = trained.layer
        here = (layer.outputs, *shape[1:]) if layer.kernel else (layer.outputs,)
        found.append(here)
        shape = window_output(here, Window((2, 2), (2, 2))) if layer.pool else here
    return found


class _Body:
    """One step as ONNX nodes: (states, x) -> (states, readout)."""

    def __init__(self, net: Net) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.states: list[tuple[str, str, tuple[int, ...]]] = []
        self.beta = self._constant("beta", np.array(BETA))
        heard, shape = "x", net.case.shape
        for number, (trained, here) in enumerate(zip(net.layers, shapes(net), strict=True)):
            drive = self._drive(number, trained, heard, shape)
            last = number == len(net.layers) - 1
            heard = self._neuron(number, trained, drive, (1, *here), last=last)
            shape = here
            if trained.layer.pool:
                heard = self._node("MaxPool", [heard], kernel_shape=[2, 2], strides=[2, 2])
                shape = window_output(here, Window((2, 2), (2, 2)))

    def _drive(self, number: int, trained: Trained, heard: str, shape: tuple[int, ...]) -> str:
        weight = trained.weight.astype(np.float32)
        if trained.layer.kernel:
            pad = [trained.layer.kernel // 2] * 4
            return self._node("Conv", [heard, self._constant(f"w{number}", weight)], pads=pad)
        if len(shape) > 1:
            heard = self._node("Flatten", [heard], axis=1)
        drive = self._node("MatMul", [heard, self._constant(f"w{number}", np.ascontiguousarray(weight.T))])
        if trained.again is not None:
            back = self._constant(f"r{number}", np.ascontiguousarray(trained.again.T.astype(np.float32)))
            before = f"spikes{number}"
            drive = self._node("Add", [drive, self._node("MatMul", [before, back])])
        return drive

    def _neuron(
        self, number: int, trained: Trained, drive: str, shape: tuple[int, ...], *, last: bool
    ) -> str:
        state = f"v{number}"
        u = self._node("Add", [self._node("Mul", [state, self.beta]), drive])
        if last:
            self.states.append((state, u, shape))
            return u
        threshold = self._constant(f"t{number}", np.array(trained.threshold, np.float32))
        fired = self._node("Cast", [self._node("GreaterOrEqual", [u, threshold])], to=TensorProto.FLOAT)
        after = self._node("Sub", [u, self._node("Mul", [fired, threshold])])
        self.states.append((state, after, shape))
        if trained.again is not None:
            kept = self._node("Identity", [fired])
            self.states.append((f"spikes{number}", kept, shape))
        return fired

    def _constant(self, name: str, value: NDArray[np.float32]) -> str:
        self.constants.append(numpy_helper.from_array(value, name))
        return name

    def _node(self, kind: str, inputs: list[str], **attributes: object) -> str:
        name = f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name


def _info(name: str, shape: tuple[int | str, ...]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def _session(graph: onnx.GraphProto) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def onnx_scan(net: Net) -> Run:
    """All steps in one Scan."""
    body = _Body(net)
    step = helper.make_graph(
        body.nodes,
        "step",
        [*(_info(name, shape) for name, _, shape in body.states), _info("x", (1, *net.case.shape))],
        [_info(after, shape) for _, after, shape in body.states],
    )
    starts = [f"start{k}" for k in range(len(body.states))]
    ends = [f"end{k}" for k in range(len(body.states))]
    scan = helper.make_node("Scan", [*starts, "xs"], ends, body=step, num_scan_inputs=1)
    zeros = [
        numpy_helper.from_array(np.zeros(shape, np.float32), start)
        for start, (_, _, shape) in zip(starts, body.states, strict=True)
    ]
    graph = helper.make_graph(
        [scan],
        "net",
        [_info("xs", ("steps", 1, *net.case.shape))],
        [_info(ends[-1], body.states[-1][2])],
        [*zeros, *body.constants],
    )
    session = _session(graph)
    x = np.ascontiguousarray(net.x[:, None])
    return lambda: session.run(None, {"xs": x})[0]  # type: ignore[no-any-return]


def onnx_steps(net: Net) -> Run:
    """One call a step, states bound back by the caller."""
    body = _Body(net)
    names = [name for name, _, _ in body.states]
    graph = helper.make_graph(
        body.nodes,
        "net",
        [*(_info(name, shape) for name, _, shape in body.states), _info("x", (1, *net.case.shape))],
        [_info(after, shape) for _, after, shape in body.states],
        body.constants,
    )
    session = _session(graph)
    start = [np.zeros(shape, np.float32) for _, _, shape in body.states]

    def run() -> NDArray[np.float32]:
        states = start
        for step in range(len(net.x)):
            feed = dict(zip(names, states, strict=True))
            states = session.run(None, {**feed, "x": net.x[step : step + 1]})
        return states[-1]  # type: ignore[no-any-return]

    return run


def torch_steps(net: Net, *, sparse: bool) -> Run:
    """Step by step in eager mode; ``sparse``: weights of linear layers as CSR."""
    x = torch.from_numpy(net.x)

    def held(weight: NDArray[np.int8]) -> torch.Tensor:
        dense = torch.from_numpy(weight.astype(np.float32))
        return dense.to_sparse_csr() if sparse else dense

    layers = [(t, held(t.weight), None if t.again is None else held(t.again)) for t in net.layers]
    sizes = shapes(net)
    beta = float(BETA)

    def run() -> NDArray[np.float32]:
        v = [torch.zeros(shape) for shape in sizes]
        past = [torch.zeros(shape) for shape in sizes]
        with torch.inference_mode():
            for step in range(len(x)):
                heard = x[step]
                for number, (trained, weight, again) in enumerate(layers):
                    if trained.layer.kernel:
                        drive = F.conv2d(heard[None], weight, padding=trained.layer.kernel // 2)[0]
                    else:
                        drive = weight @ heard.flatten()
                    if again is not None:
                        drive = drive + again @ past[number]
                    u = v[number] * beta + drive
                    if number == len(layers) - 1:
                        v[number] = u
                        break
                    heard = (u >= trained.threshold).float()
                    v[number] = u - heard * trained.threshold
                    past[number] = heard
                    if trained.layer.pool:
                        heard = F.max_pool2d(heard[None], 2)[0]
        return v[-1].numpy()

    return run


def scipy_steps(net: Net) -> Run:
    """Sparse weights times a dense vector, step by step; linear nets only."""
    layers = [
        (
            t.threshold,
            scipy.sparse.csr_matrix(t.weight.astype(np.float32)),
            None if t.again is None else scipy.sparse.csr_matrix(t.again.astype(np.float32)),
        )
        for t in net.layers
    ]

    def run() -> NDArray[np.float32]:
        v = [np.zeros(t.layer.outputs, np.float32) for t in net.layers]
        past = [np.zeros(t.layer.outputs, np.float32) for t in net.layers]
        for frame in net.x:
            heard = frame.ravel()
            for number, (threshold, weight, again) in enumerate(layers):
                drive = weight @ heard
                if again is not None:
                    drive += again @ past[number]
                u = v[number] * BETA + drive
                if number == len(layers) - 1:
                    v[number] = u
                    break
                heard = (u >= threshold).astype(np.float32)
                v[number] = u - heard * np.float32(threshold)
                past[number] = heard
        return v[-1]

    return run


def snntorch_steps(net: Net) -> Run:
    """snnTorch's Leaky, reset by subtraction without its delay."""
    import snntorch

    x = torch.from_numpy(net.x)
    weights = [torch.from_numpy(t.weight.astype(np.float32)) for t in net.layers]
    again = [None if t.again is None else torch.from_numpy(t.again.astype(np.float32)) for t in net.layers]
    neurons = [
        snntorch.Leaky(
            beta=float(BETA),
            threshold=float(t.threshold),
            reset_mechanism="none" if last else "subtract",
            reset_delay=False,
        )
        for t, last in zip(net.layers, itertools.chain([False] * (len(net.layers) - 1), [True]), strict=True)
    ]

    def run() -> NDArray[np.float32]:
        v = [torch.zeros(shape) for shape in shapes(net)]
        past = [torch.zeros(shape) for shape in shapes(net)]
        with torch.inference_mode():
            for step in range(len(x)):
                heard = x[step]
                for number, trained in enumerate(net.layers):
                    if trained.layer.kernel:
                        drive = F.conv2d(heard[None], weights[number], padding=trained.layer.kernel // 2)[0]
                    else:
                        drive = weights[number] @ heard.flatten()
                    back = again[number]
                    if back is not None:
                        drive = drive + back @ past[number]
                    heard, v[number] = neurons[number](drive, v[number])
                    past[number] = heard
                    if trained.layer.pool:
                        heard = F.max_pool2d(heard[None], 2)[0]
        return v[-1].numpy()

    return run
