"""Small networks as graphs, one per thing a network can be made of, and input that makes them work.

Every case is a function of a seed. ``real`` gives it in real units with thresholds tuned until each layer
is active; ``whole`` gives it in integers, with the clamp narrowed so that it acts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

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
    Reals,
    Scale,
)
from exporter.passes import simplify
from exporter.quantize import QuantizeOptions, quantize
from exporter.reference import run_float
from exporter.wiring import input_of, neurons
from runtime.spec import (
    Coding,
    Compare,
    Fire,
    FloatNeuron,
    InputSpec,
    IntegerNeuron,
    Leak,
    Readout,
    Reset,
    ResetTiming,
    SynapticOrder,
)

LIF = FloatNeuron(Leak((3,)))
IF = FloatNeuron(Leak())
SILENT = FloatNeuron(Leak((3,)), fire=Fire.SILENT, reset=Reset.NONE)
EVENTS = InputSpec((12,), Coding.EVENTS, 8)
MAP = InputSpec((2, 7, 6), Coding.EVENTS, 6)
ROUNDS = 60


@dataclass
class Build:
    """Nodes so far, with random weights from one generator; each method returns the node's name."""

    rng: np.random.Generator
    spec: InputSpec

    def __post_init__(self) -> None:
        self.nodes: list[Node] = [Input("in", self.spec)]

    def add(self, node: Node) -> str:
        self.nodes.append(node)
        return node.name

    def reals(self, *shape: int, size: float = 1.0) -> Reals:
        return self.rng.normal(0.1, size, shape)

    def linear(
        self, name: str, source: str, shape: tuple[int, int], *, delay: int = 0, with_bias: bool = True
    ) -> str:
        bias = self.reals(shape[0], size=0.1) if with_bias and delay == 0 else None
        return self.add(Linear(name, source, self.reals(*shape), bias, delay=delay))

    def conv(self, name: str, source: str, shape: tuple[int, int, int, int], **options: object) -> str:
        bias = self.reals(shape[0], size=0.1)
        return self.add(Conv(name, source, self.reals(*shape), bias=bias, **options))  # type: ignore[arg-type]

    def neuron(self, name: str, source: str, model: FloatNeuron = LIF) -> str:
        return self.add(Neuron(name, source, model))

    def done(self, output: str = "out", readout: Readout = Readout.COUNT) -> Graph:
        return Graph(tuple(self.nodes), output, readout)


Case = Callable[[np.random.Generator], Graph]


def chain(model: FloatNeuron, spec: InputSpec = EVENTS, last: FloatNeuron | None = None) -> Case:
    """Two linear layers of ``model``; ``last`` replaces the output's neuron."""

    def build(rng: np.random.Generator) -> Graph:
        b = Build(rng, spec)
        plain = model.synaptic_leak is None
        hidden = b.neuron("hidden", b.linear("fc1", "in", (14, spec.shape[0]), with_bias=plain), model)
        b.neuron("out", b.linear("fc2", hidden, (5, 14), with_bias=plain), last or model)
        silent = (last or model).fire is Fire.SILENT
        return b.done(readout=Readout.MEMBRANE_LAST if silent else Readout.COUNT)

    return build


def conv_net(rng: np.random.Generator) -> Graph:
    b = Build(rng, MAP)
    c1 = b.neuron("n1", b.conv("c1", "in", (4, 2, 3, 3), padding=(1, 1)))
    pooled = b.add(Pool("avg", c1, PoolKind.AVERAGE, (2, 2), (2, 2)))
    c2 = b.neuron("n2", b.conv("c2", pooled, (6, 2, 2, 2), groups=2, stride=(1, 2), dilation=(2, 1)), IF)
    flat = b.add(Flatten("flat", c2))
    b.neuron("out", b.linear("fc", flat, (4, 6)))
    return b.done()


def gate_net(rng: np.random.Generator) -> Graph:
    b = Build(rng, MAP)
    c1 = b.neuron("n1", b.conv("c1", "in", (3, 2, 3, 3), padding=(1, 1)))
    gate = b.add(Pool("gate", c1, PoolKind.MAX, (3, 3), (2, 2), (1, 1)))
    flat = b.add(Flatten("flat", gate))
    b.neuron("out", b.linear("fc", flat, (4, 36)))
    return b.done()


def current_pool_net(rng: np.random.Generator) -> Graph:
    b = Build(rng, MAP)
    c1 = b.conv("c1", "in", (3, 2, 3, 3), padding=(1, 1))
    n1 = b.neuron("n1", b.add(Pool("pool", c1, PoolKind.MAX, (3, 2), (2, 2), (1, 0))))
    flat = b.add(Flatten("flat", n1))
    b.neuron("out", b.linear("fc", flat, (4, 36)))
    return b.done()


