"""How a projection becomes lists of synapses: rows that sources share, and where each source puts its row.

A source of a linear layer has a row of its own, whose synapses name their targets. Sources of a convolution
share the rows of its kernels: a row holds distances from an origin, which every source has for itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product

import numpy as np
from numpy.typing import NDArray

from exporter.ranges import Interval
from runtime.encodings import decode
from runtime.geometry import pooled_place, window_output
from runtime.program import (
    ConvSynapses,
    DiagonalSynapses,
    GatePopulation,
    LinearSynapses,
    Program,
    Projection,
    n_neurons,
)

Whole = NDArray[np.int64]


@dataclass(frozen=True)
class Row:
    """A list of synapses. Of a source at ``origin``, (y, x) they reach neuron ``origin + distances``, if
    (y - up, x - left) lies within the segment's bounds."""

    weights: Whole
    distances: Whole
    up: Whole
    left: Whole


@dataclass(frozen=True)
class Segment:
    """The synapses between two populations. ``row``, ``origin``, ``y`` and ``x`` have one entry a source."""

    source: int
    """The stage that feeds it; -1: the input."""
    rows: tuple[Row, ...]
    row: Whole
    origin: Whole
    y: Whole
    x: Whole
    bounds: tuple[int, int]
    neurons: int
    shift: int = 0
    payload: int = 1
    """The largest magnitude of what a source gives."""
    signed: bool = False
    """Whether it may be negative."""
    lanes: int = 1
    """Synapses of one list that are added at once: those of neurons in different lanes, which take turns."""
    counted: bool = True
    """Whether its synapses are synaptic operations: a gate's are not."""

    @cached_property
    def mapped(self) -> bool:
        """Whether a source is more than the number of its row."""
        own = np.array_equal(self.row, np.arange(len(self.row)))
        return not own or bool(self.origin.any() or self.y.any() or self.x.any()) or self.bounds != (1, 1)

    @cached_property
    def lengths(self) -> Whole:
        """Words in the list of each source: with lanes, the synapses of its longest."""
        found: Whole = np.array([self.words(row) for row in self.rows], np.int64)[self.row]
        return found

    def words(self, row: Row) -> int:
        return int(np.bincount(row.distances % self.lanes).max(initial=0))

    @cached_property
    def reached(self) -> Whole:
        """Synapses that have a target, of each source."""
        found = np.zeros(len(self.row), np.int64)
        for sources, weights, _, inside in self.landings():
            found[sources] = (inside & (weights != 0)).sum(axis=1)
        return found

    @cached_property
    def arriving(self) -> Interval:
        """What the sum of a step can be, neuron by neuron, before its shift."""
        positive, negative = np.zeros(self.neurons, np.int64), np.zeros(self.neurons, np.int64)
        for _, weights, targets, inside in self.landings():
            given = np.broadcast_to(weights * self.payload, targets.shape)[inside]
            np.add.at(positive, targets[inside], given.clip(min=0))
            np.add.at(negative, targets[inside], given.clip(max=0))
        if self.signed:
            return Interval(negative - positive, positive - negative)
        return Interval(negative, positive)

    def stepped(self, gap_bits: int) -> Segment:
        """The same with synapses of weight 0, so that no distance to the one before takes more bits."""
        return replace(self, rows=tuple(_stepped(row, (1 << gap_bits) - 1) for row in self.rows))

    def landings(self) -> Iterator[tuple[Whole, Whole, Whole, NDArray[np.bool_]]]:
        """Of each row: the sources that share it, its weights, their targets and whether those exist,
        (sources, synapses)."""
        order = np.argsort(self.row, kind="stable")
        starts = np.searchsorted(self.row[order], np.arange(len(self.rows) + 1))
        for number, row in enumerate(self.rows):
            sources = order[starts[number] : starts[number + 1]]
            y, x = self.y[sources][:, None] - row.up, self.x[sources][:, None] - row.left
            inside = (y >= 0) & (y < self.bounds[0]) & (x >= 0) & (x < self.bounds[1])
            yield sources, row.weights, self.origin[sources][:, None] + row.distances, inside


def segment(program: Program, projection: Projection) -> Segment:
    """A projection as the core stores it."""
    pre, post = program.populations[projection.pre], program.populations[projection.post]
    matrix = decode(program.tables[projection.table]).astype(np.int64)
    match projection.synapses:
        case LinearSynapses():
            found = _linear(matrix)
        case DiagonalSynapses():
            found = _diagonal(matrix[0], n_neurons(post))
        case ConvSynapses() as synapses:
            found = _convolution(matrix, synapses)
    if projection.pool is not None:
        found = _pooled(found, pooled_place(pre.shape, projection.pool).astype(np.int64))
    heard = projection.pre == 0
    return replace(
        found,
        source=projection.pre - 1,
        shift=projection.shift,
        payload=(1 << program.input.bits) - 1 if heard else 1,
        signed=heard and program.input.signed,
    )


