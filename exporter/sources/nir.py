"""A graph from a NIR file (Pedersen et al. 2024, "Neuromorphic intermediate representation").

NIR describes neurons in continuous time and leaves to the reader how a step is taken. What it leaves open is
an argument here, recorded in the graph's ``meta``; what this package's neuron cannot say is refused by name.
Factors of the current (``dt/tau R``) are folded into the weights before a neuron.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import nir
import numpy as np

from exporter.check import check
from exporter.graph import (
    Add,
    Conv,
    Flatten,
    Graph,
    Input,
    Linear,
    Neuron,
    Node,
    Pool,
    PoolKind,
    Reals,
    Scale,
)
from exporter.shapes import Flow, flow
from exporter.sources.nir_file import read_file
from exporter.sources.nir_merge import merge_delays, merge_scales, scaled_rows
from exporter.sources.nir_net import Net, Weighted, delay_loops, ends, flattened, ordered, refuse_empty_loops
from exporter.sources.nir_neurons import Cell, Conventions, cell, is_neuron, values, whole
from runtime.errors import ModelError, UnsupportedError
from runtime.spec import Coding, Fire, InputSpec, Readout

AS_NIR = Conventions()
"""A spike above the threshold, reset to a value in the same step, steps of 0.1 ms."""

MOST_VALUES = 1 << 22
"""What one node may give in a step: shapes are a file's word."""


def load_nir(
    path: str | Path,
    how: Conventions = AS_NIR,
    *,
    spec: InputSpec | None = None,
    n_steps: int = 100,
    readout: Readout | None = None,
    classes: tuple[str, ...] = (),
) -> Graph:
    """Float graph of a NIR file. ``spec``: what the network is fed, by default events of the file's shape
    over ``n_steps``. ``readout``: by default counts of spikes, or the last membrane of a silent output.

    Raises FormatError for a file that is damaged, UnsupportedError or ModelError naming the node that
    cannot be said here.
    """
    return graph_from_nir(read_file(path), how, spec=spec, n_steps=n_steps, readout=readout, classes=classes)


def graph_from_nir(
    found: nir.NIRGraph,
    how: Conventions = AS_NIR,
    *,
    spec: InputSpec | None = None,
    n_steps: int = 100,
    readout: Readout | None = None,
    classes: tuple[str, ...] = (),
) -> Graph:
    """As ``load_nir``, of a graph in memory, which stays as it is."""
    net = flattened(found)
    entry, leaving = ends(net)
    shape = _flat(net, entry, _shape(net.nodes[entry].input_type, entry))
    refuse_empty_loops(net)
    merge_delays(net, how.dt)
    merge_scales(net)
    delay_loops(net, entry)
    cells = {name: cell(name, node, how) for name, node in net.nodes.items() if is_neuron(node)}
    _move_gains(net, cells)
    nodes: list[Node] = [Input(entry, spec or InputSpec(shape, Coding.EVENTS, n_steps, step_us=how.step_us))]
    flows = {entry: _bounded(entry, flow(nodes[0], {}))}
    for name in ordered(net):
        if name not in (entry, leaving):
            for node in _made(net, name, cells, flows):
                nodes.append(node)
                flows[node.name] = _bounded(node.name, flow(node, flows))
    output = _output(net, leaving, cells)
    default = Readout.MEMBRANE_LAST if cells[output].model.fire is Fire.SILENT else Readout.COUNT
    graph = Graph(tuple(nodes), output, readout or default, classes, how.words())
    check(graph)
    return graph


def _bounded(name: str, found: Flow) -> Flow:
    if math.prod(found.shape) > MOST_VALUES:
        raise UnsupportedError(
            f"{name}: found {math.prod(found.shape)} values, expected at most {MOST_VALUES}"
        )
    return found


def _shape(types: Any, name: str) -> tuple[int, ...]:
    found = values(name, "shape", types.get("input") if isinstance(types, dict) else None)
    shape = tuple(int(side) for side in found.reshape(-1))
    if not 1 <= len(shape) <= 3 or min(shape) < 1 or any(side != int(side) for side in found.reshape(-1)):
        raise UnsupportedError(f"{name}: found shape {shape}, expected (n,), (c, length) or (c, h, w)")
    return (shape[0], 1, shape[1]) if len(shape) == 2 else shape