def recurrent_net(rng: np.random.Generator) -> Graph:
    b = Build(rng, EVENTS)
    fc = b.linear("fc", "in", (10, 12))
    own, far = b.linear("own", "rec", (10, 10), delay=1), b.linear("far", "rec", (10, 10), delay=3)
    rec = b.neuron("rec", b.add(Add("sum", (fc, own, far))))
    b.neuron("out", b.linear("fc2", rec, (5, 10)))
    return b.done()


def residual_net(rng: np.random.Generator) -> Graph:
    b = Build(rng, MAP)
    n1 = b.neuron("n1", b.conv("c1", "in", (3, 2, 3, 3), padding=(1, 1)))
    c2 = b.conv("c2", n1, (3, 3, 3, 3), padding=(1, 1))
    skip = b.add(Scale("skip", n1, np.ones(3)))
    n2 = b.neuron("n2", b.add(Add("sum", (c2, skip))))
    flat = b.add(Flatten("flat", n2))
    b.neuron("out", b.linear("fc", flat, (4, 126)))
    return b.done()


def sew_net(rng: np.random.Generator) -> Graph:
    b = Build(rng, EVENTS)
    n1 = b.neuron("n1", b.linear("fc1", "in", (10, 12)))
    n2 = b.neuron("n2", b.linear("fc2", n1, (10, 10)))
    n3 = b.neuron("n3", b.linear("fc3", b.add(Add("sew", (n1, n2))), (8, 10)))
    b.neuron("out", b.linear("fc4", n3, (5, 8)))
    return b.done()


def input_pool_net(rng: np.random.Generator) -> Graph:
    """An average of direct input, and a sum of spikes of a map that its windows do not fill."""
    b = Build(rng, InputSpec((2, 9, 8), Coding.DIRECT, 6, bits=5, scale=1 / 31, constant=True))
    avg = b.add(Pool("avg", "in", PoolKind.AVERAGE, (2, 2), (2, 2)))
    n1 = b.neuron("n1", b.conv("c1", avg, (3, 2, 2, 2), dilation=(1, 2)))
    total = b.add(Pool("total", n1, PoolKind.SUM, (2, 1), (2, 1)))
    b.neuron("out", b.linear("fc", b.add(Flatten("flat", total)), (4, 6)))
    return b.done()


def flat_current_net(rng: np.random.Generator) -> Graph:
    """Currents of a convolution and of a linear layer that meet in a flat population; a diagonal."""
    b = Build(rng, MAP)
    flat_in = b.add(Flatten("flat in", "in"))
    currents = b.add(Flatten("flat c1", b.conv("c1", "in", (3, 2, 3, 3), stride=(2, 2))))
    n1 = b.neuron("n1", b.add(Add("sum", (currents, b.linear("fc1", flat_in, (18, 84))))))
    n2 = b.neuron("n2", b.add(Scale("diagonal", n1, b.reals(18))), IF)
    b.neuron("out", b.linear("fc", n2, (4, 18)))
    return b.done()


def pooled_sum_net(rng: np.random.Generator) -> Graph:
    """Two convolutions summed before a max pool of currents; spikes of two maps added behind pools."""
    b = Build(rng, MAP)
    first = b.conv("c1", "in", (3, 2, 3, 3), padding=(1, 1))
    second = b.conv("c2", "in", (3, 2, 1, 1))
    total = b.add(Add("sum", (first, second)))
    n1 = b.neuron("n1", b.add(Pool("pool", total, PoolKind.MAX, (2, 2), (2, 2))))
    n2 = b.neuron("n2", b.conv("c3", n1, (3, 3, 3, 3), padding=(1, 1)))
    gate = b.add(Pool("gate", n2, PoolKind.MAX, (3, 3), (1, 1), (1, 1)))
    both = b.add(Flatten("flat", b.add(Add("both", (n1, gate)))))
    b.neuron("out", b.linear("fc", both, (4, 27)))
    return b.done()


def _direct(**options: object) -> InputSpec:
    base = InputSpec((12,), Coding.DIRECT, 8, bits=6, scale=1 / 63)
    return replace(base, **options)  # type: ignore[arg-type]


