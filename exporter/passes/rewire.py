"""Nodes that read others than before: all readers of a node that is taken out read its source."""

from __future__ import annotations

from dataclasses import replace

from exporter.graph import Add, Graph, Input, Node, by_name, sources


def without(graph: Graph, name: str) -> Graph:
    """Graph without the one-source node ``name``."""
    (source,) = sources(by_name(graph)[name])
    kept = (node for node in graph.nodes if node.name != name)
    return replace(graph, nodes=tuple(renamed(node, name, source) for node in kept))


def renamed(node: Node, old: str, new: str) -> Node:
    """The node reading ``new`` where it read ``old``."""
    if isinstance(node, Input):
        return node
    if isinstance(node, Add):
        return replace(node, sources=tuple(new if source == old else source for source in node.sources))
    return replace(node, source=new) if node.source == old else node
