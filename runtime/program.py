"""``Program``: populations of neurons joined by projections, all integers, ready to run or to store.

Plain frozen data. ``runtime.check`` refuses anything a kernel could not run safely.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from runtime.spec import InputSpec, IntegerNeuron, Readout


@dataclass(frozen=True)
class Window:
    """A pooling window over the two trailing axes of a (channels, height, width) population."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class InputPopulation:
    """Population 0: the coded input."""

    name: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class NeuronPopulation:
    """Spiking neurons, or silent integrators. With ``pool``, currents are summed over
    ``current_shape`` first and the largest of each window enters the neuron (a dense int32 max)."""

    name: str
    shape: tuple[int, ...]
    neuron: IntegerNeuron
    pool: Window | None = None
    current_shape: tuple[int, ...] | None = None


@dataclass(frozen=True)
class GatePopulation:
    """Stateless max over windows of another population's payloads (an OR for binary spikes)."""

    name: str
    shape: tuple[int, ...]
    source: int
    window: Window


Population = InputPopulation | NeuronPopulation | GatePopulation


def n_neurons(population: Population) -> int:
    return math.prod(population.shape)


@dataclass(frozen=True)
class LinearSynapses:
    """Table rows = presynaptic neurons (after ``Projection.pool``), columns = postsynaptic neurons."""


@dataclass(frozen=True)
class ConvSynapses:
    """Shared kernels. Table rows = input channels; column ``(o * kh + ky) * kw + kx`` is the weight
    to output channel ``group * (out_channels // groups) + o``, where ``group`` is the row's group.
    One-dimensional convolutions have height 1. An event at (c, y, x) reaches (o, oy, ox) where
    ``oy * stride + ky * dilation - padding == y``, and likewise in x."""

    in_shape: tuple[int, int, int]
    out_shape: tuple[int, int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    groups: int


@dataclass(frozen=True)
class DiagonalSynapses:
    """Neuron i to neuron i. The table has one row; its columns are channels or neurons."""


Synapses = LinearSynapses | ConvSynapses | DiagonalSynapses


@dataclass(frozen=True)
class EncodedMatrix:
    """A (rows, columns) integer matrix in one registered encoding; ``arrays`` are its stored parts."""

    encoding: str
    rows: int
    columns: int
    bits: int
    """Width of a stored weight; 8 or less except for diagonals (16)."""
    arrays: Mapping[str, NDArray[np.generic]]


@dataclass(frozen=True)
class Projection:
    """Synapses from population ``pre`` to ``post``.

    ``pool`` sums the presynaptic spikes of non-overlapping windows by address: every spike stays an
    event of its own. The accumulated integers enter the membrane as ``acc << shift``, or, when
    ``shift`` is negative, as ``(acc + 2^(r-1)) >> r`` with ``r = -shift``. ``table`` indexes
    ``Program.tables``; several projections may share one table.
    """

    name: str
    pre: int
    post: int
    synapses: Synapses
    table: int
    shift: int = 0
    delay: int = 0
    pool: Window | None = None


@dataclass(frozen=True)
class Program:
    """A network in integers. Populations stand in the order in which one step runs them:
    a projection with delay 0 goes from a lower index to a higher one."""

    input: InputSpec
    populations: tuple[Population, ...]
    projections: tuple[Projection, ...]
    tables: tuple[EncodedMatrix, ...]
    output: int
    readout: Readout
    classes: tuple[str, ...] = ()
    meta: Mapping[str, str] = field(default_factory=dict)
    """Free text that explains the artefact: metrics, hashes, versions. Never read by the engine."""
