"""Synapses as the fused kernel walks them: lists of weights, rows of all outputs, blocks of 16, sums."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runtime.fused.layout import Map, Numbers, Plane, reach
from runtime.kernels.fused.tables import BLOCKS, LANES, LISTS, ROWS, SUMS
from runtime.program import ConvSynapses

Weights = NDArray[np.int8]

EVENT_NS, LIST_NS, ROW_NS, ROW_START_NS, BLOCK_NS, SUM_NS, SUM_FAR_NS, SUM_START_NS = (
    8.0,
    0.45,
    0.04,
    2.0,
    1.3,
    0.016,
    0.07,
    1.5,
)
"""Nanoseconds of an event, a weight of a list, a weight of a row, a row and a block: one AVX2 core. Good for
choosing a form; ``benchmarks.runtime`` measures what they come to."""
SLAB_BYTES = 3 << 17
"""Of a slab of weights, to stay in a second-level cache while all positions are gone through."""
CACHED = 1 << 20
"""Bytes of weights up to which sums find them in a second-level cache."""
FARTHEST = (1 << 16) - 1
NAMES = {LISTS: "lists", ROWS: "rows", BLOCKS: "blocks of 16", SUMS: "row sums"}


@dataclass(frozen=True)
class Tap:
    """One kernel cell: weights (rows, outputs), its phase, and where it lands from an event's base."""

    phase: int
    offset: int
    weights: Weights


@dataclass(frozen=True)
class Form:
    """Entries of every slot (row x phase), in order: ``offsets`` from ``low`` on, ``span`` weights each."""

    kind: int
    span: int
    pointers: NDArray[np.int32]
    offsets: NDArray[np.uint16]
    weights: Weights
    low: int
    slab: int = 0
    """Outputs of a slab of sums."""
    taps: int = 1
    """Kernel cells of sums."""

    @property
    def name(self) -> str:
        return NAMES[self.kind]

    @property
    def bytes(self) -> int:
        return self.pointers.nbytes + self.offsets.nbytes + self.weights.nbytes

    @property
    def event_ns(self) -> float:
        """Estimated nanoseconds of a mean event."""
        slots = max(1, self.pointers.size - 1)
        each = float(self.taps) if self.kind == SUMS else self.offsets.size / slots
        item = {
            LISTS: LIST_NS,
            BLOCKS: BLOCK_NS,
            ROWS: ROW_START_NS + ROW_NS * self.span,
            SUMS: SUM_START_NS + (SUM_NS if self.bytes <= CACHED else SUM_FAR_NS) * self.span,
        }[self.kind]
        return each * item + (0.0 if self.kind == SUMS else EVENT_NS)


def linear_taps(matrix: NDArray[np.int32], post: Map) -> list[Tap]:
    """A linear table with its columns in the order of the map behind it."""
    return [Tap(0, 0, matrix[:, post.canonical].astype(np.int8))]


def conv_taps(matrix: NDArray[np.int32], synapses: ConvSynapses, plane: Plane) -> list[Tap]:
    """The cells of a kernel."""
    rows, columns = reach(synapses, 0), reach(synapses, 1)
    kernel = matrix.reshape(len(matrix), synapses.out_shape[0], *synapses.kernel).astype(np.int8)
    return [
        Tap(
            rows.way[y] * columns.stride + columns.way[x],
            rows.step[y] * plane.pitch + columns.step[x] * plane.map.channels,
            np.ascontiguousarray(kernel[:, :, y, x]),
        )
        for y in range(synapses.kernel[0])
        for x in range(synapses.kernel[1])
    ]


def phases(synapses: ConvSynapses) -> int:
    """Ways in which an event may lie on the stride grid."""
    return synapses.stride[0] * synapses.stride[1]


