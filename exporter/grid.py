"""The integer grid of one population: whole weights, one unit per channel, an exponent per synapse."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporter.check import is_integer
from exporter.graph import Reals, Synapse
from exporter.ranges import spread
from runtime.errors import UnsupportedError

TOLERANCE = 1e-5
"""How far two scales may be from a power of two apart: the rounding of scales stored in float32."""
LEVELS_BELOW_THRESHOLD = 11
"""A weight unit chosen here is never finer than 2^-11 of the threshold, so that int16 states hold it."""
EMPTY_LEVELS = 8


@dataclass(frozen=True)
class Arrival:
    """A synapse as it enters a population; ``event_unit`` is the real value of a payload of 1."""

    synapse: Synapse
    event_unit: float


@dataclass(frozen=True)
class Demands:
    """What a population asks of its grid. ``threshold`` (length,) is None for a silent one; ``power_of_two``:
    the unit must be a power of two below the threshold (graded); ``shared``: one unit for all channels."""

    length: int
    threshold: Reals | None
    bits: int
    power_of_two: bool
    shared: bool
    fine: bool
    """Whether the unit may be far below the threshold (direct input, which is rounded later)."""


@dataclass(frozen=True)
class Grid:
    """``unit`` (length,): the real value of an accumulated 1; per synapse name whole weights, the real
    scale per output channel and the exponent by which its unit exceeds ``unit``. ``alive`` (length,)."""

    unit: Reals
    alive: NDArray[np.bool_]
    weights: Mapping[str, NDArray[np.int32]]
    scales: Mapping[str, Reals]
    exponents: Mapping[str, int]


def make_grid(name: str, arrivals: tuple[Arrival, ...], demands: Demands) -> Grid:
    """Grid of the population ``name``: integers that came from training stay, real weights are rounded.

    Rounding is symmetric, per output channel, halves to even.
    """
    kept = [a for a in arrivals if is_integer(a.synapse)]
    new = [a for a in arrivals if not is_integer(a.synapse)]
    alive = _any_alive(arrivals, demands.length)
    if kept:
        unit, exponents = _kept_unit(name, kept, demands)
    else:
        unit, exponents = _new_unit(new, demands)
    unit = _empty_units(unit, alive, demands)
    for arrival in new if kept else ():
        exponents[arrival.synapse.name] = _covering_exponent(arrival, unit, demands)
    lowest = min(exponents.values())
    unit, exponents = unit * 2.0**lowest, {key: e - lowest for key, e in exponents.items()}
    if demands.power_of_two:
        unit = _snapped(name, unit, demands)
    weights, scales = {}, {}
    for arrival in arrivals:
        synapse = arrival.synapse
        grid_unit = _sample(unit, len(synapse.weight)) * 2.0 ** exponents[synapse.name] / arrival.event_unit
        scales[synapse.name] = grid_unit
        weights[synapse.name] = _whole(synapse, grid_unit, demands.bits)
    return Grid(unit, alive, weights, scales, exponents)


def largest_weight(bits: int) -> int:
    """Largest magnitude of a symmetric grid: 127 at 8 bits, 1 (ternary) at 2."""
    return max((1 << (bits - 1)) - 1, 1)


def _rows(values: NDArray[Any]) -> NDArray[Any]:
    return values.reshape(len(values), -1)


def _row_max(synapse: Synapse) -> Reals:
    return np.asarray(np.abs(_rows(synapse.weight)).max(axis=1), np.float64)


def _any_alive(arrivals: tuple[Arrival, ...], length: int) -> NDArray[np.bool_]:
    alive = np.zeros(length, bool)
    for arrival in arrivals:
        alive |= spread(_row_max(arrival.synapse) > 0, length)
    return alive


def _kept_unit(name: str, kept: list[Arrival], demands: Demands) -> tuple[Reals, dict[str, int]]:
    """Common unit of synapses that bring their scales, which must be powers of two apart."""
    waiting = {a.synapse.name: _units(name, a, demands) for a in kept}
    unit, known = waiting[kept[0].synapse.name][0], np.zeros(demands.length, bool)
    exponents = {}
    while waiting:
        # Units compare only on channels that both have weights on: those already tied to others come first.
        tied = (key for key, (_, alive) in waiting.items() if (alive & known).any())
        key = next(tied, next(iter(waiting)))
        own, alive = waiting.pop(key)
        exponents[key] = _exponent(name, own, unit, alive & known)
        unit = np.where(alive & ~known, own * 2.0 ** -exponents[key], unit)
        known |= alive
    return unit, exponents


def _units(name: str, arrival: Arrival, demands: Demands) -> tuple[Reals, NDArray[np.bool_]]:
    """Real value of one unit of integer weights (length,), and where it counts: on channels with weights,
    or on all where one unit must do for all."""
    assert arrival.synapse.scale is not None
    unit = np.asarray(spread(arrival.synapse.scale * arrival.event_unit, demands.length), np.float64)
    alive = _any_alive((arrival,), demands.length)
    if not demands.shared:
        return unit, alive
    return _one_unit(name, unit, alive), np.full_like(alive, alive.any())


def _exponent(name: str, unit: Reals, reference: Reals, both: NDArray[np.bool_]) -> int:
    if not both.any():
        return 0
    ratio = np.log2(unit[both] / reference[both])
    exponent = int(np.rint(ratio[0]))
    if np.abs(ratio - exponent).max() > TOLERANCE:
        worst = 2.0 ** ratio[np.abs(ratio - exponent).argmax()]
        raise UnsupportedError(
            f"{name}: found scales a factor {worst:.6g} apart among its synapses, "
            "expected one power of two for all channels"
        )
    return exponent


def _one_unit(name: str, unit: Reals, alive: NDArray[np.bool_]) -> Reals:
    used = unit[alive] if alive.any() else unit
    if used.max() > used.min() * (1 + TOLERANCE):
        raise UnsupportedError(
            f"{name}: found scales from {used.min():.6g} to {used.max():.6g} over the channels of a membrane "
            "readout, expected one shared scale"
        )
    return np.full_like(unit, used[0])


def _new_unit(new: list[Arrival], demands: Demands) -> tuple[Reals, dict[str, int]]:
    """Common unit and exponents that cover the largest real weight of every channel and synapse."""
    top = largest_weight(demands.bits)
    coarse = min(len(arrival.synapse.weight) for arrival in new)
    wanted = {}
    for a in new:
        rows = _row_max(a.synapse).reshape(coarse, -1).max(axis=1)
        wanted[a.synapse.name] = rows * a.event_unit / top
    first = next(iter(wanted.values()))
    exponents = {key: _typical_exponent(w, first) for key, w in wanted.items()}
    unit = np.max([w * 2.0 ** -exponents[key] for key, w in wanted.items()], axis=0)
    if demands.threshold is not None:
        # One unit per output channel of the coarsest synapse, whatever thresholds its neurons have.
        threshold = np.abs(demands.threshold).reshape(coarse, -1).max(axis=1)
        if not demands.fine:
            unit = np.where(unit > 0, np.maximum(unit, threshold * 2.0**-LEVELS_BELOW_THRESHOLD), 0)
        if demands.power_of_two:
            unit = _rounded_up(unit, threshold)
    unit = spread(unit, demands.length)
    if demands.shared:
        unit = np.full_like(unit, unit.max() or 1.0)
    return unit, exponents


def _typical_exponent(wanted: Reals, reference: Reals) -> int:
    both = (wanted > 0) & (reference > 0)
    return int(np.rint(np.median(np.log2(wanted[both] / reference[both])))) if both.any() else 0


def _rounded_up(unit: Reals, threshold: Reals) -> Reals:
    levels = np.floor(np.log2(threshold / np.where(unit > 0, unit, threshold)) + 1e-9)
    return np.where(unit > 0, threshold * 2.0**-levels, 0.0)


def _empty_units(unit: Reals, alive: NDArray[np.bool_], demands: Demands) -> Reals:
    """Units of channels without a surviving weight: the threshold over 2^8."""
    if demands.shared or demands.threshold is None:
        fallback = unit[alive].max() if alive.any() else 1.0
        return np.where(alive, unit, fallback)
    size = np.abs(demands.threshold)
    return np.where(alive, unit, np.where(size > 0, size, 1.0) * 2.0**-EMPTY_LEVELS)


def _covering_exponent(arrival: Arrival, unit: Reals, demands: Demands) -> int:
    """Smallest exponent at which real weights beside kept integers fit their bits."""
    wanted = (
        spread(_row_max(arrival.synapse), demands.length) * arrival.event_unit / largest_weight(demands.bits)
    )
    used = wanted > 0
    return math.ceil(np.log2(wanted[used] / unit[used]).max() - 1e-9) if used.any() else 0


def _snapped(name: str, unit: Reals, demands: Demands) -> Reals:
    """Units exactly a power of two below the threshold, as a graded payload needs."""
    assert demands.threshold is not None
    levels = np.log2(demands.threshold / unit)
    if np.abs(levels - np.rint(levels)).max() > TOLERANCE:
        worst = 2.0 ** levels[np.abs(levels - np.rint(levels)).argmax()]
        raise UnsupportedError(
            f"{name}: found a weight scale a factor {worst:.6g} below the graded threshold, "
            "expected a power of two"
        )
    return np.asarray(demands.threshold * 2.0 ** -np.rint(levels), np.float64)


def _sample(unit: Reals, length: int) -> Reals:
    """Units on a synapse's own output axis: every neuron of one of its channels has the same."""
    return unit[:: len(unit) // length]


def _whole(synapse: Synapse, unit: Reals, bits: int) -> NDArray[np.int32]:
    if is_integer(synapse):
        return synapse.weight.astype(np.int32)
    top = largest_weight(bits)
    scaled = synapse.weight / unit.reshape(-1, *([1] * (synapse.weight.ndim - 1)))
    return np.rint(scaled).clip(-top, top).astype(np.int32)
