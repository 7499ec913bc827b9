"""Leak, fire, reset and clamp of a population's step, and the max pools behind it."""

from typing import Any

import numpy as np
from numba import njit

from runtime.kernels.fused.tables import (
    CLAMPS,
    FIRED,
    GATE_CELLS,
    GATE_CHANNELS,
    GATE_FROM,
    GATE_PLACES,
    GATE_SPIKES,
    GATE_WINDOW,
    HEIGHT,
    HOW,
    I32,
    I64,
    OPTIONS,
    PARAMETERS,
    PITCH,
    REST,
    ROW,
    SPIKES,
    STATE,
    STRIDE,
    TIES,
    U8,
)
from runtime.kernels.fused.vectors import shift_left, shift_right


@njit(**OPTIONS)
def _fire(
    acc: I32, v: I32, threshold: I32, amount: I32, bias: I32, rest: I32, how: I64, out: U8
) -> tuple[int, int, int]:
    """One step of neurons side by side, as ``lif.update``; leaves ``rest`` (or zeros) in ``acc``."""
    k1, m1, k2, m2 = np.int32(how[0]), np.int32(how[1]), np.int32(how[2]), np.int32(how[3])
    left, half, right = np.int32(how[4]), np.int32(how[5]), np.int32(how[6])
    keep, lowest, highest, fires = np.int32(how[7]), np.int32(how[8]), np.int32(how[9]), np.int32(how[10])
    spikes = np.int32(0)
    ties = np.int32(0)
    clamps = np.int32(0)
    for n in range(out.size):
        old = v[n]
        drive = shift_right(np.int32(shift_left(acc[n], left) + half), right)
        leak = np.int32((shift_right(old, k1) & m1) + (shift_right(old, k2) & m2))
        u = np.int32(old - leak + drive + bias[n])
        fired = np.int32(np.int32(u >= threshold[n]) & fires)
        ties = np.int32(ties + (np.int32(u == threshold[n]) & fires))
        spikes = np.int32(spikes + fired)
        after = np.int32((u & keep) + amount[n])
        u = after if fired else u
        kept = np.int32(min(max(u, lowest), highest))
        clamps = np.int32(clamps + np.int32(kept != u))
        v[n] = kept
        out[n] = fired
    if rest.size > 0:
        for n in range(out.size):
            acc[n] = rest[n]
    else:
        for n in range(out.size):
            acc[n] = 0
    return int(spikes), int(ties), int(clamps)


@njit(**OPTIONS)
def fire_all(
    unit: I64, first: int, acc: I32, parameters: Any, how: I64, v: I32, rest: I32, spikes: U8, firing: I64
) -> None:
    """One step of a population, row by row of its plane."""
    threshold, amount, bias = parameters
    rules = how[unit[HOW]]
    length = unit[ROW]
    at = first
    for row in range(unit[HEIGHT]):
        here = unit[STATE] + row * length
        fixed = unit[PARAMETERS] + row * unit[STRIDE]
        out = unit[SPIKES] + row * length
        calm = (
            rest[unit[REST] + row * length : unit[REST] + (row + 1) * length] if unit[REST] >= 0 else rest[:0]
        )
        fired, ties, clamps = _fire(
            acc[at : at + length],
            v[here : here + length],
            threshold[fixed : fixed + length],
            amount[fixed : fixed + length],
            bias[fixed : fixed + length],
            calm,
            rules,
            spikes[out : out + length],
        )
        firing[FIRED] += fired
        firing[TIES] += ties
        firing[CLAMPS] += clamps
        at += unit[PITCH]


@njit(**OPTIONS)
def pool(gate: I64, cells: I32, spikes: U8) -> int:
    """The OR of every window; return the spikes."""
    channels = gate[GATE_CHANNELS]
    fired = 0
    for place in range(gate[GATE_PLACES]):
        to = gate[GATE_SPIKES] + place * channels
        out = spikes[to : to + channels]
        for channel in range(channels):
            out[channel] = 0
        for cell in range(gate[GATE_WINDOW]):
            at = int(np.int64(cells[gate[GATE_CELLS] + place * gate[GATE_WINDOW] + cell]))
            if at >= 0:
                inside = spikes[gate[GATE_FROM] + at * channels : gate[GATE_FROM] + (at + 1) * channels]
                for channel in range(channels):
                    out[channel] |= inside[channel]
        for channel in range(channels):
            fired += out[channel]
    return fired
