"""Who reaches whom in a graph: the synapses that enter a neuron, the populations behind a synapse."""

from __future__ import annotations

from dataclasses import dataclass

from exporter.graph import (
    Add,
    BatchNorm,
    Conv,
    Flatten,
    Graph,
    Input,
    Linear,
    Neuron,
    Node,
    Pool,
    PoolKind,
    Scale,
    Synapse,
    by_name,
    sources,
)
from runtime.errors import ModelError, UnsupportedError


def delay_of(node: Node) -> int:
    """Whole steps before what a node reads arrives; only ``Linear`` can have any."""
    return node.delay if isinstance(node, Linear) else 0


def is_synapse(node: Node) -> bool:
    return isinstance(node, Linear | Conv | Scale)


def synapses(graph: Graph) -> tuple[Synapse, ...]:
    return tuple(node for node in graph.nodes if isinstance(node, Linear | Conv | Scale))


def neurons(graph: Graph) -> tuple[Neuron, ...]:
    return tuple(node for node in graph.nodes if isinstance(node, Neuron))


def input_of(graph: Graph) -> Input:
    """The graph's only input node; ``ModelError`` when there is none or more than one."""
    found = [node for node in graph.nodes if isinstance(node, Input)]
    if len(found) != 1:
        raise ModelError(f"graph: found {len(found)} inputs, expected exactly one")
    return found[0]


def consumers(graph: Graph) -> dict[str, tuple[Node, ...]]:
    """For each node's name, the nodes that read it."""
    readers: dict[str, list[Node]] = {node.name: [] for node in graph.nodes}
    for node in graph.nodes:
        for source in sources(node):
            readers[source].append(node)
    return {name: tuple(found) for name, found in readers.items()}


def fixed_nodes(graph: Graph) -> tuple[str, ...]:
    """Nodes whose output never changes within a sample: behind a constant input, before any neuron."""
    fixed: list[str] = []
    for node in graph.nodes:
        if isinstance(node, Input):
            constant = node.spec.constant
        else:
            still = not isinstance(node, Neuron) and delay_of(node) == 0
            constant = still and set(sources(node)) <= set(fixed)
        if constant:
            fixed.append(node.name)
    return tuple(fixed)


@dataclass(frozen=True)
class FanIn:
    """What enters one neuron: the synapses whose currents are summed, then a max pool or none."""

    synapses: tuple[Synapse, ...]
    pool: Pool | None


def fan_in(graph: Graph, neuron: Neuron) -> FanIn:
    """Synapses behind ``neuron``, through adds, flattening and one last max pool of currents."""
    nodes = by_name(graph)
    node, pool = nodes[neuron.source], None
    while isinstance(node, Flatten | Pool):
        if isinstance(node, Pool):
            if pool is not None:
                raise UnsupportedError(
                    f"{node.name}: found a second max pool of currents before {neuron.name}, expected one"
                )
            pool = node
        node = nodes[node.source]
    found = _summed(nodes, node, neuron)
    if len({synapse.name for synapse in found}) != len(found):
        raise UnsupportedError(f"{neuron.name}: found a synapse added to itself, expected each once")
    return FanIn(found, pool)


def _summed(nodes: dict[str, Node], node: Node, neuron: Neuron) -> tuple[Synapse, ...]:
    if isinstance(node, Linear | Conv | Scale):
        return (node,)
    if isinstance(node, Flatten):
        return _summed(nodes, nodes[node.source], neuron)
    if isinstance(node, Add):
        return tuple(s for name in node.sources for s in _summed(nodes, nodes[name], neuron))
    if isinstance(node, BatchNorm):
        raise ModelError(f"{node.name}: found a batch norm, expected it folded before this step")
    raise UnsupportedError(
        f"{node.name}: found a {type(node).__name__} among the currents of {neuron.name}, "
        "expected synapses, additions and at most one max pool after them"
    )


@dataclass(frozen=True)
class Origin:
    """A population whose payloads a synapse reads, after summing them over ``window`` or none.

    ``population`` names an ``Input``, a ``Neuron`` or a max ``Pool`` of spikes.
    """

    population: str
    window: Pool | None


def origins(graph: Graph, synapse: Synapse) -> tuple[Origin, ...]:
    """Populations behind a synapse: several when spikes were added after their neurons."""
    return _origins(by_name(graph), synapse.source, synapse.name)


def _origins(nodes: dict[str, Node], name: str, reader: str) -> tuple[Origin, ...]:
    node = nodes[name]
    if isinstance(node, Input | Neuron):
        return (Origin(name, None),)
    if isinstance(node, Flatten):
        return _origins(nodes, node.source, reader)
    if isinstance(node, Add):
        return tuple(o for source in node.sources for o in _origins(nodes, source, reader))
    if isinstance(node, Pool) and node.kind is PoolKind.MAX:
        gate_source(nodes, node)
        return (Origin(name, None),)
    if isinstance(node, Pool) and node.kind is PoolKind.SUM:
        return tuple(_pooled(o, node) for o in _origins(nodes, node.source, reader))
    raise UnsupportedError(
        f"{reader}: found {type(node).__name__} {node.name!r} as its input, "
        "expected spikes of neurons, sum or max pooled, or the network's input"
    )


def gate_source(nodes: dict[str, Node], pool: Pool) -> Node:
    """The one population behind a max pool of spikes; ``UnsupportedError`` when it is a sum."""
    node = nodes[pool.source]
    while isinstance(node, Flatten):
        node = nodes[node.source]
    if isinstance(node, Pool) and node.kind is PoolKind.MAX:
        gate_source(nodes, node)
    elif not isinstance(node, Input | Neuron):
        raise UnsupportedError(
            f"{pool.name}: found a max pool over {type(node).__name__} {node.name!r}, "
            "expected one over the spikes of one population"
        )
    return node


def _pooled(origin: Origin, pool: Pool) -> Origin:
    if origin.window is not None:
        raise UnsupportedError(f"{pool.name}: found a sum pool of a sum pool, expected one of their product")
    return Origin(origin.population, pool)
