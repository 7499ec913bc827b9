"""From a projection and its stored table to the compiled call that scatters events."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runtime.encodings.codebook import index_bits
from runtime.encodings.streams import stored as stream_arrays
from runtime.geometry import landing
from runtime.kernels import bitmap, dense, diagonal, gaps, lists, streams
from runtime.program import ConvSynapses, DiagonalSynapses, EncodedMatrix, LinearSynapses, Synapses


@dataclass(frozen=True)
class Events:
    """Events of several frames, see ``runtime.kernels.events``; ``found`` of them are in use."""

    index: NDArray[np.int32]
    value: NDArray[np.int32]
    start: NDArray[np.int64]
    found: int


Scatter = Callable[[Events, NDArray[np.int32], int], tuple[int, int]]
"""``scatter(events, acc (frames, targets), extra)`` adds to ``acc`` in place, every weight shifted left by
``extra`` more; returns (additions, indices read)."""

Stored = NDArray[np.generic]


def bind(synapses: Synapses, table: EncodedMatrix) -> Scatter:
    """The scatter of one projection straight from its stored arrays."""
    match synapses:
        case LinearSynapses():
            return _linear(table)
        case ConvSynapses():
            return _conv(synapses, table)
        case DiagonalSynapses():
            return _diagonal(table)


def _call(kernel: Callable[..., tuple[int, int]], *arrays: object) -> Scatter:
    """Events first, then the accumulator, then what was fixed at load."""

    def scatter(events: Events, acc: NDArray[np.int32], extra: int) -> tuple[int, int]:
        return kernel(events.index, events.value, events.start, acc, extra, *arrays)

    return scatter


def _stored(table: EncodedMatrix) -> tuple[Stored, ...]:
    """The table's arrays in the order its kernels take them, rows of a fixed length as two axes."""
    parts = table.arrays
    match table.encoding:
        case "dense":
            return (parts["weights"].reshape(table.rows, -1),)
        case "bitmap":
            return parts["pointers"], parts["bitmap"].reshape(table.rows, -1), parts["weights"]
        case "lists":
            return parts["pointers"], parts["indices"], parts["weights"]
        case "gaps":
            return parts["pointers"], parts["codes"], parts["weights"]
        case _:
            return stream_arrays(parts)


LINEAR: dict[str, Callable[..., tuple[int, int]]] = {
    "dense": dense.linear,
    "bitmap": bitmap.linear,
    "lists": lists.linear,
    "gaps": gaps.linear,
}
"""Encodings with a kernel of their own for tables without a kernel window."""

CONV: dict[str, Callable[..., tuple[int, int]]] = {
    "bitmap": bitmap.conv,
    "lists": lists.conv,
    "gaps": gaps.conv,
}
"""Sparse encodings: the column is read from the table and looked up. Dense rows know it by counting."""

EITHER: dict[str, Callable[..., tuple[int, int]]] = {
    "rice": streams.scatter,
    "nibbles": streams.scatter,
    "codebook": streams.scatter,
    "huffman": streams.scatter,
}
"""Kernels that serve both: without a kernel window their address tables are empty."""

NOWHERE = (
    np.zeros((0, 0), np.int32),
    np.zeros((0, 0), np.int32),
    *(np.zeros(0, np.int32) for _ in range(4)),
)


def _linear(table: EncodedMatrix) -> Scatter:
    if table.encoding in EITHER:
        return _call(EITHER[table.encoding], *NOWHERE, *_stored(table), _read_bits(table))
    return _call(LINEAR[table.encoding], *_stored(table), table.bits)


def _read_bits(table: EncodedMatrix) -> int:
    """Bits of what stands for a weight in a row: a number into a codebook, or the weight."""
    if table.encoding == "codebook":
        return index_bits(table.arrays["symbols"].size)
    return table.bits


def _diagonal(table: EncodedMatrix) -> Scatter:
    return _call(diagonal.scatter, table.arrays["weights"], table.columns, table.bits)


def _conv(synapses: ConvSynapses, table: EncodedMatrix) -> Scatter:
    area = synapses.out_shape[1] * synapses.out_shape[2]
    taps = math.prod(synapses.kernel)
    span = table.columns // taps * area
    place_y = landing(synapses, 0, synapses.out_shape[2])
    place_x = landing(synapses, 1, 1)
    group = np.arange(table.rows) // (synapses.in_shape[0] // synapses.groups)
    origin = (group * span).astype(np.int32)
    spot = np.zeros(taps + 1, np.int32)
    if table.encoding == "dense":
        reached = np.zeros(taps + 1, np.int32)
        address = (place_y, place_x, origin, area, span, spot, reached)
        return _call(dense.conv, *address, *_stored(table), table.bits)
    column = np.arange(table.columns)
    tap = (column % taps).astype(np.int32)
    plane = (column // taps * area).astype(np.int32)
    sparse = (place_y, place_x, origin, tap, plane, spot)
    kernel = EITHER.get(table.encoding) or CONV[table.encoding]
    return _call(kernel, *sparse, *_stored(table), _read_bits(table))
