"""Turns average pools of spikes into sums, with the factor in the scale of what follows."""

from __future__ import annotations

import math
from dataclasses import replace

from exporter.check import is_integer
from exporter.graph import Add, Flatten, Graph, Node, Pool, PoolKind, Synapse, by_name
from exporter.shapes import Signal, flows
from exporter.wiring import synapses
from runtime.errors import UnsupportedError


def fold_pool(graph: Graph) -> Graph:
    """Graph whose average pools are sum pools.

    Needs: average pools of spikes or of the input, without padding and with stride equal to kernel.
    Guarantees: the same currents, up to rounding of reals; every spike stays an event of its own.
    Changes: weights (or the scale of integer weights) of the synapses behind them, which shrink by the
    window's area. Integer weights stay as they are.
    """
    kinds = flows(graph)
    for pool in _averages(graph):
        if kinds[pool.name].signal is not Signal.EVENTS:
            raise UnsupportedError(f"{pool.name}: found an average pool of currents, expected one of spikes")
    changed: dict[str, Node] = {s.name: _shrunk(s, _area(graph, s.source, s.name)) for s in synapses(graph)}
    changed |= {pool.name: replace(pool, kind=PoolKind.SUM) for pool in _averages(graph)}
    return replace(graph, nodes=tuple(changed.get(node.name, node) for node in graph.nodes))


def _averages(graph: Graph) -> list[Pool]:
    return [n for n in graph.nodes if isinstance(n, Pool) and n.kind is PoolKind.AVERAGE]


def _area(graph: Graph, name: str, reader: str) -> int:
    """Cells averaged on the way to a synapse, the same on every way."""
    node = by_name(graph)[name]
    if isinstance(node, Add):
        areas = {_area(graph, source, reader) for source in node.sources}
        if len(areas) > 1:
            raise UnsupportedError(
                f"{reader}: found spikes averaged over {sorted(areas)} cells and added, expected one number"
            )
        return areas.pop()
    if isinstance(node, Flatten):
        return _area(graph, node.source, reader)
    if isinstance(node, Pool):
        own = math.prod(node.kernel) if node.kind is PoolKind.AVERAGE else 1
        return own * _area(graph, node.source, reader)
    return 1


def _shrunk(synapse: Synapse, area: int) -> Synapse:
    if area == 1:
        return synapse
    if is_integer(synapse):
        assert synapse.scale is not None
        return replace(synapse, scale=synapse.scale / area)
    return replace(synapse, weight=synapse.weight / area)
