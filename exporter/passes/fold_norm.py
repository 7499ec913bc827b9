"""Folds batch norms into the synapses before them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from exporter.check import is_integer
from exporter.graph import BatchNorm, Conv, Graph, Linear, Node, Pool, Reals, by_name
from exporter.passes.rewire import without
from exporter.wiring import consumers
from runtime.errors import UnsupportedError


def fold_norm(graph: Graph) -> Graph:
    """Graph without batch norms.

    Needs: each batch norm between one synapse and a neuron; of currents, so that a padded convolution
    comes before it, not after. A max pool may stand between when every gain is above 0.
    Guarantees: the same currents, up to rounding of reals. The sign of a gain goes into the weights.
    Changes: weights and biases of those synapses, or the scale of integer weights.
    ``UnsupportedError`` names a batch norm that has no such synapse.
    """
    norms = [node for node in graph.nodes if isinstance(node, BatchNorm)]
    for norm in norms:
        graph = _fold(graph, norm.name)
    return graph


def _fold(graph: Graph, name: str) -> Graph:
    nodes = by_name(graph)
    norm = nodes[name]
    assert isinstance(norm, BatchNorm)
    synapse = _behind(graph, norm)
    changed: dict[str, Node] = {synapse.name: _scaled(synapse, norm)}
    changed_graph = replace(graph, nodes=tuple(changed.get(node.name, node) for node in graph.nodes))
    return without(changed_graph, norm.name)


def _behind(graph: Graph, norm: BatchNorm) -> Linear | Conv:
    """The synapse whose output this batch norm alone reads."""
    nodes, readers = by_name(graph), consumers(graph)
    node = nodes[norm.source]
    while isinstance(node, Pool) and np.all(norm.gain > 0) and len(readers[node.name]) == 1:
        node = nodes[node.source]
    if isinstance(node, Linear | Conv) and len(readers[node.name]) == 1:
        return node
    raise UnsupportedError(
        f"{norm.name}: found a batch norm after {type(node).__name__} {node.name!r}, expected it after a "
        "linear layer or a convolution that nothing else reads"
    )


def _scaled(synapse: Linear | Conv, norm: BatchNorm) -> Linear | Conv:
    bias = np.zeros(len(norm.gain)) if synapse.bias is None else synapse.bias
    bias = bias * norm.gain + norm.offset
    shape = (-1, *([1] * (synapse.weight.ndim - 1)))
    if not is_integer(synapse):
        weight: Reals = synapse.weight.astype(np.float64) * norm.gain.reshape(shape)
        return replace(synapse, weight=weight, bias=bias)
    assert synapse.scale is not None
    sign = np.where(norm.gain < 0, -1, 1).astype(np.int32)
    size = np.where(norm.gain == 0, 1.0, np.abs(norm.gain))
    weight_q = (synapse.weight * np.where(norm.gain == 0, 0, sign).reshape(shape)).astype(np.int32)
    return replace(synapse, weight=weight_q, scale=synapse.scale * size, bias=bias)
