"""A NIR graph as plain nodes and edges, graphs inside it opened, loops delayed."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import Any

import nir
import numpy as np

from exporter.graph import Reals
from exporter.sources.nir_neurons import is_neuron
from runtime.errors import ModelError, UnsupportedError

Edge = tuple[str, str]
Weighted = (nir.Linear, nir.Affine, nir.Conv1d, nir.Conv2d)
Matrix = (nir.Linear, nir.Affine)
Linears = (*Weighted, nir.Scale, nir.Delay)


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

    def named(self, kind: type) -> list[str]:
        """Names of the nodes of a kind."""
        return [name for name, node in self.nodes.items() if isinstance(node, kind)]

    def copy(self, name: str, node: Any) -> str:
        """Puts ``node`` beside another: it reads the same and feeds the same. Its name."""
        made = self._free(name)
        self.nodes[made] = node
        self.edges += [(a, made) for a in self.before(name)] + [(made, b) for b in self.after(name)]
        if name in self.delays:
            self.delays[made] = self.delays[name]
        return made

    def split_source(self, reader: str, source: str) -> str:
        """The linear node that reads ``source`` alone: ``reader``, or a copy of it without its bias."""
        if self.before(reader) == [source]:
            return reader
        made = self.copy(reader, _unbiased(self.nodes[reader]))
        self.edges = [edge for edge in self.edges if edge[1] != made and edge != (source, reader)]
        self.edges.append((source, made))
        return made

    def split_reader(self, name: str, reader: str) -> str:
        """The node that feeds ``reader`` alone: ``name``, or a copy of it."""
        if self.after(name) == [reader]:
            return name
        made = self.copy(name, copy.copy(self.nodes[name]))
        self.edges = [edge for edge in self.edges if edge[0] != made and edge != (name, reader)]
        self.edges.append((made, reader))
        return made

    def swap(self, name: str, reader: str) -> list[str]:
        """Puts a node with one source and one reader behind that reader: one for each that comes after it."""
        own, node, (source,) = self.split_source(reader, name), self.nodes[name], self.before(name)
        self.edges = [edge for edge in self.edges if name not in edge]
        del self.nodes[name]
        made = [self.between(own, after, node) for after in self.after(own)]
        self.edges.append((source, own))
        return made

    def between(self, name: str, reader: str, node: Any) -> str:
        """Puts ``node`` on the edge from ``name`` to ``reader``. Its name."""
        made = self._free(name)
        self.nodes[made] = node
        self.edges = [edge for edge in self.edges if edge != (name, reader)]
        self.edges += [(name, made), (made, reader)]
        return made

    def _free(self, name: str) -> str:
        count = 2
        while f"{name}~{count}" in self.nodes:
            count += 1
        return f"{name}~{count}"


def _unbiased(node: Any) -> Any:
    if isinstance(node, nir.Affine):
        return nir.Linear(node.weight)
    if getattr(node, "bias", None) is not None:
        return changed(node, {"bias": np.zeros(np.shape(node.bias))})
    return copy.copy(node)


def changed(node: Any, changes: dict[str, Reals]) -> Any:
    """A copy of a node with other parameters."""
    made = copy.copy(node)
    for key, value in changes.items():
        setattr(made, key, value)
    return made


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
        net.delays[net.split_source(found, edge[0]) if found == edge[1] else found] = 1
    for name in list(net.delays):
        for source in net.before(name)[1:]:
            net.split_source(name, source)


def refuse_empty_loops(net: Net) -> None:
    """Raises UnsupportedError for a loop of weights, delays and shapes that no neuron is part of."""
    still = {name for name, node in net.nodes.items() if not is_neuron(node)}
    try:
        TopologicalSorter({name: still.intersection(net.before(name)) for name in still}).prepare()
    except CycleError as error:
        path = " -> ".join(reversed(error.args[1]))
        raise UnsupportedError(f"{path}: found a loop without a neuron, expected one in it") from error


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