def _flat(net: Net, entry: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Without sides of 1 before a row that linear weights read: sinabs keeps its axis of time as one."""
    weights = [net.nodes[name] for name in net.after(entry)]
    rows = all(isinstance(node, nir.Linear | nir.Affine) for node in weights)
    return shape[-1:] if weights and rows and math.prod(shape[:-1]) == 1 else shape


def _output(net: Net, leaving: str, cells: Mapping[str, Cell]) -> str:
    before = net.before(leaving)
    if len(before) != 1 or before[0] not in cells:
        raise UnsupportedError(
            f"{leaving}: found {', '.join(before) or 'nothing'} before it, expected a neuron"
        )
    return before[0]


def _move_gains(net: Net, cells: dict[str, Cell]) -> None:
    """Moves the gain of each population's current into the weights before it."""
    for name, found in cells.items():
        for before in net.before(name):
            for source in _weights(net, _own(net, before, name, found)):
                node = net.nodes[source]
                if isinstance(node, nir.Scale):
                    net.nodes[source] = nir.Scale(values(source, "scale", node.scale) * found.gain)
                else:
                    net.nodes[source] = scaled_rows(source, node, found.gain)


def _own(net: Net, name: str, reader: str, cell: Cell) -> str:
    """The current that only ``reader`` reads, where its gain would change what others read."""
    if np.all(cell.gain == 1.0) or not _weights(net, name):
        return name
    own = net.split_reader(name, reader)
    if isinstance(net.nodes[own], nir.Flatten):
        for source in net.before(own):
            _own(net, source, own, cell)
    return own


def _weights(net: Net, name: str) -> list[str]:
    """The weights whose current a node carries, through flattening; none for a node that carries spikes."""
    if isinstance(net.nodes[name], (*Weighted, nir.Scale)):
        return [name]
    if isinstance(net.nodes[name], nir.Flatten):
        return [weights for before in net.before(name) for weights in _weights(net, before)]
    return []


def _made(net: Net, name: str, cells: Mapping[str, Cell], flows: Mapping[str, Flow]) -> list[Node]:
    """The nodes of one NIR node; what it reads is summed first where it reads several."""
    node, read = net.nodes[name], net.before(name)
    if not read:
        raise ModelError(f"{name}: found nothing that leads to it, expected a source")
    made: list[Node] = []
    if name in cells:
        for place, source in enumerate(read):
            if not _weights(net, source):
                made.append(Scale(f"{source}>{name}", source, _diagonal(cells[name].gain, flows[source])))
                read[place] = made[-1].name
    if len(read) > 1:
        made.append(Add(f"{name}.sum", tuple(read)))
    source = made[-1].name if len(read) > 1 else read[0]
    if name in cells:
        made.append(Neuron(name, source, cells[name].model))
        return made
    if isinstance(node, nir.Scale):
        return [*made, Scale(name, source, _diagonal(values(name, "scale", node.scale), flows[source]))]
    maker = MAKERS.get(type(node))
    if maker is None:
        raise UnsupportedError(f"{name}: found a {type(node).__name__}, which no node here stands for")
    return [*made, maker(net, name, node, source)]


def _diagonal(factors: Reals, source: Flow) -> Reals:
    """Factors of spikes, one per neuron or per channel."""
    flat = factors.reshape(-1).copy()
    if len(flat) == 1:
        return np.full(source.shape[0], flat[0])
    if factors.ndim > 1 and factors.shape[0] == source.shape[0] and factors.size < math.prod(source.shape):
        return factors.reshape(len(factors), -1)[:, 0].copy()
    return flat


def _linear(net: Net, name: str, node: Any, source: str) -> Node:
    weight = values(name, "weight", node.weight)
    bias = None if isinstance(node, nir.Linear) else values(name, "bias", node.bias)
    return Linear(name, source, weight, bias, delay=net.delays.get(name, 0))


def _conv(net: Net, name: str, node: Any, source: str) -> Node:
    weight = values(name, "weight", node.weight)
    flat = isinstance(node, nir.Conv1d)
    stride, dilation = (_pair(name, x, flat, 1) for x in (node.stride, node.dilation))
    kernel = (1, weight.shape[-1]) if flat else (weight.shape[-2], weight.shape[-1])
    bias = values(name, "bias", node.bias) if node.bias is not None else None
    return Conv(
        name,
        source,
        weight[:, :, None, :] if flat else weight,
        stride=stride,
        padding=_padding(name, node.padding, flat, kernel, dilation, stride),
        dilation=dilation,
        groups=whole(name, "groups", node.groups),
        bias=None if bias is None or not np.any(bias) else bias,
    )


def _pair(name: str, found: Any, flat: bool, other: int) -> tuple[int, int]:
    sides = [int(side) for side in values(name, "window", found).reshape(-1)]
    if flat:
        return (other, sides[0])
    return (sides[0], sides[-1])


def _padding(
    name: str,
    found: Any,
    flat: bool,
    kernel: tuple[int, int],
    dilation: tuple[int, int],
    stride: tuple[int, int],
) -> tuple[int, int]:
    word = found.decode() if isinstance(found, bytes) else found
    if not isinstance(word, str):
        return _pair(name, found, flat, 0)
    if word == "valid":
        return (0, 0)
    spans = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
    if word != "same" or stride != (1, 1) or any(span % 2 for span in spans):
        raise UnsupportedError(f"{name}: found padding {word!r} of kernel {kernel}, expected an even one")
    return (spans[0] // 2, spans[1] // 2)


def _pool(net: Net, name: str, node: Any, source: str) -> Node:
    kind = PoolKind.SUM if isinstance(node, nir.SumPool2d) else PoolKind.AVERAGE
    kernel, stride = (_pair(name, x, False, 1) for x in (node.kernel_size, node.stride))
    return Pool(name, source, kind, kernel, stride, _pair(name, node.padding, False, 0))


def _flatten(net: Net, name: str, node: Any, source: str) -> Node:
    axes = whole(name, "start_dim", node.start_dim), whole(name, "end_dim", node.end_dim)
    if axes[0] != 0 or axes[1] not in (-1, 1, 2):
        raise UnsupportedError(f"{name}: found a Flatten of some axes, expected one of all")
    return Flatten(name, source)


MAKERS: Mapping[type[nir.NIRNode], Callable[[Net, str, Any, str], Node]] = {
    nir.Linear: _linear,
    nir.Affine: _linear,
    nir.Conv1d: _conv,
    nir.Conv2d: _conv,
    nir.SumPool2d: _pool,
    nir.AvgPool2d: _pool,
    nir.Flatten: _flatten,
}
