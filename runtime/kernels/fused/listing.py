"""From spikes and input frames to lists of events, and what those events count."""

from typing import Any

import numpy as np
from numba import njit

from runtime.kernels.fused.tables import (
    DEPTH,
    EVENTS,
    FANS,
    FULL,
    HEARD,
    I32,
    I64,
    KEPT,
    LANES,
    OPTIONS,
    ROOM,
    U8,
    WORD,
)
from runtime.kernels.fused.vectors import input_mask, lowest_bit, spike_mask


@njit(**OPTIONS)
def _extract(spikes: U8, first: int, neurons: int, index: I32) -> int:
    """Write the numbers of the neurons that fired; return how many. Zeros follow the last neuron."""
    found = 0
    for start in range(0, neurons, WORD):
        mask = spike_mask(spikes, first + start)
        while mask != 0:
            index[found] = start + lowest_bit(mask)
            found += 1
            mask &= mask - np.uint32(1)
    return found


@njit(**OPTIONS)
def _read_input(frame: I32, rank: I32, index: I32, value: I32) -> int:
    """Write the inputs that are not zero, by their ``rank``; return how many. One more has room."""
    found = 0
    whole = frame.size - frame.size % LANES
    for start in range(0, whole, LANES):
        mask = input_mask(frame, start)
        while mask != 0:
            k = start + lowest_bit(mask)
            index[found] = rank[k]
            value[found] = frame[k]
            found += 1
            mask &= mask - np.uint32(1)
    for k in range(whole, frame.size):
        if frame[k] != 0:
            index[found] = rank[k]
            value[found] = frame[k]
            found += 1
    return found


@njit(**OPTIONS)
def list_spikes(
    population: int, first: int, neurons: int, lists: I64, now: int, spikes: U8, index: I32, found: I64
) -> None:
    """The event list of a population's step."""
    slot = now % lists[population, DEPTH]
    at = lists[population, EVENTS] + slot * lists[population, ROOM]
    found[population, slot] = _extract(spikes, first, neurons, index[at : at + lists[population, ROOM]])


@njit(**OPTIONS)
def count(flow: I64, tally: I64, index: I32, value: I32, plain: bool, fans: I32) -> None:
    """Sums over events of set bits x surviving and x possible targets."""
    kept = 0
    full = 0
    heard = 0
    at = flow[FANS]
    for k in range(index.size):
        one = at + 2 * int(np.int64(index[k]))
        if fans[one + 1] < 0:
            continue
        heard += 1
        rest = 1 if plain else abs(int(np.int64(value[k])))
        while rest > 0:
            if rest & 1:
                kept += fans[one]
                full += fans[one + 1]
            rest >>= 1
    tally[KEPT] += kept
    tally[FULL] += full
    tally[HEARD] += heard


@njit(**OPTIONS)
def list_inputs(coded: I32, rank: I32, begin: int, lists: I64, state: Any) -> None:
    """The event lists of the input's steps."""
    _, _, _, _, index, value, found = state
    for step in range(len(coded)):
        slot = (begin + step) % lists[0, DEPTH]
        at = lists[0, EVENTS] + slot * lists[0, ROOM]
        until = at + lists[0, ROOM]
        found[0, slot] = _read_input(coded[step], rank, index[at:until], value[at:until])
