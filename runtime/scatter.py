"""From a projection and its stored table to the compiled call that scatters events."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runtime.encodings import ENCODINGS
from runtime.encodings.blocks import per_tap
from runtime.encodings.codebook import index_bits
from runtime.encodings.lists import index_dtype
from runtime.encodings.streams import stored as stream_arrays
from runtime.encodings.words import RECORD_WEIGHT_BITS, word_bits
from runtime.geometry import landing
from runtime.kernels import bitmap, blocks, dense, diagonal, gaps, lists, signs, streams, words
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


def _stored(table: EncodedMatrix) -> tuple[object, ...]:
    """What a table's kernel takes after the addresses: its arrays, and how to read them."""
    if table.encoding in EXTRACTS:
        return EXTRACTS[table.encoding](table)
    arrays = tuple(table.arrays[name] for name in ENCODINGS[table.encoding].kinds)
    return *arrays, table.bits


def _rows(table: EncodedMatrix) -> tuple[object, ...]:
    """Rows of a fixed length as two axes."""
    if table.encoding == "dense":
        return table.arrays["weights"].reshape(table.rows, -1), table.bits
    bitmap_rows = table.arrays["bitmap"].reshape(table.rows, -1)
    return table.arrays["pointers"], bitmap_rows, table.arrays["weights"], table.bits


def _packed(table: EncodedMatrix) -> tuple[object, ...]:
    width = word_bits(table.columns, table.bits)
    items = table.arrays["words"].view(np.uint8)
    return table.arrays["pointers"], items, width // 8, width - table.bits, table.bits


def _records(table: EncodedMatrix) -> tuple[object, ...]:
    index = index_dtype(table.columns).itemsize
    return table.arrays["pointers"], table.arrays["records"], index + 1, 8 * index, RECORD_WEIGHT_BITS


def _signs(table: EncodedMatrix) -> tuple[object, ...]:
    return table.arrays["pointers"], table.arrays["indices"]


def _streams(table: EncodedMatrix) -> tuple[object, ...]:
    numbered = table.encoding == "codebook"
    bits = index_bits(table.arrays["symbols"].size) if numbered else table.bits
    return *stream_arrays(table.arrays), bits


def _blocks(table: EncodedMatrix) -> tuple[object, ...]:
    """Blocks and the first column of each, for which a core counts instead."""
    parts, taps = table.arrays, int(table.arrays["taps"][0])
    size = int(table.encoding.removeprefix("blocks"))
    each = per_tap(table.columns, taps, size)
    number = np.arange(each * taps)
    base = (number % each * size * taps + number // each).astype(np.int32)
    stored = (parts["pointers"], parts["indices"], parts["weights"])
    return *stored, base, table.columns // taps, taps, size, table.bits


EXTRACTS: dict[str, Callable[[EncodedMatrix], tuple[object, ...]]] = {
    "dense": _rows,
    "bitmap": _rows,
    "packed": _packed,
    "records": _records,
    "signs": _signs,
    "blocks4": _blocks,
    "blocks8": _blocks,
    "blocks16": _blocks,
    "rice": _streams,
    "nibbles": _streams,
    "codebook": _streams,
    "huffman": _streams,
}

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
    "packed": words.scatter,
    "records": words.scatter,
    "signs": signs.scatter,
    "blocks4": blocks.scatter,
    "blocks8": blocks.scatter,
    "blocks16": blocks.scatter,
}
"""Kernels that serve both: without a kernel window their address tables are empty."""

NOWHERE = (
    np.zeros((0, 0), np.int32),
    np.zeros((0, 0), np.int32),
    *(np.zeros(0, np.int32) for _ in range(4)),
)


def _linear(table: EncodedMatrix) -> Scatter:
    if table.encoding in EITHER:
        return _call(EITHER[table.encoding], *NOWHERE, *_stored(table))
    return _call(LINEAR[table.encoding], *_stored(table))


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
        return _call(dense.conv, *address, *_stored(table))
    column = np.arange(table.columns)
    tap = (column % taps).astype(np.int32)
    plane = (column // taps * area).astype(np.int32)
    sparse = (place_y, place_x, origin, tap, plane, spot)
    kernel = EITHER.get(table.encoding) or CONV[table.encoding]
    return _call(kernel, *sparse, *_stored(table))
