"""Lowers an integer graph to a ``Program``: populations in order, projections, encoded tables."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from exporter.check import check_integer
from exporter.graph import Conv, Graph, Input, Linear, Neuron, Node, Pool, PoolKind, Synapse, by_name
from exporter.shapes import Signal, flows
from exporter.wiring import delay_of, fan_in, gate_source, input_of, origins
from runtime.check import check_program
from runtime.choice import choose
from runtime.encodings import encode, smallest
from runtime.errors import UnsupportedError
from runtime.objective import Objective
from runtime.program import (
    ConvSynapses,
    DiagonalSynapses,
    EncodedMatrix,
    GatePopulation,
    InputPopulation,
    LinearSynapses,
    NeuronPopulation,
    Population,
    Program,
    Projection,
    Synapses,
    Window,
)
from runtime.spec import IntegerNeuron

DIAGONAL = "diagonal"


@dataclass(frozen=True)
class _Plan:
    """What every step of the lowering looks up: shapes by name, and the index of each population."""

    graph: Graph
    shapes: Mapping[str, tuple[int, ...]]
    index: Mapping[str, int]


def lower(graph: Graph, encoding: str | None = None, objective: Objective = Objective.FLASH) -> Program:
    """Program of an integer graph; each table in the encoding that is best for the objective, or in
    ``encoding`` where it is not a diagonal. ``UnsupportedError`` names what a ``Program`` cannot say."""
    shapes = check_integer(graph)
    standing: list[Node] = [input_of(graph)]
    standing += [node for node in graph.nodes if _stands(graph, node)]
    plan = _Plan(graph, shapes, {node.name: position for position, node in enumerate(standing)})
    wired = [
        (synapse, node)
        for node in standing
        if isinstance(node, Neuron)
        for synapse in fan_in(graph, node).synapses
    ]
    program = Program(
        input=input_of(graph).spec,
        populations=tuple(_population(plan, node) for node in standing),
        projections=tuple(p for table, pair in enumerate(wired) for p in _projections(plan, *pair, table)),
        tables=tuple(_table(plan, synapse, encoding, objective) for synapse, _ in wired),
        output=plan.index[graph.output],
        readout=graph.readout,
        classes=graph.classes,
        meta=dict(graph.meta),
    )
    check_program(program)
    return program


def _stands(graph: Graph, node: Node) -> bool:
    """Whether a node after the input becomes a population: neurons, and max pools of spikes."""
    if isinstance(node, Pool) and node.kind is PoolKind.MAX:
        return flows(graph)[node.name].signal is Signal.EVENTS
    return isinstance(node, Neuron)


def _population(plan: _Plan, node: Node) -> Population:
    shape = plan.shapes[node.name]
    if isinstance(node, Input):
        return InputPopulation(node.name, shape)
    if isinstance(node, Pool):
        source = gate_source(by_name(plan.graph), node)
        return GatePopulation(node.name, shape, plan.index[source.name], _window(node))
    assert isinstance(node, Neuron)
    assert isinstance(node.model, IntegerNeuron)
    pool = fan_in(plan.graph, node).pool
    if pool is None:
        return NeuronPopulation(node.name, shape, node.model)
    before = plan.shapes[pool.source]
    return NeuronPopulation(node.name, plan.shapes[pool.name], node.model, _window(pool), before)


def _projections(plan: _Plan, synapse: Synapse, post: Neuron, table: int) -> tuple[Projection, ...]:
    """One projection per population behind a synapse; spikes added after their neurons share the table."""
    found = origins(plan.graph, synapse)
    if len(found) > 1 and synapse.shift < 0:
        raise UnsupportedError(
            f"{synapse.name}: found a rounding shift over {len(found)} added populations, expected one"
        )
    names = [synapse.name] + [f"{synapse.name}+{n}" for n in range(1, len(found))]
    return tuple(
        Projection(
            name=name,
            pre=plan.index[origin.population],
            post=plan.index[post.name],
            synapses=_synapses(plan, synapse),
            table=table,
            shift=synapse.shift,
            delay=delay_of(synapse),
            pool=_window(origin.window) if origin.window else None,
        )
        for name, origin in zip(names, found, strict=True)
    )


def _synapses(plan: _Plan, synapse: Synapse) -> Synapses:
    if isinstance(synapse, Linear):
        return LinearSynapses()
    if not isinstance(synapse, Conv):
        return DiagonalSynapses()
    channels, height, width = plan.shapes[synapse.source]
    out_channels, out_height, out_width = plan.shapes[synapse.name]
    kh, kw = synapse.weight.shape[2:]
    return ConvSynapses(
        in_shape=(channels, height, width),
        out_shape=(out_channels, out_height, out_width),
        kernel=(int(kh), int(kw)),
        stride=synapse.stride,
        padding=synapse.padding,
        dilation=synapse.dilation,
        groups=synapse.groups,
    )


def _table(plan: _Plan, synapse: Synapse, encoding: str | None, objective: Objective) -> EncodedMatrix:
    matrix = table_matrix(synapse)
    assert synapse.bits is not None
    if not isinstance(synapse, Linear | Conv):
        return encode(matrix, DIAGONAL, synapse.bits)
    taps = math.prod(synapse.weight.shape[2:])
    chosen = encoding or _chosen(matrix, synapse.bits, objective, taps)
    return encode(matrix, chosen, synapse.bits, taps=taps)


def _chosen(matrix: NDArray[np.int32], bits: int, objective: Objective, taps: int) -> str:
    if objective is Objective.FLASH:
        return smallest(matrix, bits, taps=taps)
    return choose(matrix, bits, objective, taps=taps).encoding


def table_matrix(synapse: Synapse) -> NDArray[np.int32]:
    """Weights as ``runtime.program`` lays them out: rows by presynaptic neuron or channel."""
    weight = synapse.weight.astype(np.int32)
    if isinstance(synapse, Linear):
        return np.ascontiguousarray(weight.T)
    if isinstance(synapse, Conv):
        n_out, per_group, kh, kw = weight.shape
        grouped = weight.reshape(synapse.groups, n_out // synapse.groups, per_group, kh * kw)
        rows = grouped.transpose(0, 2, 1, 3).reshape(synapse.groups * per_group, -1)
        return np.ascontiguousarray(rows)
    return weight.reshape(1, -1)


def _window(pool: Pool) -> Window:
    return Window(pool.kernel, pool.stride, pool.padding)
