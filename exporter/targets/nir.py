"""A graph as a NIR file, where NIR can say it: one spike a step above the threshold, reset to a value.

Exported with explicit Euler steps of ``dt`` in mind: a reader that takes such steps gets this graph back, and
the same spikes. What NIR has no words for is refused, all of it in one sentence, unless ``lossy``.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nir
import numpy as np

from exporter.check import check
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
    Synapse,
    by_name,
    sources,
)
from exporter.passes import simplify
from exporter.reference import real_weight
from exporter.reference_ops import per_neuron
from exporter.wiring import delay_of, fan_in, input_of, neurons
from runtime.errors import DataError, UnsupportedError
from runtime.spec import Compare, Fire, FloatNeuron, Reset, ResetTiming, SynapticOrder

Shapes = Mapping[str, tuple[int, ...]]


def export(graph: Graph, path: str | Path, *, dt: float = 1e-4, lossy: bool = False) -> None:
    """Write a float graph as a NIR file, whole or not at all; see ``to_nir``."""
    made = to_nir(graph, dt=dt, lossy=lossy)
    place = Path(path)
    try:
        handle, temporary = tempfile.mkstemp(dir=place.parent, suffix=".nir")
        os.close(handle)
        try:
            nir.write(temporary, made)
            os.replace(temporary, place)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        raise DataError(f"{place}: found {error.strerror}, expected a writable place") from error


def to_nir(graph: Graph, *, dt: float = 1e-4, lossy: bool = False) -> nir.NIRGraph:
    """The graph as NIR nodes; time constants in the unit of ``dt``.

    ``lossy``: what a reader of NIR would take for something else (``>=``, a reset by subtraction or in the
    next step) is written all the same; a reader that is told so reads it exactly.
    """
    graph = simplify(graph)
    shapes = check(graph)
    wrong = [*unsayable(graph)] + ([] if lossy else [*unsaid(graph)])
    if wrong:
        raise UnsupportedError("NIR export: " + "; ".join(wrong))
    biases = _biases(graph)
    nodes = {node.name: _made(node, graph, shapes, biases, dt) for node in graph.nodes if _kept(node)}
    edges = [(source, node.name) for node in graph.nodes if _kept(node) for source in _behind(graph, node)]
    for node in graph.nodes:
        if isinstance(node, Linear) and node.delay > _implied(graph, node):
            _add_delay(nodes, edges, node, shapes, dt)
    nodes["output"] = nir.Output(np.array(shapes[graph.output]))
    edges.append((graph.output, "output"))
    return nir.NIRGraph(nodes, edges, type_check=False)


def unsayable(graph: Graph) -> list[str]:
    """What NIR has no node for."""
    found = [
        f"{node.name}: found a max pool, expected sum or average"
        for node in graph.nodes
        if isinstance(node, Pool) and node.kind is PoolKind.MAX
    ]
    for neuron in neurons(graph):
        model = neuron.model
        if not isinstance(model, FloatNeuron):
            found.append(f"{neuron.name}: found integers, expected a graph in real units")
        elif model.fire is Fire.GRADED:
            found.append(f"{neuron.name}: found graded spikes, expected binary ones")
        elif any(model.start):
            found.append(f"{neuron.name}: found a starting membrane of {max(model.start):g}, expected 0")
        elif model.fire is Fire.SILENT and neuron.name != graph.output:
            found.append(f"{neuron.name}: found silent neurons inside the graph, expected them at its end")
        elif model.synaptic_leak is not None and any(model.bias) and _keeps_all(model):
            found.append(
                f"{neuron.name}: found a bias of current-based neurons that never leak, expected none"
            )
    if "output" in by_name(graph):
        found.append("output: found a node of this name, expected another")
    return found


def _keeps_all(model: FloatNeuron) -> bool:
    return max((model.leak.beta,) if model.decay is None else model.decay) == 1.0


def unsaid(graph: Graph) -> list[str]:
    """What a reader of NIR would take for something else."""
    found = []
    for neuron in neurons(graph):
        model = neuron.model
        if not isinstance(model, FloatNeuron) or model.fire is not Fire.BINARY:
            continue
        if model.compare is not Compare.GREATER:
            found.append(f"{neuron.name}: found a spike at v >= threshold, expected one above it")
        if _remembers_nothing(model):
            continue
        if model.reset is not Reset.VALUE:
            found.append(f"{neuron.name}: found reset {model.reset.value!r}, expected a reset to a value")
        if model.reset_timing is not ResetTiming.SAME_STEP:
            found.append(f"{neuron.name}: found a reset in the next step, expected one in the same")
        if model.synaptic_leak is not None and model.synaptic_order is not SynapticOrder.NEW:
            found.append(f"{neuron.name}: found the current of the step before, expected this step's")
    return found


def _kept(node: Node) -> bool:
    return not isinstance(node, Add)


def _behind(graph: Graph, node: Node) -> list[str]:
    """What a node reads, additions opened: edges into one node are summed."""
    nodes, found, waiting = by_name(graph), [], list(reversed(sources(node)))
    while waiting:
        source = nodes[waiting.pop()]
        if isinstance(source, Add):
            waiting += reversed(source.sources)
        else:
            found.append(source.name)
    return found


def _biases(graph: Graph) -> dict[str, Reals]:
    """The neurons' biases, by the synapse that takes them over."""
    found: dict[str, Reals] = {}
    for neuron in neurons(graph):
        model = neuron.model
        assert isinstance(model, FloatNeuron)
        if not any(model.bias) or model.synaptic_leak is not None:
            continue
        able = [s for s in fan_in(graph, neuron).synapses if not isinstance(s, Scale) and delay_of(s) == 0]
        bias, count = np.asarray(model.bias, np.float64), len(able[0].weight) if able else 0
        if bias.size not in (1, count) or not able:
            raise UnsupportedError(f"{neuron.name}: found a bias that no weights before it carry in NIR")
        found[able[0].name] = np.broadcast_to(bias, (count,))
    return found