def fastest(taps: Sequence[Tap], ways: int, *, gathers: bool = False) -> Form | None:
    """The form that the estimate says runs a mean event in the least time; None where none can reach.

    ``gathers``: the events allow sums.
    """
    found = [form for make in (as_rows, as_blocks, as_lists) if (form := make(taps, ways)) is not None]
    if gathers:
        found.append(as_sums(taps))
    return min(found, key=lambda form: form.event_ns, default=None)


def as_lists(taps: Sequence[Tap], ways: int) -> Form | None:
    """One entry a nonzero."""
    slots, offsets, weights = [], [], []
    for tap in taps:
        row, output = np.nonzero(tap.weights)
        slots.append(row * ways + tap.phase)
        offsets.append(tap.offset + output)
        weights.append(tap.weights[row, output][:, None])
    return _form(LISTS, taps, ways, (slots, offsets, weights))


def as_rows(taps: Sequence[Tap], ways: int) -> Form | None:
    """One entry a kernel cell with any nonzero, zeros among its outputs included."""
    slots, offsets, weights = [], [], []
    for tap in taps:
        row = np.flatnonzero(tap.weights.any(axis=1))
        slots.append(row * ways + tap.phase)
        offsets.append(np.full(row.size, tap.offset))
        weights.append(tap.weights[row])
    return _form(ROWS, taps, ways, (slots, offsets, weights))


def as_blocks(taps: Sequence[Tap], ways: int) -> Form | None:
    """One entry for sixteen outputs side by side with any nonzero."""
    slots, offsets, weights = [], [], []
    for tap in taps:
        missing = -tap.weights.shape[1] % LANES
        padded = np.pad(tap.weights, ((0, 0), (0, missing))).reshape(len(tap.weights), -1, LANES)
        row, group = np.nonzero(padded.any(axis=2))
        slots.append(row * ways + tap.phase)
        offsets.append(tap.offset + group * LANES)
        weights.append(padded[row, group])
    return _form(BLOCKS, taps, ways, (slots, offsets, weights))


def as_sums(taps: Sequence[Tap]) -> Form:
    """The rows of every kernel cell, one a channel, padded to sixteens and cut into slabs of outputs;
    pointers say where each starts in its slab."""
    rows, outputs = taps[0].weights.shape
    span = outputs + -outputs % LANES
    slab = slab_of(span, rows * len(taps))
    stacked = np.zeros((rows, len(taps), span), np.int8)
    for number, tap in enumerate(taps):
        stacked[:, number, :outputs] = tap.weights
    slabs = np.ascontiguousarray(stacked.reshape(rows * len(taps), -1, slab).swapaxes(0, 1))
    pointers = np.arange(0, rows * len(taps) * slab, slab, dtype=np.int32)
    return Form(SUMS, span, pointers, np.zeros(0, np.uint16), slabs.ravel(), 0, slab, len(taps))


def slab_of(span: int, rows: int) -> int:
    """Outputs of a slab: at most 128, so that sums stay in registers, and few enough for a cache."""
    slab = 128
    while slab > LANES and (span % slab or (rows * slab > SLAB_BYTES and slab > 64)):
        slab //= 2
    return slab


def _form(
    kind: int,
    taps: Sequence[Tap],
    ways: int,
    entries: tuple[list[Numbers], list[Numbers], list[Weights]],
) -> Form | None:
    slot, offset = np.concatenate(entries[0]), np.concatenate(entries[1])
    weights = np.concatenate(entries[2])
    low = int(offset.min(initial=0))
    if int(offset.max(initial=0)) - low > FARTHEST:
        return None
    order = np.lexsort((offset, slot))
    slots = len(taps[0].weights) * ways
    pointers = np.concatenate([[0], np.cumsum(np.bincount(slot, minlength=slots))]).astype(np.int32)
    return Form(
        kind,
        weights.shape[1] if weights.size else 1,
        pointers,
        (offset[order] - low).astype(np.uint16),
        np.ascontiguousarray(weights[order]).ravel(),
        low,
    )
