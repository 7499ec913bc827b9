"""A NIR graph as plain nodes and edges, with scales and delays merged into the weights beside them."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from typing import Any

import nir
import numpy as np

from exporter.graph import Reals
from exporter.sources.nir_neurons import values
from runtime.errors import ModelError, UnsupportedError

Edge = tuple[str, str]
Weighted = (nir.Linear, nir.Affine, nir.Conv1d, nir.Conv2d)
Matrix = (nir.Linear, nir.Affine)


@dataclass
class Net:
    """Nodes by name and edges between them, changed in place while a file is read; ``delays`` in steps."""

    nodes: dict[str, Any]
    edges: list[Edge]
    delays: dict[str, int] = field(default_factory=dict)

    def before(self, name: str) -> list[str]:
        return [a for a, b in self.edges if b == name]

    def after(self, name: str) -> list[str]:
        return [b for a, b in self.edges if a == name]

    def bridge(self, name: str) -> None:
        """Takes a node out and joins what was before it to what was after it."""
        before, after = self.before(name), self.after(name)
        self.edges = [edge for edge in self.edges if name not in edge]
        self.edges += [(a, b) for a in before for b in after]
        del self.nodes[name]


def flattened(graph: nir.NIRGraph) -> Net:
    """One net of the graph and all graphs inside it; their nodes are named ``outer.inner``."""
    net = Net(dict(graph.nodes), _edges(graph, ""))
    while inner := [name for name, node in net.nodes.items() if isinstance(node, nir.NIRGraph)]:
        _expand(net, inner[0])
    for edge in net.edges:
        for name in edge:
            if name not in net.nodes:
                raise ModelError(f"edge {edge[0]} -> {edge[1]}: found no node {name!r}, expected one")
    return net


def _edges(graph: nir.NIRGraph, prefix: str) -> list[Edge]:
    found = [(f"{prefix}{a}", f"{prefix}{b}") for a, b in graph.edges]
    if len(set(found)) != len(found):
        twice = next(edge for edge in found if found.count(edge) > 1)
        raise ModelError(f"edge {twice[0]} -> {twice[1]}: found it twice, expected once")
    return found


def _expand(net: Net, name: str) -> None:
    graph = net.nodes.pop(name)
    inner = {f"{name}.{key}": node for key, node in graph.nodes.items()}
    taken = set(inner) & set(net.nodes)
    if taken:
        raise ModelError(f"{taken.pop()}: found two nodes of this name, expected one")
    entry = _only(name, inner, nir.Input)
    leaving = _only(name, inner, nir.Output)
    net.nodes |= inner
    net.edges = [(leaving if a == name else a, entry if b == name else b) for a, b in net.edges]
    net.edges += _edges(graph, f"{name}.")
    net.bridge(entry)
    net.bridge(leaving)


def _only(where: str, nodes: dict[str, Any], kind: type) -> str:
    found = [name for name, node in nodes.items() if isinstance(node, kind)]
    if len(found) != 1:
        raise UnsupportedError(f"{where}: found {len(found)} nodes {kind.__name__}, expected one")
    return found[0]


def ends(net: Net) -> tuple[str, str]:
    """The names of the input and of the output."""
    return _only("graph", net.nodes, nir.Input), _only("graph", net.nodes, nir.Output)


def merge_delays(net: Net, dt: float) -> None:
    """Every ``Delay`` becomes whole steps of the linear map after it or before it."""
    for name in _named(net, nir.Delay):
        steps = _steps(name, net.nodes[name].delay, dt)
        after, before = net.after(name), net.before(name)
        if len(after) == 1 and len(net.before(after[0])) == 1 and isinstance(net.nodes[after[0]], Matrix):
            beside = after[0]
        elif len(before) == 1 and len(net.after(before[0])) == 1 and isinstance(net.nodes[before[0]], Matrix):
            beside = before[0]
        else:
            raise UnsupportedError(f"{name}: found a delay that is not of one linear map alone, expected so")
        net.delays[beside] = net.delays.get(beside, 0) + steps
        net.bridge(name)


def _steps(name: str, delay: Any, dt: float) -> int:
    times = values(name, "delay", delay) / dt
    steps = round(float(times.reshape(-1)[0]))
    if np.abs(times - steps).max() > 1e-3 or steps < 0:
        raise UnsupportedError(
            f"{name}: found delays of {times.min():g} to {times.max():g} steps, expected one whole number"
        )
    return steps


def merge_scales(net: Net) -> None:
    """A ``Scale`` beside weights becomes part of them; one between spikes and a neuron stays."""
    for name in _named(net, nir.Scale):
        scale = values(name, "scale", net.nodes[name].scale)
        before, after = net.before(name), net.after(name)
        if len(before) == 1 and isinstance(net.nodes[before[0]], Weighted) and net.after(before[0]) == [name]:
            net.nodes[before[0]] = scaled_rows(before[0], net.nodes[before[0]], scale)
        elif after and all(_reads_only(net, reader, name) for reader in after):
            for reader in after:
                net.nodes[reader] = _scaled_columns(reader, net.nodes[reader], scale)
        else:
            continue
        net.bridge(name)


def _reads_only(net: Net, reader: str, name: str) -> bool:
    return isinstance(net.nodes[reader], Weighted) and net.before(reader) == [name]


def scaled_rows(name: str, node: Any, gain: Reals) -> Any:
    """Weights and bias of each output times its gain."""
    weight = values(name, "weight", node.weight)
    rows = _each(name, gain, len(weight))
    changes = {"weight": weight * rows.reshape(-1, *[1] * (weight.ndim - 1))}
    if getattr(node, "bias", None) is not None:
        changes["bias"] = values(name, "bias", node.bias) * rows
    return _changed(node, changes)


def _scaled_columns(name: str, node: Any, gain: Reals) -> Any:
    weight = values(name, "weight", node.weight)
    groups = int(getattr(node, "groups", 1))
    columns = _each(name, gain, weight.shape[1] * groups)
    if groups > 1:
        owner = np.arange(len(weight)) // (len(weight) // groups)
        columns = columns.reshape(groups, -1)[owner]
    else:
        columns = columns[None]
    return _changed(node, {"weight": weight * columns.reshape(*columns.shape, *[1] * (weight.ndim - 2))})


def _each(name: str, gain: Reals, count: int) -> Reals:
    """One factor for each of ``count`` channels or neurons."""
    if np.all(gain == gain.reshape(-1)[0]):
        return np.full(count, float(gain.reshape(-1)[0]))
    maps = gain.reshape(len(gain), -1)
    if len(gain) == count and np.all(maps == maps[:, :1]):
        return maps[:, 0].copy()
    raise UnsupportedError(f"{name}: found factors of shape {gain.shape}, expected one or one per channel")


def _changed(node: Any, changes: dict[str, Reals]) -> Any:
    made = copy.copy(node)
    for key, value in changes.items():
        setattr(made, key, value)
    return made


def _named(net: Net, kind: type) -> list[str]:
    return [name for name, node in net.nodes.items() if isinstance(node, kind)]


def delay_loops(net: Net, start: str) -> None:
    """Gives the linear map that closes a loop a delay of one step, until no loop is left without one.

    A loop's signal arrives one step later in every framework that writes NIR, though NIR does not say so.
    """
    while (edge := _closing(net, start)) is not None:
        found = next((name for name in edge if isinstance(net.nodes[name], Matrix)), None)
        if found is None or net.delays.get(found, 0):
            raise UnsupportedError(
                f"{edge[0]} -> {edge[1]}: found a loop that no linear map closes, expected one"
            )
        net.delays[found] = 1


def _closing(net: Net, start: str) -> Edge | None:
    """The first edge that leads back to a node on the path from ``start``; delayed maps end a path."""
    after: dict[str, list[str]] = {name: [] for name in net.nodes}
    for a, b in net.edges:
        if not net.delays.get(b, 0):
            after[a].append(b)
    done: set[str] = set()
    for root in (start, *net.nodes):
        path, waiting = [root], [iter(after[root])]
        if root in done:
            continue
        while path:
            name = next(waiting[-1], None)
            if name is None:
                done.add(path.pop())
                waiting.pop()
            elif name in path:
                return path[-1], name
            elif name not in done:
                path.append(name)
                waiting.append(iter(after[name]))
    return None


def ordered(net: Net) -> Iterable[str]:
    """Names with every source first, delayed maps' sources aside."""
    direct = {name: [] if net.delays.get(name, 0) else net.before(name) for name in net.nodes}
    return TopologicalSorter(direct).static_order()