CASES: dict[str, Case] = {
    "linear": chain(LIF),
    "no leak": chain(IF),
    "two leaks": chain(FloatNeuron(Leak((2, 5)))),
    "above": chain(FloatNeuron(Leak((3,)), compare=Compare.GREATER)),
    "reset to value": chain(FloatNeuron(Leak((3,)), reset=Reset.VALUE, reset_value=(-0.5,), start=(0.3,))),
    "no reset": chain(FloatNeuron(Leak((2,)), reset=Reset.NONE)),
    "late reset": chain(FloatNeuron(Leak((2,)), reset_timing=ResetTiming.NEXT_STEP)),
    "resting level": chain(FloatNeuron(Leak((3,)), v_leak=(-0.4,))),
    "new current": chain(FloatNeuron(Leak((3,)), synaptic_leak=Leak((2,)), bias=(0.2,))),
    "old current": chain(FloatNeuron(Leak((3,)), synaptic_leak=Leak((1,)), synaptic_order=SynapticOrder.OLD)),
    "graded": chain(FloatNeuron(Leak((3,)), fire=Fire.GRADED, payload_bits=3)),
    "graded to value": chain(FloatNeuron(Leak((3,)), fire=Fire.GRADED, payload_bits=2, reset=Reset.VALUE)),
    "membrane": chain(LIF, last=SILENT),
    "constant": chain(LIF, _direct(constant=True)),
    "direct": chain(LIF, _direct()),
    "signed": chain(LIF, _direct(signed=True, bits=8, scale=1 / 128)),
    "payloads": chain(LIF, InputSpec((12,), Coding.EVENTS, 8, bits=3)),
    "convolution": conv_net,
    "gate": gate_net,
    "current pool": current_pool_net,
    "recurrent": recurrent_net,
    "residual": residual_net,
    "spike sum": sew_net,
    "input pool": input_pool_net,
    "flat current": flat_current_net,
    "pooled sum": pooled_sum_net,
}


def real(case: str, seed: int = 0) -> Graph:
    """The case in real units, simplified, every spiking layer active in 5-40 % of its neuron-steps."""
    graph = simplify(CASES[case](np.random.default_rng(seed)))
    frames = coded(graph, samples=16, seed=seed)
    for _ in range(ROUNDS):
        rates = {name: float(np.mean(spikes > 0)) for name, spikes in run_float(graph, frames).spikes.items()}
        wrong = next((n for n in neurons(graph) if _wants_tuning(n, rates[n.name])), None)
        if wrong is None:
            return graph
        factor = 1.3 if rates[wrong.name] > 0.4 else 0.8
        graph = with_threshold(graph, wrong.name, factor)
    raise AssertionError(f"{case}: no threshold makes every layer active")


def _wants_tuning(neuron: Neuron, rate: float) -> bool:
    return neuron.model.fire is not Fire.SILENT and not 0.05 <= rate <= 0.4


def with_threshold(graph: Graph, name: str, factor: float) -> Graph:
    """The graph with one population's threshold multiplied."""

    def changed(node: Node) -> Node:
        if not isinstance(node, Neuron) or node.name != name or not isinstance(node.model, FloatNeuron):
            return node
        threshold = tuple(value * factor for value in node.model.threshold)
        return replace(node, model=replace(node.model, threshold=threshold))

    return replace(graph, nodes=tuple(changed(node) for node in graph.nodes))


def whole(case: str, seed: int = 0, *, bits: int = 4, tight: bool = True) -> Graph:
    """The case in integers; with ``tight`` every clamp stands close to what the membranes reach."""
    graph = quantize(real(case, seed), QuantizeOptions(bits=bits))
    return tightened(graph) if tight else graph


def tightened(graph: Graph) -> Graph:
    """The integer graph with clamps at about 0.6 and 1.5 thresholds, and a threshold that can be met."""

    def changed(node: Node) -> Node:
        if not isinstance(node, Neuron) or not isinstance(node.model, IntegerNeuron):
            return node
        if node.model.fire is Fire.SILENT:
            return node
        most = max(node.model.threshold_q)
        low, high = -(most * 5 // 8), most + most // 2
        start = tuple(min(max(value, low), high) for value in node.model.start_q)
        return replace(node, model=replace(node.model, v_min=low, v_max=high, start_q=start))

    return replace(graph, nodes=tuple(changed(node) for node in graph.nodes))


def coded(graph: Graph, *, steps: int | None = None, samples: int = 8, seed: int = 0) -> NDArray[np.int32]:
    """Random coded input (steps, samples, *shape) of the graph's kind; a third of the entries are not 0."""
    spec = input_of(graph).spec
    rng = np.random.default_rng([seed, 7])
    frames = 1 if spec.constant else (steps or spec.n_steps)
    shape = (frames, samples, *spec.shape)
    highest = (1 << spec.bits) - 1
    values = rng.integers(-highest if spec.signed else 1, highest + 1, shape)
    values = np.where(rng.random(shape) < 0.35, values, 0).astype(np.int32)
    return np.broadcast_to(values, ((steps or spec.n_steps), *shape[1:]))