def _made(node: Node, graph: Graph, shapes: Shapes, biases: Mapping[str, Reals], dt: float) -> Any:
    shape = shapes[node.name]
    match node:
        case Input():
            return nir.Input(np.array(shape))
        case Linear() | Conv() | Scale():
            return _synapse(node, graph, shapes, biases.get(node.name))
        case Pool():
            kind = nir.SumPool2d if node.kind is PoolKind.SUM else nir.AvgPool2d
            return kind(*(np.array(x) for x in (node.kernel, node.stride, node.padding)))
        case Flatten():
            return nir.Flatten({"input": np.array(shapes[node.source])}, 0, -1)
        case Neuron():
            assert isinstance(node.model, FloatNeuron)
            return _neuron(node.model, shape, dt)
    raise UnsupportedError(f"{node.name}: found a {type(node).__name__}, which NIR has no node for")


def _synapse(node: Synapse, graph: Graph, shapes: Shapes, more: Reals | None) -> Any:
    weight = real_weight(node)
    if _reads_input(graph, node):
        weight = weight * input_of(graph).spec.scale
    if isinstance(node, Scale):
        return nir.Scale(np.asarray(per_neuron(weight, shapes[node.name]) * np.ones(shapes[node.name])))
    bias = node.bias if more is None else (0.0 if node.bias is None else node.bias) + more
    if isinstance(node, Linear):
        return nir.Linear(weight) if bias is None else nir.Affine(weight, np.asarray(bias))
    if bias is None:
        bias = np.zeros(len(weight))
    height, width = shapes[node.source][1:]
    return nir.Conv2d(
        (height, width), weight, node.stride, node.padding, node.dilation, node.groups, np.asarray(bias)
    )


def _reads_input(graph: Graph, node: Node) -> bool:
    """Whether events of the input reach a synapse without a neuron between."""
    nodes = by_name(graph)
    waiting = list(sources(node))
    while waiting:
        source = nodes[waiting.pop()]
        if isinstance(source, Input):
            return True
        if isinstance(source, Pool | Flatten | Add):
            waiting += sources(source)
    return False


def _neuron(model: FloatNeuron, shape: tuple[int, ...], dt: float) -> Any:
    def full(values: Any) -> Reals:
        array = np.asarray(values, np.float64)
        return np.asarray(per_neuron(array, shape) * np.ones(shape))

    limits = {"v_threshold": full(model.threshold), "v_reset": full(model.reset_value)}
    beta = full((model.leak.beta,) if model.decay is None else model.decay)
    rest = full(model.v_leak)
    fires = model.fire is Fire.BINARY
    if _remembers_nothing(model):
        return nir.Threshold(limits["v_threshold"])
    if model.synaptic_leak is not None:
        # No weights carry a bias past the synaptic current: the resting level does.
        rest = rest + full(model.bias) / _above(1.0 - beta)
        alpha = full((model.synaptic_leak.beta,) if model.synaptic_decay is None else model.synaptic_decay)
        tau_syn, tau_mem = dt / _above(1.0 - alpha), dt / _above(1.0 - beta)
        constants = {"tau_syn": tau_syn, "tau_mem": tau_mem, "r": tau_mem / dt, "v_leak": rest}
        constants["w_in"] = tau_syn / dt
        return nir.CubaLIF(**constants, **limits) if fires else nir.CubaLI(**constants)
    if np.all(beta == 1.0):
        r = full((1.0 / dt,))
        return nir.IF(r, **limits) if fires else nir.I(r)
    tau = dt / _above(1.0 - beta)
    return nir.LIF(tau, tau / dt, rest, **limits) if fires else nir.LI(tau, tau / dt, rest)


def _remembers_nothing(model: FloatNeuron) -> bool:
    """A comparison of each step's current alone, whatever a reader takes a reset to be."""
    return (
        model.fire is Fire.BINARY
        and model.reset is Reset.NONE
        and model.decay is not None
        and not any(model.decay)
        and model.synaptic_leak is None
        and not any(model.v_leak)
    )


def _above(share: Reals) -> Reals:
    """A share lost in a step; one that loses nothing beside others that do has a time constant of ages."""
    return np.maximum(share, 1e-12)


def _implied(graph: Graph, node: Linear) -> int:
    """Steps of delay that NIR readers add by themselves: one in a loop."""
    nodes, seen, waiting = by_name(graph), set(), [node.source]
    while waiting:
        name = waiting.pop()
        if name == node.name:
            return 1
        if name not in seen:
            seen.add(name)
            waiting += sources(nodes[name])
    return 0


def _add_delay(
    nodes: dict[str, Any], edges: list[tuple[str, str]], node: Linear, shapes: Shapes, dt: float
) -> None:
    name = f"{node.name}.delay"
    nodes[name] = nir.Delay(np.full(shapes[node.source], node.delay * dt))
    edges.remove((node.source, node.name))
    edges += [(node.source, name), (name, node.name)]
