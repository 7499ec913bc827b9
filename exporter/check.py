"""Refuses malformed graphs: names, order, cycles without delay, shapes, weights and neuron parameters."""

from __future__ import annotations

import math
from collections.abc import Iterable
from graphlib import CycleError, TopologicalSorter

import numpy as np
from numpy.typing import NDArray

from exporter.graph import BatchNorm, Conv, Graph, Linear, Neuron, Scale, Synapse, sources
from exporter.shapes import shapes
from exporter.wiring import delay_of, input_of, neurons, synapses
from runtime.errors import ModelError, UnsupportedError
from runtime.spec import Coding, Fire, FloatNeuron, InputSpec, IntegerNeuron, Readout, Reset

WEIGHT_AXES = {Linear: 2, Conv: 4, Scale: 1}
DEEPEST_DELAY = 255


def check(graph: Graph) -> dict[str, tuple[int, ...]]:
    """Shape of every node by name; ``ModelError`` naming the first thing that is not well formed."""
    input_of(graph)
    _check_names(graph)
    _check_order(graph)
    _check_input(input_of(graph).spec)
    for synapse in synapses(graph):
        _check_synapse(synapse)
    for node in graph.nodes:
        if isinstance(node, BatchNorm):
            _check_finite(node.name, "gain", node.gain)
            _check_finite(node.name, "offset", node.offset)
    found = shapes(graph)
    for neuron in neurons(graph):
        _check_neuron(neuron, found[neuron.name])
    _check_output(graph, found[graph.output])
    return found


def check_integer(graph: Graph) -> dict[str, tuple[int, ...]]:
    """As ``check``, for a graph that must be in integers throughout."""
    found = check(graph)
    for node in graph.nodes:
        if isinstance(node, BatchNorm):
            raise ModelError(f"{node.name}: found a batch norm in an integer graph, expected it folded")
        if isinstance(node, Linear | Conv | Scale) and not is_integer(node):
            raise ModelError(
                f"{node.name}: found weights in {node.weight.dtype}, expected int32 with a scale"
            )
        if isinstance(node, Linear | Conv) and node.bias is not None:
            raise ModelError(f"{node.name}: found a real bias, expected it folded into the neuron")
        if isinstance(node, Neuron) and not isinstance(node.model, IntegerNeuron):
            raise ModelError(f"{node.name}: found a neuron in real units, expected an integer neuron")
    return found


def is_integer(synapse: Synapse) -> bool:
    """Whether a synapse already carries whole numbers with a scale beside them."""
    return bool(np.issubdtype(synapse.weight.dtype, np.integer))


def _check_names(graph: Graph) -> None:
    names = [node.name for node in graph.nodes]
    for name in names:
        if names.count(name) > 1:
            raise ModelError(f"{name}: found {names.count(name)} nodes of this name, expected one")
    known = set(names)
    for node in graph.nodes:
        for source in sources(node):
            if source not in known:
                raise ModelError(f"{node.name}: found source {source!r}, expected the name of a node")
    if graph.output not in known:
        raise ModelError(f"output: found {graph.output!r}, expected the name of a neuron")


def _check_order(graph: Graph) -> None:
    direct = {node.name: () if delay_of(node) else sources(node) for node in graph.nodes}
    try:
        TopologicalSorter(direct).prepare()
    except CycleError as error:
        path = " -> ".join(reversed(error.args[1]))
        raise ModelError(f"{path}: found a cycle without a delay, expected a delay of at least 1") from error
    seen: set[str] = set()
    for node in graph.nodes:
        late = set(direct[node.name]) - seen
        if late:
            raise ModelError(f"{node.name}: found source {late.pop()!r} after it, expected sources first")
        seen.add(node.name)
        if not 0 <= delay_of(node) <= DEEPEST_DELAY:
            raise ModelError(f"{node.name}: found delay {delay_of(node)}, expected 0..{DEEPEST_DELAY}")


def _check_input(spec: InputSpec) -> None:
    if not spec.shape or min(spec.shape) < 1 or len(spec.shape) not in (1, 3):
        raise ModelError(f"input: found shape {spec.shape}, expected (n,) or (channels, height, width)")
    if spec.n_steps < 1 or not 1 <= spec.bits <= 16 or not (math.isfinite(spec.scale) and spec.scale > 0):
        raise ModelError(
            f"input: found {spec.n_steps} steps, {spec.bits} bits and scale {spec.scale}, "
            "expected at least 1 step, 1..16 bits and a positive scale"
        )
    if (spec.signed or spec.constant) and spec.coding is not Coding.DIRECT:
        raise ModelError(
            f"input: found signed or constant {spec.coding.value} coding, expected direct coding"
        )
    if spec.sample_shift != 0 and (spec.coding is not Coding.DIRECT or spec.signed or spec.sample_shift < 0):
        raise ModelError(
            f"input: found sample_shift {spec.sample_shift}, expected 0, or more for unsigned direct input"
        )


def _check_finite(name: str, what: str, values: NDArray[np.generic]) -> None:
    bad = int(np.count_nonzero(~np.isfinite(values.astype(np.float64))))
    if bad:
        raise ModelError(f"{name}: found {bad} values of {what} that are not finite, expected real numbers")


