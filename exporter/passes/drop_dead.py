"""Drops neurons that can never fire or are never heard."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from exporter.check import check_integer
from exporter.graph import Conv, Graph, Linear, Neuron, Node
from exporter.passes.dead import Keep, columns_of, survivors
from exporter.ranges import spread
from exporter.wiring import fan_in, neurons
from runtime.spec import IntegerNeuron


def drop_dead(graph: Graph) -> Graph:
    """Integer graph without neurons whose membrane can never reach the threshold, or that nothing hears.

    Needs: an integer graph.
    Guarantees: spikes and stored membranes of the neurons that stay, scores and predictions are the same
    for every input. The output keeps all its neurons; populations on maps lose whole channels only.
    Changes: rows and columns of weights, neuron parameters; ``Neuron.kept`` maps to the old indices.
    """
    shapes = check_integer(graph)
    keep = survivors(graph, shapes)
    if all(mask.all() for mask in keep.values()):
        return graph
    changed: dict[str, Node] = {}
    for neuron in neurons(graph):
        mask = keep[neuron.name]
        changed[neuron.name] = _smaller(neuron, mask, math.prod(shapes[neuron.name]))
        for synapse in fan_in(graph, neuron).synapses:
            if isinstance(synapse, Linear | Conv):
                changed[synapse.name] = _sliced(graph, synapse, mask, keep)
    return replace(graph, nodes=tuple(changed.get(node.name, node) for node in graph.nodes))


def _sliced(graph: Graph, synapse: Linear | Conv, rows: NDArray[np.bool_], keep: Keep) -> Linear | Conv:
    weight, scale = synapse.weight.astype(np.int32), synapse.scale
    assert scale is not None
    if len(rows) == len(weight):
        weight, scale = weight[rows], scale[rows]
    columns = columns_of(graph, synapse, keep)
    if columns is not None:
        weight = weight[:, columns]
    return replace(synapse, weight=np.ascontiguousarray(weight), scale=scale)


def _smaller(neuron: Neuron, mask: NDArray[np.bool_], n: int) -> Neuron:
    if mask.all():
        return neuron
    model = neuron.model
    assert isinstance(model, IntegerNeuron)
    model = replace(
        model,
        threshold_q=_entries(model.threshold_q, mask),
        reset_q=_entries(model.reset_q, mask),
        bias_q=_entries(model.bias_q, mask),
        start_q=_entries(model.start_q, mask),
        payload_shift=_entries(model.payload_shift, mask),
    )
    before = np.arange(n) if neuron.kept is None else neuron.kept
    scale = neuron.scale
    if scale is not None:
        scale = scale[spread(mask, len(scale))] if len(scale) > 1 else scale
    return replace(neuron, model=model, scale=scale, kept=before[spread(mask, n)])


def _entries(values: tuple[int, ...], mask: NDArray[np.bool_]) -> tuple[int, ...]:
    """Values of what stays, given one for all, one per channel or one per neuron."""
    if len(values) == 1:
        return values
    return tuple(np.asarray(values)[spread(mask, len(values))].tolist())
