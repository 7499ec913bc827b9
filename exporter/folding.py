"""Folds a neuron in real units into membrane units: thresholds, resets, biases, fractional bits.

The rules are those of ``docs/neuron-model.md``, "From real units to integers".
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporter.graph import Reals
from exporter.ranges import WIDE, Interval, reach, spread
from runtime.errors import UnsupportedError
from runtime.spec import (
    MAX_FRAC_BITS,
    Compare,
    Fire,
    FloatNeuron,
    IntegerNeuron,
    Leak,
    Reset,
    ResetTiming,
    StateWidth,
)

DRIFT_BITS = 6
"""Membrane units per unit of leak error that must fit below the threshold: 2^6."""
HEADROOM_BITS = 4
"""Bits that thresholds stay below the state width."""
TIGHT_HEADROOM_BITS = 2
"""Bits that thresholds stay below the state width where no fraction is left to give up."""
SNAP = 1e-9
"""A ratio this close to a whole number is that number: float division must not add a unit."""


@dataclass(frozen=True)
class Levels:
    """Real levels of a population, each (length,), with same-step reset and a leak towards 0.

    ``reset`` is the amount of a subtracting reset or the value of a reset to a value.
    """

    threshold: Reals
    reset: Reals
    bias: Reals
    start: Reals


def levels(name: str, model: FloatNeuron, bias: Reals) -> Levels:
    """Levels of ``model``, with ``bias`` (length,) from its synapses added to its own."""
    length = len(bias)
    threshold, value, own, start, rest = (
        spread(np.asarray(values, np.float64), length)
        for values in (model.threshold, model.reset_value, model.bias, model.start, model.v_leak)
    )
    if model.fire is Fire.GRADED and rest.any():
        raise UnsupportedError(f"{name}: found a graded neuron with v_leak, expected v_leak 0")
    reset = threshold if model.reset is Reset.SUBTRACT else value - rest
    if model.reset_timing is ResetTiming.NEXT_STEP:
        reset = _same_step(name, model, reset)
    return Levels(threshold - rest, reset, own + bias, start - rest)


def _same_step(name: str, model: FloatNeuron, reset: Reals) -> Reals:
    """Reset of a same-step neuron that does what this next-step neuron does."""
    match model.reset:
        case Reset.SUBTRACT if model.fire is not Fire.GRADED and model.leak.beta > 0:
            return reset / model.leak.beta
        case Reset.VALUE if not reset.any() and model.synaptic_leak is None:
            return reset
        case Reset.NONE:
            return reset
    raise UnsupportedError(
        f"{name}: found a {model.reset.value} reset in the next step of a {model.fire.value} neuron, "
        "expected a subtracting one, one to 0 without synaptic state, or a reset in the same step"
    )


def fraction_bits(model: FloatNeuron, found: Levels, unit: Reals, alive: NDArray[np.bool_]) -> int:
    """Fewest fractional bits for which the rounding of one step is small against the threshold."""
    if not model.leak.shifts and model.synaptic_leak is None and _nothing_rounds(model, found, unit):
        return 0
    # A synaptic current's floor error is integrated again by the membrane, so their shifts add up.
    leaks = (model.leak, model.synaptic_leak or Leak())
    coarsest = sum(max(leak.shifts, default=0) for leak in leaks)
    size = np.abs(found.threshold) / unit
    smallest = float(size[alive].min()) if alive.any() else float(size.min())
    if smallest <= 0:
        return 0
    return min(max(coarsest + DRIFT_BITS - math.floor(math.log2(smallest) + SNAP), 0), MAX_FRAC_BITS)


def _nothing_rounds(model: FloatNeuron, found: Levels, unit: Reals) -> bool:
    values = [found.bias, found.start]
    if model.reset is not Reset.NONE:
        values.append(found.reset)
    return all(bool(np.all(_snap(x / unit) == np.rint(x / unit))) for x in values)


def headroom(size: Reals, width: StateWidth, bits: int) -> int:
    """Largest fraction that keeps thresholds of ``size`` weight units ``bits`` below a state width."""
    largest = float(size.max(initial=0))
    return width - bits - math.ceil(math.log2(largest) - SNAP) if largest > 0 else MAX_FRAC_BITS


def fold(
    model: FloatNeuron, found: Levels, unit: Reals, payload_levels: NDArray[np.int64] | None
) -> IntegerNeuron:
    """Integer neuron in membrane units ``unit`` (length,), 32 bits wide until its width is chosen.

    ``payload_levels`` (length,): the log2 of a graded neuron's threshold in membrane units.
    """
    silent = model.fire is Fire.SILENT
    threshold = _threshold(model.compare, found.threshold / unit)
    if payload_levels is not None:
        threshold = np.exp2(payload_levels)
    return IntegerNeuron(
        leak=model.leak,
        fire=model.fire,
        reset=Reset.NONE if silent else model.reset,
        width=StateWidth.INT32,
        v_min=-(WIDE // 2),
        v_max=WIDE // 2,
        frac_bits=0,
        threshold_q=(0,) if silent else _packed(threshold),
        reset_q=(0,) if silent or model.reset is Reset.NONE else _packed(np.rint(found.reset / unit)),
        bias_q=_packed(np.rint(found.bias / unit)),
        start_q=_packed(np.rint(found.start / unit)),
        payload_shift=(0,) if payload_levels is None else _packed(payload_levels),
        payload_bits=model.payload_bits,
        synaptic_leak=model.synaptic_leak,
        synaptic_order=model.synaptic_order,
    )


def _threshold(compare: Compare, ratio: Reals) -> NDArray[np.float64]:
    ratio = _snap(ratio)
    return np.ceil(ratio) if compare is Compare.GREATER_EQUAL else np.floor(ratio) + 1


def _snap(ratio: Reals) -> Reals:
    whole = np.rint(ratio)
    near = np.abs(ratio - whole) <= SNAP * np.maximum(np.abs(whole), 1)
    return np.asarray(np.where(near, whole, ratio))


def _packed(values: NDArray[Any]) -> tuple[int, ...]:
    """One value where all are equal."""
    found = tuple(int(value) for value in values)
    return found[:1] if len(set(found)) == 1 else found


def bounds(model: IntegerNeuron, width: StateWidth) -> tuple[int, int]:
    """Clamp of a state of this width; two 32-bit states that are added share their room."""
    if width is not StateWidth.INT32:
        return width.lowest, width.highest
    wide = WIDE // 2 if model.synaptic_leak is not None else WIDE
    return -wide, wide


def narrowest(model: IntegerNeuron, current: Interval) -> StateWidth:
    """Narrowest state that provably holds a 32-bit ``model`` and its parameters; 32 bits when none does."""
    found = reach(model, current)
    values = (*model.threshold_q, *model.reset_q)
    for width in (StateWidth.INT8, StateWidth.INT16):
        state = found.stored.within(width.lowest, width.highest)
        if state and all(width.lowest <= value <= width.highest for value in values):
            return width
    return StateWidth.INT32
