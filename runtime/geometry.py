"""Addresses as tables: where convolution taps land, which cells a window holds, how far a neuron fans out."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.encodings import parts
from runtime.program import ConvSynapses, DiagonalSynapses, EncodedMatrix, LinearSynapses, Synapses, Window

Table = NDArray[np.int32]
Counts = NDArray[np.int64]


def window_output(shape: tuple[int, ...], window: Window) -> tuple[int, int, int]:
    """Shape left of (channels, height, width) after a pooling window; incomplete windows are dropped."""
    channels, *sides = shape
    height, width = (
        (side + 2 * padding - kernel) // stride + 1
        for side, kernel, stride, padding in zip(
            sides, window.kernel, window.stride, window.padding, strict=True
        )
    )
    return channels, height, width


def conv_output(synapses: ConvSynapses) -> tuple[int, int]:
    """Height and width that a convolution's input shape and window give."""
    height, width = (
        (side + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
        for side, kernel, stride, padding, dilation in zip(
            synapses.in_shape[1:],
            synapses.kernel,
            synapses.stride,
            synapses.padding,
            synapses.dilation,
            strict=True,
        )
    )
    return height, width


def window_cells(shape: tuple[int, ...], window: Window) -> Table:
    """Input numbers of every window, -1 for padding: (outputs, kernel cells)."""
    _, height, width = shape
    channels, out_height, out_width = window_output(shape, window)
    y = np.arange(out_height)[:, None] * window.stride[0] - window.padding[0] + np.arange(window.kernel[0])
    x = np.arange(out_width)[:, None] * window.stride[1] - window.padding[1] + np.arange(window.kernel[1])
    at = y[:, None, :, None] * width + x[None, :, None, :]
    inside = ((y >= 0) & (y < height))[:, None, :, None] & ((x >= 0) & (x < width))[None, :, None, :]
    planes = (np.arange(channels) * height * width)[:, None, None, None, None]
    cells = np.where(inside, planes + at, -1)
    return np.ascontiguousarray(cells.reshape(channels * out_height * out_width, -1), np.int32)


def pooled_place(shape: tuple[int, ...], window: Window) -> Table:
    """For sum pooling by address: the window each input falls into, or -1: (inputs,)."""
    cells = window_cells(shape, window)
    place = np.full(math.prod(shape), -1, np.int32)
    output = np.repeat(np.arange(cells.shape[0], dtype=np.int32), cells.shape[1])
    place[cells.ravel()] = output
    return place


def landing(synapses: ConvSynapses, axis: int, pitch: int) -> Table:
    """Where tap k puts an event of position i along one axis: output position x ``pitch``, or -1.

    Shape (input positions, kernel size); ``axis`` is 0 for rows, 1 for columns.
    """
    size, limit = synapses.in_shape[1 + axis], synapses.out_shape[1 + axis]
    reach = np.arange(synapses.kernel[axis]) * synapses.dilation[axis]
    at = np.arange(size)[:, None] + synapses.padding[axis] - reach
    step = synapses.stride[axis]
    inside = (at >= 0) & (at % step == 0) & (at // step < limit)
    return np.where(inside, at // step * pitch, -1).astype(np.int32)


def fan_out(synapses: Synapses, table: EncodedMatrix, neurons: int) -> tuple[Counts, Counts]:
    """Valid targets of each presynaptic neuron (after pooling): through nonzero weights, and through all."""
    match synapses:
        case LinearSynapses():
            surviving = np.zeros(table.rows, np.int64)
            for part in parts(table):
                _count(surviving, part.row)
            return surviving, np.full(table.rows, table.columns, np.int64)
        case DiagonalSynapses():
            kept = np.zeros(table.columns, np.int64)
            for part in parts(table):
                kept[part.column] = 1
            return np.repeat(kept, neurons // table.columns), np.ones(neurons, np.int64)
        case ConvSynapses():
            taps = math.prod(synapses.kernel)
            kept = np.zeros(table.rows * taps, np.int64)
            for part in parts(table):
                _count(kept, part.row.astype(np.int64) * taps + part.column % taps)
            full = np.full(table.rows * taps, table.columns // taps, np.int64)
            return _conv_fan_out(synapses, kept), _conv_fan_out(synapses, full)


def _count(counts: Counts, place: NDArray[np.signedinteger[Any]]) -> None:
    """Add one at each place; looks only at what lies from the lowest to the highest."""
    if place.size:
        first = int(place.min())
        found = np.bincount(place - first)
        counts[first : first + found.size] += found


def _conv_fan_out(synapses: ConvSynapses, per_tap: Counts) -> Counts:
    """Sum over taps that land in the output of ``per_tap`` (channels * taps): (inputs,)."""
    high = (landing(synapses, 0, 1) >= 0).astype(np.int64)
    wide = (landing(synapses, 1, 1) >= 0).astype(np.int64)
    taps = per_tap.reshape(synapses.in_shape[0], *synapses.kernel)
    reached: Counts = np.einsum("ckl,yk,xl->cyx", taps, high, wide, optimize=True)
    return reached.ravel()