def gate(program: Program, population: GatePopulation) -> Segment:
    """An OR over windows: a synapse of weight 1 from every cell to every window it lies in."""
    shape = program.populations[population.source].shape
    window = population.window
    planes, height, width = window_output(shape, window)
    one = ConvSynapses(
        (1, shape[1], shape[2]), (1, height, width), window.kernel, window.stride, window.padding, (1, 1), 1
    )
    plane = _convolution(np.ones((1, window.kernel[0] * window.kernel[1]), np.int64), one)
    return replace(
        plane,
        source=population.source - 1,
        row=np.tile(plane.row, planes),
        origin=np.add.outer(np.arange(planes) * height * width, plane.origin).ravel(),
        y=np.tile(plane.y, planes),
        x=np.tile(plane.x, planes),
        neurons=planes * height * width,
        counted=False,
    )


def _linear(matrix: Whole) -> Segment:
    rows = []
    for weights in matrix:
        target = np.flatnonzero(weights)
        none = np.zeros(len(target), np.int64)
        rows.append(Row(weights[target], target, none, none))
    zeros = np.zeros(len(matrix), np.int64)
    return Segment(0, tuple(rows), np.arange(len(matrix)), zeros, zeros, zeros, (1, 1), matrix.shape[1])


def _diagonal(weights: Whole, neurons: int) -> Segment:
    """Of weights for each neuron a row for each; of weights for each channel a row for all its neurons."""
    own = len(weights) == neurons
    here = np.zeros(1, np.int64)
    rows = [
        Row(weights[[i]], here + i if own else here, here, here) if weights[i] else _NOTHING
        for i in range(len(weights))
    ]
    zeros = np.zeros(neurons, np.int64)
    row = np.repeat(np.arange(len(weights)), neurons // len(weights))
    origin = zeros if own else np.arange(neurons)
    return Segment(0, tuple(rows), row, origin, zeros, zeros, (1, 1), neurons)


def _convolution(matrix: Whole, synapses: ConvSynapses) -> Segment:
    """A row for each input channel and place within a stride."""
    channels, height, width = synapses.in_shape
    outputs, *bounds = synapses.out_shape
    kernels = matrix.reshape(channels, -1, *synapses.kernel)
    rows = [
        _kernel(kernels[channel], channel * synapses.groups // channels, synapses, phase)
        for channel in range(channels)
        for phase in product(*map(range, synapses.stride))
    ]
    y, from_top = np.divmod(np.arange(height) + synapses.padding[0], synapses.stride[0])
    x, from_left = np.divmod(np.arange(width) + synapses.padding[1], synapses.stride[1])
    phases = from_top[:, None] * synapses.stride[1] + from_left
    each = synapses.stride[0] * synapses.stride[1]
    shape = (channels, height, width)
    return Segment(
        0,
        tuple(rows),
        (np.arange(channels)[:, None, None] * each + phases).ravel(),
        np.broadcast_to(y[:, None] * bounds[1] + x, shape).ravel(),
        np.broadcast_to(y[:, None], shape).ravel(),
        np.broadcast_to(x, shape).ravel(),
        (bounds[0], bounds[1]),
        outputs * bounds[0] * bounds[1],
    )


def _kernel(weights: Whole, group: int, synapses: ConvSynapses, phase: tuple[int, ...]) -> Row:
    """What a source of one channel reaches from a place within the stride: (outputs of a group, *kernel)."""
    outputs, height, width = synapses.out_shape
    first = group * (outputs // synapses.groups)
    channel, top, left = np.nonzero(weights)
    up = top * synapses.dilation[0] - phase[0]
    aside = left * synapses.dilation[1] - phase[1]
    kept = (up % synapses.stride[0] == 0) & (aside % synapses.stride[1] == 0)
    up, aside = up[kept] // synapses.stride[0], aside[kept] // synapses.stride[1]
    distances = (first + channel[kept]) * height * width - up * width - aside
    return Row(weights[channel, top, left][kept], distances, up, aside)


def _pooled(found: Segment, place: Whole) -> Segment:
    """The sources of a window are one source; those of none have an empty row."""
    outside = place < 0
    at = np.where(outside, 0, place)
    row = np.where(outside, len(found.rows), found.row[at])
    rows = (*found.rows, _NOTHING) if outside.any() else found.rows
    return replace(found, rows=rows, row=row, origin=found.origin[at], y=found.y[at], x=found.x[at])


def _stepped(row: Row, most: int) -> Row:
    gaps = np.diff(row.distances, prepend=0)
    between = (gaps.clip(min=1) - 1) // most
    last = np.cumsum(between + 1) - 1
    weights = np.zeros(len(row.weights) + int(between.sum()), np.int64)
    weights[last] = row.weights
    steps = np.full(len(weights), most, np.int64)
    steps[last] = gaps - between * most
    none = np.zeros(len(weights), np.int64)
    return Row(weights, np.cumsum(steps), none, none)


_NONE = np.zeros(0, np.int64)
_NOTHING = Row(_NONE, _NONE, _NONE, _NONE)
