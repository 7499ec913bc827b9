"""Walks of one event's synapses: lists, rows, blocks, and payloads of several bits."""

import numpy as np
from numba import njit

from runtime.kernels.fused.tables import BLOCKS, I8, I32, LANE_BITS, LISTS, OPTIONS, U16
from runtime.kernels.fused.vectors import add_lanes


@njit(**OPTIONS)
def add_list(acc: I32, at: int, first: int, until: int, offsets: U16, weights: I8) -> None:
    """Entries ``first`` up to ``until`` to what they lie from ``at``. Unsigned addresses: numba checks signed
    ones for a wrap, and slices cost as much as ten entries."""
    there = np.uint64(at)
    for k in range(np.uint64(first), np.uint64(until)):
        acc[there + np.uint64(offsets[k])] += weights[k]


@njit(**OPTIONS)
def add_list_four(
    acc: I32, a: int, b: int, c: int, d: int, first: int, until: int, offsets: U16, weights: I8
) -> None:
    """One walk of a list for four events."""
    one, two, three, four = np.uint64(a), np.uint64(b), np.uint64(c), np.uint64(d)
    for k in range(np.uint64(first), np.uint64(until)):
        at = np.uint64(offsets[k])
        weight = np.int32(weights[k])
        acc[one + at] += weight
        acc[two + at] += weight
        acc[three + at] += weight
        acc[four + at] += weight


@njit(**OPTIONS)
def _add_row(target: I32, weights: I8) -> None:
    for k in range(weights.size):
        target[k] += weights[k]


@njit(**OPTIONS)
def _add_shifted(target: I32, weights: I8, shift: int, flip: int) -> None:
    for k in range(weights.size):
        target[k] += ((int(weights[k]) ^ flip) - flip) << (shift & 31)


@njit(**OPTIONS)
def add_payload(
    acc: I32, at: int, first: int, until: int, span: int, payload: int, offsets: U16, weights: I8
) -> int:
    """Add an event of several bits; return the additions."""
    flip = -1 if payload < 0 else 0
    rest = abs(payload)
    shift = 0
    additions = 0
    while rest > 0:
        if rest & 1:
            weight = first * span
            for entry in range(first, until):
                to = at + int(np.int64(offsets[entry]))
                _add_shifted(acc[to : to + span], weights[weight : weight + span], shift, flip)
                weight += span
            additions += (until - first) * span
        rest >>= 1
        shift += 1
    return additions


@njit(**OPTIONS)
def add_entries(
    form: int, acc: I32, at: int, first: int, until: int, span: int, offsets: U16, weights: I8
) -> None:
    """Add a plain spike's synapses."""
    if form == LISTS:
        add_list(acc, at, first, until, offsets, weights)
    elif form == BLOCKS:
        for entry in range(np.uint64(first), np.uint64(until)):
            add_lanes(acc, at + np.int64(offsets[entry]), weights, np.int64(entry) << LANE_BITS)
    else:
        weight = first * span
        for entry in range(first, until):
            to = at + int(np.int64(offsets[entry]))
            _add_row(acc[to : to + span], weights[weight : weight + span])
            weight += span