def _check_synapse(node: Synapse) -> None:
    axes = WEIGHT_AXES[type(node)]
    if node.weight.ndim != axes or node.weight.size == 0:
        raise ModelError(f"{node.name}: found weights of shape {node.weight.shape}, expected {axes} axes")
    if node.weight.dtype not in (np.dtype(np.float64), np.dtype(np.int32)):
        raise ModelError(f"{node.name}: found weights in {node.weight.dtype}, expected float64 or int32")
    _check_finite(node.name, "weight", node.weight)
    n_out = (int(node.weight.shape[0]),)
    if not isinstance(node, Scale) and node.bias is not None:
        _check_finite(node.name, "bias", node.bias)
        if node.bias.shape != n_out:
            raise ModelError(f"{node.name}: found bias of shape {node.bias.shape}, expected {n_out}")
    if is_integer(node):
        _check_scale(node, n_out)


def _check_scale(node: Synapse, n_out: tuple[int]) -> None:
    if node.scale is None or node.scale.shape != n_out:
        found = None if node.scale is None else node.scale.shape
        raise ModelError(f"{node.name}: found integer weights with scale {found}, expected scale {n_out}")
    _check_finite(node.name, "scale", node.scale)
    if np.any(node.scale <= 0):
        raise ModelError(f"{node.name}: found scale {node.scale.min()}, expected every scale above 0")
    if node.bits is None or not 1 <= node.bits <= 16:
        raise ModelError(f"{node.name}: found {node.bits} weight bits, expected 1..16")
    low, high = int(node.weight.min()), int(node.weight.max())
    if max(-low, high) > max((1 << (node.bits - 1)), 1):
        raise ModelError(f"{node.name}: found weights {low}..{high}, expected them within {node.bits} bits")


def _check_neuron(node: Neuron, shape: tuple[int, ...]) -> None:
    lengths = (1, shape[0], math.prod(shape))
    for what, values in _tuples(node.model):
        if len(values) not in lengths:
            raise ModelError(
                f"{node.name}: found {len(values)} values of {what}, expected 1, {lengths[1]} or {lengths[2]}"
            )
        if not all(math.isfinite(value) for value in values):
            raise ModelError(f"{node.name}: found {what} that is not finite, expected real numbers")
    if isinstance(node.model, IntegerNeuron):
        _check_integer_neuron(node.name, node.model)
    else:
        _check_float_neuron(node.name, node.model)


def _tuples(model: FloatNeuron | IntegerNeuron) -> Iterable[tuple[str, tuple[float, ...]]]:
    if isinstance(model, FloatNeuron):
        names = ("threshold", "reset_value", "bias", "start", "v_leak")
        factors = {"decay": model.decay, "synaptic_decay": model.synaptic_decay}
        yield from ((name, values) for name, values in factors.items() if values is not None)
    else:
        names = ("threshold_q", "reset_q", "bias_q", "start_q", "payload_shift")
    yield from ((name, getattr(model, name)) for name in names)


def _check_float_neuron(name: str, model: FloatNeuron) -> None:
    for decay in (model.decay, model.synaptic_decay):
        if decay is not None and not all(0.0 <= beta <= 1.0 for beta in decay):
            raise ModelError(f"{name}: found a decay of {min(decay):g} to {max(decay):g}, expected 0 to 1")
    if model.fire is Fire.GRADED and min(model.threshold) <= 0:
        raise ModelError(f"{name}: found graded threshold {min(model.threshold)}, expected it above 0")
    _check_payload_bits(name, model)


def _check_payload_bits(name: str, model: FloatNeuron | IntegerNeuron) -> None:
    expected = range(1, 5) if model.fire is Fire.GRADED else range(1, 2)
    if model.payload_bits not in expected:
        raise ModelError(
            f"{name}: found {model.payload_bits} payload bits of a {model.fire.value} neuron, "
            f"expected {expected.start}..{expected.stop - 1}"
        )


def _check_integer_neuron(name: str, model: IntegerNeuron) -> None:
    _check_payload_bits(name, model)
    if not model.width.lowest <= model.v_min <= model.v_max <= model.width.highest:
        raise ModelError(
            f"{name}: found a clamp to [{model.v_min}, {model.v_max}], expected it within int{model.width}"
        )
    if not all(model.v_min <= start <= model.v_max for start in model.start_q):
        raise ModelError(f"{name}: found a start value outside the clamp, expected it inside")
    if model.fire is Fire.GRADED and (min(model.threshold_q) < 1 or min(model.payload_shift) < 0):
        raise ModelError(f"{name}: found a graded threshold below 1, expected at least 1")
    if model.fire is Fire.SILENT and model.reset is not Reset.NONE:
        raise ModelError(f"{name}: found reset {model.reset.value} of a silent neuron, expected none")


def _check_output(graph: Graph, shape: tuple[int, ...]) -> None:
    node = next(node for node in graph.nodes if node.name == graph.output)
    if not isinstance(node, Neuron):
        raise ModelError(f"output: found {type(node).__name__} {graph.output!r}, expected a neuron")
    if graph.classes and len(graph.classes) != math.prod(shape):
        raise ModelError(
            f"{graph.output}: found {len(graph.classes)} class names, expected {math.prod(shape)}"
        )
    if graph.readout is Readout.COUNT and node.model.fire is Fire.SILENT:
        raise UnsupportedError(
            f"{graph.output}: found readout by count of a silent neuron, expected a membrane"
        )
