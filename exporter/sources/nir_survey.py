"""All that keeps a NIR file from being read at once, node by node."""

from __future__ import annotations

from pathlib import Path

import nir

from exporter.sources.nir import MAKERS, graph_from_nir
from exporter.sources.nir_file import read_file
from exporter.sources.nir_net import Net, flattened
from exporter.sources.nir_neurons import Conventions, cell, is_neuron
from runtime.errors import ModelError, SpikepressError

SHAPELESS = (nir.Input, nir.Output, nir.Scale, nir.Delay)


def survey(path: str | Path, how: Conventions) -> tuple[str, ...]:
    """One sentence for each node that cannot be read, in the file's order; then, where each node can be read
    by itself, the one that says why the whole cannot. FormatError for a damaged file."""
    found = read_file(path)
    try:
        net = flattened(found)
    except ModelError as error:
        return (str(error),)
    said = [sentence for name in net.nodes for sentence in _of_node(net, name, how)]
    if not said:
        try:
            graph_from_nir(found, how)
        except SpikepressError as error:
            said.append(str(error))
    return tuple(said)


def _of_node(net: Net, name: str, how: Conventions) -> list[str]:
    node = net.nodes[name]
    try:
        if is_neuron(node):
            cell(name, node, how)
        elif type(node) in MAKERS:
            MAKERS[type(node)](net, name, node, name)
        elif not isinstance(node, SHAPELESS):
            return [f"{name}: found a {type(node).__name__}, which no node here stands for"]
    except SpikepressError as error:
        return [str(error)]
    return []
