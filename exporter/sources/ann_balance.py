"""An ANN of ReLU as a network of IF neurons whose rates are its activations: threshold balancing.

Diehl et al. 2015 set thresholds by the largest activations on data, Rueckauer et al. 2017 by a high
percentile of them; membranes start at half the threshold, which halves the error of a short run (Bu et al.
2022). A spike stands for its threshold's worth of activation: the weights behind it carry that factor. Reset
by subtraction. With payloads of several bits (ours) the threshold is that many times smaller, and one step
is a ReLU of so many levels.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from exporter.check import check
from exporter.graph import BatchNorm, Conv, Graph, Input, Linear, Neuron, Node, Pool, Reals
from exporter.reference_ops import per_neuron, pooled, transfer
from exporter.sources.onnx_ann import INPUT, Ann, Layer, Relu, as_node
from runtime.errors import UnsupportedError
from runtime.spec import Coding, Fire, FloatNeuron, InputSpec, Leak, Readout, Reset

PERCENTILE = 99.9
OUTPUT = "output"


def activations(ann: Ann, x: Reals) -> dict[str, Reals]:
    """What each layer gives out for ``x`` (samples, *shape), by name; the last is the ANN's answer."""
    found: dict[str, Reals] = {INPUT: x}
    for layer in ann.layers:
        found[layer.name] = _given(layer, found[layer.source])
    return found


def _given(layer: Layer, x: Reals) -> Reals:
    match layer:
        case Relu():
            return np.maximum(x, 0.0)
        case Linear() | Conv():
            current = transfer(layer, layer.weight.astype(np.float64), x)
            return current if layer.bias is None else current + per_neuron(layer.bias, current.shape[1:])
        case BatchNorm():
            gain, offset = (per_neuron(values, x.shape[1:]) for values in (layer.gain, layer.offset))
            return np.asarray(x * gain + offset)
        case Pool():
            return np.asarray(pooled(layer, x), np.float64)
    return x.reshape(len(x), -1)


def predictions(ann: Ann, x: Reals, batch: int = 200) -> NDArray[np.int64]:
    """The class that the ANN gives each of ``x`` (samples, *shape)."""
    last = ann.layers[-1].name
    parts = [activations(ann, x[k : k + batch])[last].argmax(axis=1) for k in range(0, len(x), batch)]
    return np.concatenate(parts).astype(np.int64)


def balanced(
    ann: Ann,
    samples: NDArray[np.integer],
    spec: InputSpec,
    *,
    payload_bits: int = 1,
    percentile: float = PERCENTILE,
) -> Graph:
    """Float graph of ``ann`` on IF neurons, thresholds from raw integer ``samples`` (n, *shape), which
    ``spec`` (direct, constant) brings in. ``UnsupportedError`` where the chain does not end in weights."""
    if not isinstance(ann.layers[-1], Linear):
        raise UnsupportedError(f"{ann.layers[-1].name}: found it last, expected fully connected weights")
    if spec.coding is not Coding.DIRECT or not spec.constant:
        raise UnsupportedError(f"input: found {spec.coding.value} coding, expected constant direct input")
    seen = activations(ann, samples.reshape(len(samples), *ann.shape).astype(np.float64) * spec.scale)
    nodes: list[Node] = [Input(INPUT, spec)]
    worth = 1.0
    for layer in ann.layers:
        if isinstance(layer, Relu):
            worth = _threshold(seen[layer.name], percentile) / ((1 << payload_bits) - 1)
            nodes.append(Neuron(layer.name, layer.source, _integrate_and_fire(worth, payload_bits)))
        elif isinstance(layer, Linear | Conv):
            nodes.append(replace(layer, weight=np.asarray(layer.weight * worth, np.float64)))
            worth = 1.0
        else:
            nodes.append(as_node(layer))
    silent = FloatNeuron(leak=Leak(), fire=Fire.SILENT, reset=Reset.NONE)
    nodes.append(Neuron(OUTPUT, ann.layers[-1].name, silent))
    graph = Graph(tuple(nodes), OUTPUT, Readout.MEMBRANE_LAST, meta={"imported.from": "onnx ann"})
    check(graph)
    return graph


def _threshold(seen: Reals, percentile: float) -> float:
    """That percentile of the activations that are not 0; 1 where none is."""
    positive = seen[seen > 0]
    return float(np.percentile(positive, percentile)) if positive.size else 1.0


def _integrate_and_fire(threshold: float, payload_bits: int) -> FloatNeuron:
    fire = Fire.BINARY if payload_bits == 1 else Fire.GRADED
    start = (threshold / 2,)
    return FloatNeuron(leak=Leak(), fire=fire, payload_bits=payload_bits, threshold=(threshold,), start=start)
