"""The ``Graph``: a network as meant, one frozen dataclass per kind of node, numpy arrays inside.

A graph is *float* as a source made it, and *integer* after ``exporter.quantize``: weights become whole
numbers with a real ``scale`` beside them, and each neuron's ``model`` becomes an ``IntegerNeuron``.
Passes take a graph and return a new one; nothing is changed in place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from runtime.spec import FloatNeuron, InputSpec, IntegerNeuron, Readout

Weights = NDArray[np.float64] | NDArray[np.int32]
Reals = NDArray[np.float64]


@dataclass(frozen=True)
class Input:
    """The coded input; ``spec.shape`` is its shape, in integers once the graph is an integer graph."""

    name: str
    spec: InputSpec


@dataclass(frozen=True)
class Linear:
    """``y = weight @ x + bias``; weight (out, in). ``delay`` whole steps before the result arrives:
    a cycle must pass through a delay of at least 1. ``scale`` (out,) or None: the real value of one
    unit of an integer weight. ``shift``: see ``runtime.program.Projection`` (integer graphs only, which
    carry no ``bias``: the neuron has taken it over)."""

    name: str
    source: str
    weight: Weights
    bias: Reals | None = None
    scale: Reals | None = None
    bits: int | None = None
    shift: int = 0
    delay: int = 0


@dataclass(frozen=True)
class Conv:
    """Two-dimensional cross-correlation on (channels, height, width); weight (out, in / groups, kh, kw).
    One-dimensional convolutions have height 1. Other fields as in ``Linear``."""

    name: str
    source: str
    weight: Weights
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    bias: Reals | None = None
    scale: Reals | None = None
    bits: int | None = None
    shift: int = 0


@dataclass(frozen=True)
class Scale:
    """``y = weight * x`` per channel (or per neuron): an identity skip, a diagonal of synapses."""

    name: str
    source: str
    weight: Weights
    scale: Reals | None = None
    bits: int | None = None
    shift: int = 0


@dataclass(frozen=True)
class BatchNorm:
    """``y = gain * x + offset`` per channel, from the running statistics. Float graphs only."""

    name: str
    source: str
    gain: Reals
    offset: Reals


class PoolKind(Enum):
    SUM = "sum"
    AVERAGE = "average"
    MAX = "max"


@dataclass(frozen=True)
class Pool:
    """Pooling over the two trailing axes, of spikes or (max only) of currents."""

    name: str
    source: str
    kind: PoolKind
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Flatten:
    """(channels, height, width) to one axis, in that order."""

    name: str
    source: str


@dataclass(frozen=True)
class Add:
    """Elementwise sum, of currents (before a neuron) or of spikes (SEW, after neurons)."""

    name: str
    sources: tuple[str, ...]


@dataclass(frozen=True)
class Neuron:
    """A population. ``scale`` (integer graphs): the real value of one membrane unit, per channel.
    ``kept``: indices of these neurons in the network the graph came from, when some were dropped."""

    name: str
    source: str
    model: FloatNeuron | IntegerNeuron
    scale: Reals | None = None
    kept: NDArray[np.int64] | None = None


Synapse = Linear | Conv | Scale
Node = Input | Linear | Conv | Scale | BatchNorm | Pool | Flatten | Add | Neuron


@dataclass(frozen=True)
class Graph:
    """Nodes in topological order (edges with a delay aside). ``output`` names the neuron read out."""

    nodes: tuple[Node, ...]
    output: str
    readout: Readout
    classes: tuple[str, ...] = ()
    meta: Mapping[str, str] = field(default_factory=dict)


def sources(node: Node) -> tuple[str, ...]:
    """Names of the nodes this one reads."""
    if isinstance(node, Input):
        return ()
    if isinstance(node, Add):
        return node.sources
    return (node.source,)


def by_name(graph: Graph) -> dict[str, Node]:
    return {node.name: node for node in graph.nodes}
