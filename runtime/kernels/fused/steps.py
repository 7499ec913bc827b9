"""Steps of one population: its projections, its neurons, its gates, its events."""

from typing import Any

import numpy as np
from numba import njit

from runtime.kernels.fused.groups import grouped
from runtime.kernels.fused.listing import count, list_spikes
from runtime.kernels.fused.neurons import fire_all, pool
from runtime.kernels.fused.scatter import scatter
from runtime.kernels.fused.sums import gather
from runtime.kernels.fused.tables import (
    CHANNELS,
    CONSTANT,
    DELAY,
    DEPTH,
    EVENTS,
    EXECUTED,
    EXTRACTS,
    FIRED,
    FIRST,
    FLOWS,
    FLOWS_END,
    FORM,
    FRAMES,
    GATE,
    GATE_CHANNELS,
    GATE_PLACES,
    GATE_SPIKES,
    GATES,
    GATES_END,
    HEIGHT,
    I32,
    I64,
    LISTS,
    NEURONS,
    OPTIONS,
    PHASES,
    PITCH,
    PLACES,
    PLANE,
    PLANES,
    POPULATION,
    PRE,
    REST,
    ROOM,
    ROW,
    SEEN,
    SPIKES,
    STATE,
    SUMS,
    TARGETS,
)


@njit(**OPTIONS)
def _see(unit: I64, state: Any, seen: Any, step: int) -> None:
    """Keep the output's payloads and membranes of a step."""
    neurons = unit[NEURONS]
    payloads, membranes = seen[0][step], seen[1][step]
    for n in range(neurons):
        payloads[n] = state[3][unit[SPIKES] + n]
        membranes[n] = state[1][unit[STATE] + n]


@njit(**OPTIONS)
def _waiting(flow: I64, lists: I64, found: I64, now: int, steps: int) -> int:
    """Events of several steps that a projection hears."""
    count = 0
    for step in range(steps):
        count += int(np.int64(found[(now + step - flow[DELAY]) % lists[DEPTH]]))
    return count


@njit(**OPTIONS)
def _hear(
    unit: I64, constant: int, net: Any, state: Any, sorting: Any, now: int, steps: int, tally: I64
) -> None:
    """Add the events of ``steps`` steps of the projections that are constant, or of those that are not."""
    for number in range(unit[FLOWS], unit[FLOWS_END]):
        flow = net[1][number]
        if flow[CONSTANT] != constant:
            continue
        tally[number, FRAMES] += steps
        skipped = min(steps, max(0, flow[DELAY] - now))
        together = skipped == 0 and _joins(flow, net[3], state[6], now, steps)
        if together:
            tally[number, EXECUTED] += _hear_together(flow, unit[PLANE], net, state, sorting, now, steps)
        for step in range(skipped, steps):
            _hear_step(flow, unit[PLANE], net, state, sorting, now, step, tally[number], together)


@njit(**OPTIONS)
def _joins(flow: I64, lists: I64, found: I64, now: int, steps: int) -> bool:
    """Whether the events of all steps are scattered at once: always for sums over positions, for lists where
    there are more events than lists."""
    if flow[PRE] == 0 or flow[PLACES] < 0:
        return False
    if flow[FORM] == SUMS:
        return True
    slots = flow[CHANNELS] * flow[PHASES]
    return flow[FORM] == LISTS and slots < _waiting(flow, lists[flow[PRE]], found[flow[PRE]], now, steps)


@njit(**OPTIONS)
def _hear_together(flow: I64, plane: int, net: Any, state: Any, sorting: Any, now: int, steps: int) -> int:
    """Scatter the events of several steps at once; return the additions."""
    events, found = net[3][flow[PRE]], state[6][flow[PRE]]
    if flow[FORM] == LISTS:
        return grouped(flow, events, found, state[4], plane, now, steps, state[0], net[5], sorting)
    return gather(flow, events, found, state[4], plane, now, steps, state[0], net[5], sorting)


@njit(**OPTIONS)
def _hear_step(
    flow: I64, plane: int, net: Any, state: Any, sorting: Any, now: int, step: int, tally: I64, counted: bool
) -> None:
    """Count the events of one step, and scatter them unless that is done."""
    acc, _, _, _, index, value, found = state
    events = net[3][flow[PRE]]
    slot = (now + step - flow[DELAY]) % events[DEPTH]
    at = events[EVENTS] + slot * events[ROOM]
    until = at + int(np.int64(found[flow[PRE], slot]))
    heard = index[at:until]
    plain = flow[PRE] != 0
    amounts = value[:0] if plain else value[at:until]
    if not counted:
        targets = flow[TARGETS] + step * plane
        tally[EXECUTED] += scatter(flow, targets, heard, amounts, plain, acc, net[5], sorting)
    count(flow, tally, heard, amounts, plain, net[8])


@njit(**OPTIONS)
def _remember(unit: I64, acc: I32, rest: I32) -> None:
    """Keep the constant current, which every later step starts from."""
    for row in range(unit[HEIGHT]):
        at = unit[FIRST] + row * unit[PITCH]
        to = unit[REST] + row * unit[ROW]
        for n in range(unit[ROW]):
            rest[to + n] = acc[at + n]
        for after in range(1, unit[PLANES]):
            for n in range(unit[ROW]):
                acc[at + after * unit[PLANE] + n] = acc[at + n]


@njit(**OPTIONS)
def advance(
    unit: I64, net: Any, state: Any, sorting: Any, begin: int, step: int, steps: int, counts: Any, seen: Any
) -> None:
    """``steps`` steps of one population, and of the gates behind it, from ``begin + step`` on."""
    _, _, gates, lists, how, _, parameters, cells, _ = net
    acc, v, rest, spikes, index, _, found = state
    firing = counts[1]
    now = begin + step
    for constant in (1, 0):
        if constant == 1 and (now > 0 or unit[REST] < 0):
            continue
        _hear(unit, constant, net, state, sorting, now, 1 if constant == 1 else steps, counts[0])
        if constant == 1:
            _remember(unit, acc, rest)
    for after in range(steps):
        first = unit[FIRST] + after * unit[PLANE]
        fire_all(unit, first, acc, parameters, how, v, rest, spikes, firing[unit[POPULATION]])
        if unit[EXTRACTS]:
            list_spikes(
                unit[POPULATION], unit[SPIKES], unit[NEURONS], lists, now + after, spikes, index, found
            )
        for number in range(unit[GATES], unit[GATES_END]):
            gate = gates[number]
            firing[gate[GATE], FIRED] += pool(gate, cells, spikes)
            neurons = gate[GATE_PLACES] * gate[GATE_CHANNELS]
            list_spikes(gate[GATE], gate[GATE_SPIKES], neurons, lists, now + after, spikes, index, found)
        if unit[SEEN]:
            _see(unit, state, seen, step + after)
