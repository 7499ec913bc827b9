"""Sums of weight rows, output position by output position, held in registers."""

from typing import Any

import numpy as np
from numba import njit

from runtime.kernels.fused.tables import (
    CELLS,
    CHANNEL_BITS,
    CHANNELS,
    CHUNK,
    DELAY,
    DEPTH,
    EVENTS,
    I8,
    I32,
    I64,
    INPUTS,
    OPTIONS,
    OUTPUTS,
    PHASES,
    PLACES,
    POINTERS,
    ROOM,
    SLAB,
    SLAB_WEIGHTS,
    SLABS,
    SPAN,
    TARGETS,
    WEIGHTS,
)
from runtime.kernels.fused.vectors import sum_16, sum_32, sum_64, sum_128


@njit(**OPTIONS)
def _add_sums(acc: I32, at: int, slab: int, weights: I8, rows: I32, begin: int, end: int) -> None:
    """Add weight rows ``begin..end`` of ``rows`` (where each starts) to the ``slab`` outputs at ``at``."""
    for start in range(begin, end, CHUNK):
        stop = min(start + CHUNK, end)
        if slab == 128:
            sum_128(acc, at, weights, rows, start, stop)
        elif slab == 64:
            sum_64(acc, at, weights, rows, start, stop)
        elif slab == 32:
            sum_32(acc, at, weights, rows, start, stop)
        else:
            sum_16(acc, at, weights, rows, start, stop)


@njit(**OPTIONS)
def _add_slabs(flow: I64, acc: I32, weights: I8, rows: I32, ends: I32, places: I32, held: int) -> int:
    """Sum the rows of all positions held, one slab of the weights after the other; return the additions."""
    slab = flow[SLAB]
    for number in range(flow[SLABS]):
        part = weights[number * flow[SLAB_WEIGHTS] :]
        last = 0
        for k in range(held):
            end = int(np.int64(ends[k]))
            _add_sums(acc, int(np.int64(places[k])) + number * slab, slab, part, rows, last, end)
            last = end
    return int(np.int64(ends[held - 1])) * flow[SPAN] if held > 0 else 0


@njit(**OPTIONS)
def sum_all(flow: I64, targets: int, index: I32, acc: I32, tables: Any, sorting: Any) -> int:
    """Add the rows of one step's spikes, all of which reach the same outputs; return the additions."""
    pointers, weights = tables[0][flow[POINTERS] :], tables[2][flow[WEIGHTS] :]
    rows, ends, places = sorting[0], sorting[4], sorting[5]
    for k in range(index.size):
        rows[k] = pointers[np.uint64(index[k])]
    ends[0] = index.size
    places[0] = targets
    return _add_slabs(flow, acc, weights, rows, ends, places, 1)


@njit(**OPTIONS)
def _read_events(flow: I64, index: I32, pointers: I32, first: I32, starts: I32) -> None:
    """Where the first weight row of each spike starts, and the number of the first spike of every input
    position and of the end; spikes come position by position."""
    bits, channels, taps = flow[CHANNEL_BITS], flow[CHANNELS], flow[PHASES]
    at = 0
    for place in range(flow[INPUTS]):
        starts[place] = at
        lowest = place << bits if bits >= 0 else place * channels
        while at < index.size and index[at] < lowest + channels:
            first[at] = pointers[np.uint64((int(np.int64(index[at])) - lowest) * taps)]
            at += 1
    starts[flow[INPUTS]] = at


@njit(**OPTIONS)
def _rows_behind(flow: I64, cells: I32, starts: I32, first: I32, rows: I32, count: int) -> int:
    """Append the weight rows of all spikes behind an output position's ``cells``; return the count then."""
    ahead = 0
    for tap in range(flow[PHASES]):
        place = int(np.int64(cells[np.uint64(tap)]))
        if place >= 0:
            for k in range(np.uint64(starts[place]), np.uint64(starts[place + 1])):
                rows[np.uint64(count)] = first[k] + ahead
                count += 1
        ahead += flow[SLAB]
    return count


@njit(**OPTIONS)
def gather(
    flow: I64,
    lists: I64,
    found: I64,
    index: I32,
    plane: int,
    now: int,
    steps: int,
    acc: I32,
    tables: Any,
    sorting: Any,
) -> int:
    """Add several steps' spikes output position by output position; return the additions.

    ``phase`` lists for every output position the input position behind each kernel cell, -1 outside, and
    ``base`` where its targets lie. So many positions at once as their rows have room; a slab of the weights
    then serves them all from the cache.
    """
    pointers, weights = tables[0][flow[POINTERS] :], tables[2][flow[WEIGHTS] :]
    base, cells = tables[3][flow[PLACES] :], tables[4][flow[CELLS] :]
    rows, first, starts, ends, places = sorting[0], sorting[1], sorting[3], sorting[4], sorting[5]
    taps = flow[PHASES]
    most = flow[CHANNELS] * taps
    additions = 0
    held = 0
    count = 0
    for step in range(steps):
        slot = (now + step - flow[DELAY]) % lists[DEPTH]
        at = lists[EVENTS] + slot * lists[ROOM]
        _read_events(flow, index[at : at + found[slot]], pointers, first, starts)
        for output in range(flow[OUTPUTS]):
            if count + most > rows.size or held == ends.size:
                additions += _add_slabs(flow, acc, weights, rows, ends, places, held)
                held = 0
                count = 0
            count = _rows_behind(flow, cells[output * taps :], starts, first, rows, count)
            ends[held] = count
            places[held] = flow[TARGETS] + step * plane + int(np.int64(base[output]))
            held += 1
    return additions + _add_slabs(flow, acc, weights, rows, ends, places, held)
