"""Event lists: extraction from payloads, addresses under sum pooling, and counts of synaptic operations.

An event list of several frames (one frame is one step of one sample) holds ``index`` and ``value`` of its
events, frame f at ``start[f]:start[f + 1]``.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

I32 = NDArray[np.int32]
I64 = NDArray[np.int64]


@njit(cache=True)
def _any(eight: I32) -> bool:
    """Whether one of eight payloads is not zero."""
    low = eight[0] | eight[1] | eight[2] | eight[3]
    return bool((low | eight[4] | eight[5] | eight[6] | eight[7]) != 0)


@njit(cache=True)
def extract(payload: I32, index: I32, value: I32, start: I64) -> int:
    """Write the nonzeros of ``payload`` (frames, neurons) i32 as an event list; return their number.

    ``index`` and ``value`` hold one item more than ``payload``: the append writes before it knows.
    """
    frames, neurons = payload.shape
    found = 0
    start[0] = 0
    for frame in range(frames):
        row = payload[frame]
        for first in range(0, neurons, 8):
            until = min(first + 8, neurons)
            if until == first + 8 and not _any(row[first:until]):
                continue
            for neuron in range(first, until):
                index[found] = neuron
                value[found] = row[neuron]
                found += row[neuron] != 0
        start[frame + 1] = found
    return found


@njit(cache=True)
def pooled(
    index: I32, value: I32, start: I64, place: I32, to_index: I32, to_value: I32, to_start: I64
) -> int:
    """Move events to the pooled address ``place[index]`` (-1: outside every window); return their number."""
    kept = 0
    to_start[0] = 0
    for frame in range(start.size - 1):
        for event in range(start[frame], start[frame + 1]):
            at = place[index[event]]
            if at >= 0:
                to_index[kept] = at
                to_value[kept] = value[event]
                kept += 1
        to_start[frame + 1] = kept
    return kept


@njit(cache=True)
def synaptic_operations(
    index: I32, value: I32, events: int, surviving: I64, possible: I64
) -> tuple[int, int]:
    """Sums over events of set bits x ``surviving[index]`` and set bits x ``possible[index]``, 64 bits."""
    kept = 0
    full = 0
    for event in range(events):
        rest = abs(int(value[event]))
        while rest > 0:
            if rest & 1:
                kept += surviving[index[event]]
                full += possible[index[event]]
            rest >>= 1
    return kept, full
