"""Finds neurons that can never fire or are never heard, in an integer graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from exporter.graph import Conv, Flatten, Graph, Linear, Neuron, Node, Pool, Scale, Synapse, by_name
from exporter.ranges import axis_length, current_interval, reach, spread
from exporter.wiring import fan_in, neurons, synapses
from runtime.spec import Fire, IntegerNeuron

Keep = Mapping[str, NDArray[np.bool_]]
"""For each population, which of its channels (or neurons of a flat one) stay."""


def survivors(graph: Graph, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, NDArray[np.bool_]]:
    """What must stay of each population: found by dropping the dead until none is left.

    At least one channel of each population stays, and all of the output and of populations that are
    tied to another one by an addition of spikes, a diagonal, a grouped convolution or a flattening.
    """
    keep = {neuron.name: np.ones(shapes[neuron.name][0], bool) for neuron in neurons(graph)}
    loose = [neuron for neuron in neurons(graph) if _is_loose(graph, neuron, shapes)]
    while True:
        seen = masked(graph, keep)
        changed = False
        for neuron in loose:
            useful = _is_heard(seen, neuron) & _can_fire(seen, neuron, shapes[neuron.name])
            left = np.asarray(keep[neuron.name] & useful, bool)
            if not left.any():
                left[0] = True
            changed = changed or not np.array_equal(left, keep[neuron.name])
            keep[neuron.name] = left
        if not changed:
            return keep


def masked(graph: Graph, keep: Keep) -> Graph:
    """The graph with the weights from and to dropped channels at 0."""
    after = {s.name: neuron.name for neuron in neurons(graph) for s in fan_in(graph, neuron).synapses}
    changed: dict[str, Node] = {}
    for synapse in synapses(graph):
        if isinstance(synapse, Scale) or synapse.name not in after:
            continue
        weight = synapse.weight.copy()
        rows = keep[after[synapse.name]]
        if len(rows) == len(weight):
            weight[~rows] = 0
        columns = columns_of(graph, synapse, keep)
        if columns is not None:
            weight[:, ~columns] = 0
        changed[synapse.name] = replace(synapse, weight=weight)
    return replace(graph, nodes=tuple(changed.get(node.name, node) for node in graph.nodes))


def columns_of(graph: Graph, synapse: Linear | Conv, keep: Keep) -> NDArray[np.bool_] | None:
    """Which entries of a synapse's input axis stay; None where all do."""
    behind = _base(graph, synapse.source)
    if behind is None or behind not in keep or (isinstance(synapse, Conv) and synapse.groups > 1):
        return None
    columns: NDArray[np.bool_] = spread(keep[behind], synapse.weight.shape[1])
    return columns


def _base(graph: Graph, name: str) -> str | None:
    """The population behind a node through pools and flattening; None behind an addition."""
    node = by_name(graph)[name]
    while isinstance(node, Pool | Flatten):
        node = by_name(graph)[node.source]
    return node.name if isinstance(node, Neuron) else None


def _bases(graph: Graph, name: str) -> set[str]:
    """Every population that reaches a node without a synapse between."""
    waiting, found = [name], set()
    while waiting:
        node = by_name(graph)[waiting.pop()]
        if isinstance(node, Neuron):
            found.add(node.name)
        elif isinstance(node, Pool | Flatten):
            waiting.append(node.source)
        else:
            waiting += getattr(node, "sources", ())
    return found


def _is_loose(graph: Graph, neuron: Neuron, shapes: Mapping[str, tuple[int, ...]]) -> bool:
    """Whether channels of a population can go without touching another population's."""
    if neuron.name == graph.output:
        return False
    for synapse in fan_in(graph, neuron).synapses:
        if _is_tied(synapse) or len(synapse.weight) != shapes[neuron.name][0]:
            return False
    readers = [s for s in synapses(graph) if neuron.name in _bases(graph, s.source)]
    return all(not _is_tied(s) and _base(graph, s.source) == neuron.name for s in readers)


def _is_tied(synapse: Synapse) -> bool:
    return isinstance(synapse, Scale) or (isinstance(synapse, Conv) and synapse.groups > 1)


def _can_fire(seen: Graph, neuron: Neuron, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Channels of which some neuron may reach its threshold."""
    model = neuron.model
    assert isinstance(model, IntegerNeuron)
    if model.fire is Fire.SILENT:
        return np.zeros(shape[0], bool)
    length = axis_length(seen, neuron, shape)
    highest = reach(model, current_interval(seen, neuron, length)).before.high
    threshold = spread(np.asarray(model.threshold_q, np.int64), length)
    return np.asarray((highest >= threshold).reshape(shape[0], -1).any(axis=1), bool)


def _is_heard(seen: Graph, neuron: Neuron) -> NDArray[np.bool_]:
    """Channels with a surviving weight to something."""
    channels = _channels(seen, neuron)
    heard: NDArray[np.bool_] = np.zeros(channels, bool)
    for synapse in synapses(seen):
        if isinstance(synapse, Scale) or _base(seen, synapse.source) != neuron.name:
            continue
        per_column = np.abs(synapse.weight).reshape(*synapse.weight.shape[:2], -1).sum(axis=(0, 2)) > 0
        heard[per_column.reshape(channels, -1).any(axis=1)] = True
    return heard


def _channels(graph: Graph, neuron: Neuron) -> int:
    """Channels of a loose population: the rows of any synapse into it."""
    return len(fan_in(graph, neuron).synapses[0].weight)
