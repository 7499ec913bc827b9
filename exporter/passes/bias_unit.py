"""Biases into current-based neurons, as spikes: integers have no bias inside a synaptic current."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from exporter.graph import Add, Graph, Input, Linear, Neuron, Node
from exporter.passes.rewire import renamed
from exporter.wiring import fan_in, neurons
from runtime.spec import FloatNeuron, Leak

UNIT = "bias.unit"


def bias_unit(graph: Graph) -> Graph:
    """Graph whose current-based neurons hear a bias from a neuron that fires at every step.

    Needs: a graph in real units. Guarantees: the same currents. Changes: each biased linear synapse into a
    current-based population loses its bias to a synapse of that weight from one more population of a single
    neuron, which hears nothing and whose own bias is its threshold. Other biases are left to the neurons.
    """
    biased = [
        synapse
        for neuron in neurons(graph)
        if isinstance(neuron.model, FloatNeuron) and neuron.model.synaptic_leak is not None
        for synapse in fan_in(graph, neuron).synapses
        if isinstance(synapse, Linear) and synapse.bias is not None and synapse.bias.any()
    ]
    for synapse in biased:
        graph = _moved(graph, synapse)
    if not biased:
        return graph
    first, *rest = graph.nodes
    assert isinstance(first, Input)
    return replace(graph, nodes=(first, *_unit(), *rest))


def _unit() -> tuple[Node, ...]:
    """One neuron behind a synapse of weight 0 from itself: a population needs a source."""
    always = FloatNeuron(leak=Leak(), threshold=(1.0,), bias=(1.0,))
    return Linear("bias.none", UNIT, np.zeros((1, 1)), delay=1), Neuron(UNIT, "bias.none", always)


def _moved(graph: Graph, synapse: Linear) -> Graph:
    """The synapse without its bias, its readers hearing the sum of it and the unit's synapse."""
    assert synapse.bias is not None
    own = Linear(f"{synapse.name}.bias", UNIT, np.asarray(synapse.bias, np.float64).reshape(-1, 1))
    total = Add(f"{synapse.name}.sum", (synapse.name, own.name))
    nodes: list[Node] = []
    for node in graph.nodes:
        if node.name == synapse.name:
            nodes += [replace(synapse, bias=None), own, total]
        else:
            nodes.append(renamed(node, synapse.name, total.name))
    return replace(graph, nodes=tuple(nodes))
