"""The layers of a graph as tables of a configuration, with the arrays of the modules they become.

A network is a chain from the input to the output; two branches that meet in a sum are one ``residual`` layer
of two chains, and a population that hears itself is one ``recurrent`` layer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from exporter.graph import Add, Conv, Flatten, Graph, Linear, Neuron, Node, Pool, PoolKind, by_name, sources
from runtime.errors import UnsupportedError
from runtime.spec import Fire, FloatNeuron

POOLS = {PoolKind.AVERAGE: "avg_pool", PoolKind.SUM: "sum_pool", PoolKind.MAX: "max_pool"}
MOST_NESTED = 16
Table = dict[str, Any]


@dataclass(frozen=True)
class Link:
    """One layer table and the arrays of its module, by the names that torch gives them."""

    table: Table
    arrays: Mapping[str, Any]


class _Net:
    """A graph by name, and the nodes that read each one forward, not in a later step."""

    def __init__(self, graph: Graph) -> None:
        self.nodes: Mapping[str, Node] = by_name(graph)
        self.readers: dict[str, list[str]] = {node.name: [] for node in graph.nodes}
        for node in graph.nodes:
            for source in sources(node):
                if not (isinstance(node, Linear) and node.delay):
                    self.readers[source].append(node.name)


def links_of(graph: Graph) -> list[Link]:
    """The layers in order. UnsupportedError names a node that is no link of a chain, and no branch of one."""
    links, end = _chain(_Net(graph), graph.nodes[0].name, 0)
    if end != graph.output:
        raise UnsupportedError(f"{end}: found branches that do not part from one node, expected them to")
    return links


def _chain(net: _Net, before: str, depth: int) -> tuple[list[Link], str]:
    """The layers behind ``before``, as far as the output or a sum where its branch ends."""
    links: list[Link] = []
    while ahead := net.readers[before]:
        if len(ahead) > 1:
            link, before = _residual(net, before, depth)
        elif _is_joint(net, ahead[0]):
            return links, ahead[0]
        else:
            link, before = _one_on(net, before, ahead[0])
        links.append(link)
    return links, before


def _one_on(net: _Net, before: str, name: str) -> tuple[Link, str]:
    node = net.nodes[name]
    return _recurrent(node, net.nodes, before) if isinstance(node, Add) else (_link(node), name)


def _is_joint(net: _Net, name: str) -> bool:
    """Whether a node sums branches, and not a population with itself."""
    node = net.nodes[name]
    return isinstance(node, Add) and not any(_delayed(net.nodes[source]) for source in node.sources)


def _delayed(node: Node) -> bool:
    return isinstance(node, Linear) and bool(node.delay)


def _residual(net: _Net, fork: str, depth: int) -> tuple[Link, str]:
    """Two branches from ``fork`` to the sum of both, as one layer, and the name of the sum."""
    if depth == MOST_NESTED or len(net.readers[fork]) != 2:
        raise UnsupportedError(
            f"{fork}: found {len(net.readers[fork])} branches at depth {depth}, "
            f"expected two, at most {MOST_NESTED} deep"
        )
    both = [_branch(net, fork, name, depth) for name in net.readers[fork]]
    (longer, end), (shorter, other) = sorted(both, key=lambda branch: -len(branch[0]))
    joint = net.nodes[end]
    if end != other or not longer or not isinstance(joint, Add) or len(joint.sources) != 2:
        raise UnsupportedError(f"{fork}: found branches to {end} and {other}, expected two to one sum")
    table: Table = {"kind": "residual", "body": [link.table for link in longer]}
    if shorter:
        table["shortcut"] = [link.table for link in shorter]
    return Link(table, {**_inside("body", longer), **_inside("shortcut", shorter)}), end


def _branch(net: _Net, fork: str, first: str, depth: int) -> tuple[list[Link], str]:
    if _is_joint(net, first):
        return [], first
    link, name = _one_on(net, fork, first)
    rest, end = _chain(net, name, depth + 1)
    return [link, *rest], end


def _inside(part: str, links: Sequence[Link]) -> Mapping[str, Any]:
    return {
        f"{part}.{number}.{name}": values
        for number, link in enumerate(links)
        for name, values in link.arrays.items()
    }


def _link(node: Node) -> Link:
    match node:
        case Linear():
            table: Table = {"kind": "linear", "out": len(node.weight), "bias": node.bias is not None}
            return Link(table, _arrays(node))
        case Conv():
            table = {
                "kind": "conv2d",
                "out": len(node.weight),
                "kernel": list(node.weight.shape[2:]),
                "stride": list(node.stride),
                "padding": list(node.padding),
                "dilation": list(node.dilation),
                "groups": node.groups,
                "bias": node.bias is not None,
            }
            return Link(table, _arrays(node))
        case Pool():
            sizes = {"kernel": list(node.kernel), "stride": list(node.stride), "padding": list(node.padding)}
            return Link({"kind": POOLS[node.kind], **sizes}, {})
        case Flatten():
            return Link({"kind": "flatten"}, {})
        case Neuron():
            return Link(*_neuron(node))
    raise UnsupportedError(f"{node.name}: found a {type(node).__name__}, expected a layer of a chain")


def _arrays(node: Linear | Conv) -> Mapping[str, Any]:
    return {"weight": node.weight} if node.bias is None else {"weight": node.weight, "bias": node.bias}


def _neuron(node: Neuron) -> tuple[Table, Mapping[str, Any]]:
    model = node.model
    assert isinstance(model, FloatNeuron)
    arrays = {"bias": np.asarray(model.bias)} if any(model.bias) else {}
    table: Table = {"shifts": list(model.leak.shifts), "bias": bool(arrays), "start": _one(node, "start")}
    if model.fire is Fire.SILENT:
        return {"kind": "li", **table}, arrays
    table |= {
        "threshold": _few(model.threshold),
        "fire": model.fire.value,
        "payload_bits": model.payload_bits,
        "compare": model.compare.value,
        "reset": model.reset.value,
        "reset_timing": model.reset_timing.value,
        "reset_value": _few(model.reset_value),
        "v_leak": _one(node, "v_leak"),
    }
    if model.synaptic_leak is None:
        return {"kind": "lif" if model.leak.shifts else "if", **table}, arrays
    if table["start"] or table["v_leak"]:
        raise UnsupportedError(f"{node.name}: found a start or v_leak of a current-based neuron, expected 0")
    table["synaptic_shifts"] = list(model.synaptic_leak.shifts)
    return {"kind": "cuba_lif", **table, "synaptic_order": model.synaptic_order.value}, arrays


def _few(values: tuple[float, ...]) -> list[float]:
    """One value where all are the same."""
    return list(values[:1] if len(set(values)) == 1 else values)


def _one(node: Neuron, what: str) -> float:
    """A value that the trainer has one of for a population."""
    values = set(getattr(node.model, what))
    if len(values) != 1:
        raise UnsupportedError(
            f"{node.name}: found a {what} of its own in each neuron, expected one to train"
        )
    return float(values.pop())


def _recurrent(total: Add, nodes: Mapping[str, Node], before: str) -> tuple[Link, str]:
    """A population that hears itself (its own synapse, the sum and the neuron) as one layer, and its name."""
    others = [nodes[name] for name in total.sources if name != before]
    own = others[0] if len(others) == 1 and before in total.sources else None
    neuron = nodes[own.source] if isinstance(own, Linear) and own.delay else None
    if not isinstance(own, Linear) or not isinstance(neuron, Neuron) or neuron.source != total.name:
        raise UnsupportedError(f"{total.name}: found a sum, expected one of a population that hears itself")
    table, arrays = _neuron(neuron)
    inner = {f"neuron.{name}": values for name, values in arrays.items()}
    inner |= {f"linear.{name}": values for name, values in _arrays(own).items()}
    recurrent = {"kind": "recurrent", "neuron": table, "delay": own.delay, "bias": own.bias is not None}
    return Link(recurrent, inner), neuron.name
