"""One step's events of a projection, event by event."""

from typing import Any

import numpy as np
from numba import njit

from runtime.kernels.fused.sums import sum_all
from runtime.kernels.fused.tables import (
    CELLS,
    CHANNEL_BITS,
    CHANNELS,
    DIVIDE,
    EVERY,
    FORM,
    I32,
    I64,
    OFFSETS,
    OPTIONS,
    PHASES,
    PLACES,
    POINTERS,
    SHIFT,
    SLOTS,
    SPAN,
    SUMS,
    TABLE,
    WEIGHTS,
)
from runtime.kernels.fused.walks import add_entries, add_payload


@njit(**OPTIONS)
def locate(
    mode: int, event: int, bits: int, channels: int, ways: int, base: I32, phase: I32, slot_of: I32
) -> tuple[int, int]:
    """Where an event's synapses stand (-1: nowhere) and what its targets are counted from."""
    if mode == EVERY:
        return event, 0
    if mode == TABLE:
        return int(np.int64(slot_of[np.uint64(event)])), 0
    place = event >> bits if mode == SHIFT else event // channels
    channel = event - (place << bits) if mode == SHIFT else event - place * channels
    way = int(np.int64(phase[np.uint64(place)]))
    if way < 0:
        return -1, 0
    slot = channel if ways == 1 else channel * ways + way
    return slot, int(np.int64(base[np.uint64(place)]))


@njit(**OPTIONS)
def mode_of(flow: I64) -> int:
    """How an event's synapses are found."""
    if flow[PLACES] >= 0:
        return SHIFT if flow[CHANNEL_BITS] >= 0 else DIVIDE
    return TABLE if flow[SLOTS] >= 0 else EVERY


@njit(**OPTIONS)
def parts(flow: I64, tables: Any) -> Any:
    """The tables from the projection's own part on."""
    places = max(flow[PLACES], 0)
    return (
        tables[0][flow[POINTERS] :],
        tables[1][flow[OFFSETS] :],
        tables[2][flow[WEIGHTS] :],
        tables[3][places:],
        tables[4][max(flow[CELLS], 0) :],
        tables[5][max(flow[SLOTS], 0) :],
    )


@njit(**OPTIONS)
def scatter(
    flow: I64, targets: int, index: I32, value: I32, plain: bool, acc: I32, tables: Any, sorting: Any
) -> int:
    """Scatter one step's events, whose targets are counted from ``targets``; return the additions."""
    form, span = flow[FORM], flow[SPAN]
    if form == SUMS:
        return sum_all(flow, targets, index, acc, tables, sorting)
    pointers, offsets, weights, base, phase, slot_of = parts(flow, tables)
    mode, bits, channels, ways = mode_of(flow), flow[CHANNEL_BITS], flow[CHANNELS], flow[PHASES]
    additions = 0
    for k in range(index.size):
        slot, at = locate(mode, int(np.int64(index[k])), bits, channels, ways, base, phase, slot_of)
        if slot < 0:
            continue
        at += targets
        first = int(np.int64(pointers[np.uint64(slot)]))
        until = int(np.int64(pointers[np.uint64(slot + 1)]))
        if plain or value[k] == 1:
            add_entries(form, acc, at, first, until, span, offsets, weights)
            additions += (until - first) * span
        else:
            additions += add_payload(acc, at, first, until, span, int(np.int64(value[k])), offsets, weights)
    return additions
