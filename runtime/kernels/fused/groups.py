"""Several steps' events list by list, so that one walk serves four."""

from typing import Any

import numpy as np
from numba import njit

from runtime.kernels.fused.scatter import locate, mode_of, parts
from runtime.kernels.fused.tables import (
    CHANNEL_BITS,
    CHANNELS,
    DELAY,
    DEPTH,
    EVENTS,
    I32,
    I64,
    OPTIONS,
    PHASES,
    ROOM,
    TARGETS,
)
from runtime.kernels.fused.walks import add_list, add_list_four


@njit(**OPTIONS)
def grouped(
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
    """Scatter several steps' plain spikes list by list, four to a walk, after a counting sort; return the
    additions."""
    pointers, offsets, weights, base, phase, slot_of = parts(flow, tables)
    sorted_at, sorted_slot, count = sorting[0], sorting[1], sorting[2]
    mode, bits, channels, ways = mode_of(flow), flow[CHANNEL_BITS], flow[CHANNELS], flow[PHASES]
    slots = channels * ways
    for slot in range(slots + 1):
        count[slot] = 0
    seen = 0
    for step in range(steps):
        at = lists[EVENTS] + (now + step - flow[DELAY]) % lists[DEPTH] * lists[ROOM]
        for k in range(at, at + found[(now + step - flow[DELAY]) % lists[DEPTH]]):
            slot, _ = locate(mode, int(np.int64(index[k])), bits, channels, ways, base, phase, slot_of)
            sorted_slot[seen] = slot
            seen += 1
            if slot >= 0:
                count[slot + 1] += 1
    for slot in range(slots):
        count[slot + 1] += count[slot]
    seen = 0
    for step in range(steps):
        at = lists[EVENTS] + (now + step - flow[DELAY]) % lists[DEPTH] * lists[ROOM]
        targets = flow[TARGETS] + step * plane
        for k in range(at, at + found[(now + step - flow[DELAY]) % lists[DEPTH]]):
            slot = int(np.int64(sorted_slot[seen]))
            seen += 1
            if slot >= 0:
                _, there = locate(mode, int(np.int64(index[k])), bits, channels, ways, base, phase, slot_of)
                sorted_at[count[slot]] = targets + there
                count[slot] += 1
    additions = 0
    begin = 0
    for slot in range(slots):
        end = int(np.int64(count[slot]))
        first, until = int(np.int64(pointers[slot])), int(np.int64(pointers[slot + 1]))
        additions += (until - first) * (end - begin)
        while begin + 4 <= end:
            a, b, c, d = sorted_at[begin], sorted_at[begin + 1], sorted_at[begin + 2], sorted_at[begin + 3]
            add_list_four(acc, a, b, c, d, first, until, offsets, weights)
            begin += 4
        while begin < end:
            add_list(acc, sorted_at[begin], first, until, offsets, weights)
            begin += 1
    return additions
