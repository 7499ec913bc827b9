"""One step of a population in integers and in real units, as ``docs/neuron-model.md`` writes it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from exporter.graph import Reals
from exporter.reference_ops import Integers, per_neuron
from runtime.spec import (
    Compare,
    Fire,
    FloatNeuron,
    IntegerNeuron,
    Leak,
    Reset,
    ResetTiming,
    SynapticOrder,
)

INT32 = np.iinfo(np.int32)


@dataclass(frozen=True)
class IntegerState:
    """Stored membrane and synaptic current, (samples, *shape)."""

    v: Integers
    i: Integers


@dataclass(frozen=True)
class FloatState:
    """Membrane, synaptic current and the last payloads (for a reset in the next step)."""

    v: Reals
    i: Reals
    fired: Integers


def start_integer(model: IntegerNeuron, samples: int, shape: tuple[int, ...]) -> IntegerState:
    v = np.broadcast_to(_integers(model.start_q, shape), (samples, *shape))
    return IntegerState(v.astype(np.int64), np.zeros((samples, *shape), np.int64))


def step_integer(
    model: IntegerNeuron, state: IntegerState, current: Integers
) -> tuple[Integers, IntegerState]:
    """Payloads of this step and the state stored after it."""
    shape = current.shape[1:]
    i, drive = _synaptic(model, state.i, current)
    u = _leaked(state.v, model.leak) + drive + _integers(model.bias_q, shape)
    _assert_int32(u)
    payload = _fired(model, u)
    u = _reset(model, u, payload)
    _assert_int32(u)
    return payload, IntegerState(np.clip(u, model.v_min, model.v_max), i)


def _synaptic(model: IntegerNeuron, i: Integers, current: Integers) -> tuple[Integers, Integers]:
    """Synaptic state to store and the drive of the membrane."""
    _assert_int32(current)
    if model.synaptic_leak is None:
        return i, current
    i_new = _leaked(i, model.synaptic_leak) + current
    _assert_int32(i_new)
    drive = i_new if model.synaptic_order is SynapticOrder.NEW else i
    return np.clip(i_new, model.v_min, model.v_max), drive


def _leaked(v: Integers, leak: Leak) -> Integers:
    return v - sum((v >> k for k in leak.shifts), start=np.zeros_like(v))


def _fired(model: IntegerNeuron, u: Integers) -> Integers:
    above = u >= _integers(model.threshold_q, u.shape[1:])
    match model.fire:
        case Fire.BINARY:
            return above.astype(np.int64)
        case Fire.GRADED:
            size = np.minimum((1 << model.payload_bits) - 1, u >> _integers(model.payload_shift, u.shape[1:]))
            return np.where(above, size, 0)
        case Fire.SILENT:
            return np.zeros_like(u)


def _reset(model: IntegerNeuron, u: Integers, payload: Integers) -> Integers:
    shape = u.shape[1:]
    match model.reset:
        case Reset.NONE:
            return u
        case Reset.VALUE:
            return np.where(payload > 0, _integers(model.reset_q, shape), u)
        case Reset.SUBTRACT:
            if model.fire is Fire.GRADED:
                return u - (payload << _integers(model.payload_shift, shape))
            return u - payload * _integers(model.reset_q, shape)


def start_float(model: FloatNeuron, samples: int, shape: tuple[int, ...]) -> FloatState:
    v = np.broadcast_to(_reals(model.start, shape), (samples, *shape)).copy()
    return FloatState(v, np.zeros((samples, *shape)), np.zeros((samples, *shape), np.int64))


def step_float(model: FloatNeuron, state: FloatState, current: Reals) -> tuple[Integers, FloatState]:
    """Payloads of this step and the state after it, in real units."""
    shape = current.shape[1:]
    i, drive = state.i, current
    if model.synaptic_leak is not None:
        i = state.i * _factor(model.synaptic_decay, model.synaptic_leak, shape) + current
        drive = i if model.synaptic_order is SynapticOrder.NEW else state.i
    rest = _reals(model.v_leak, shape)
    v = rest + (state.v - rest) * _factor(model.decay, model.leak, shape)
    if model.reset_timing is ResetTiming.NEXT_STEP:
        v = _reset_float(model, v, state.fired)
    u = v + drive + _reals(model.bias, shape)
    payload = _fired_float(model, u)
    v = _reset_float(model, u, payload) if model.reset_timing is ResetTiming.SAME_STEP else u
    return payload, FloatState(v, i, payload)


def _factor(decay: tuple[float, ...] | None, leak: Leak, shape: tuple[int, ...]) -> Reals | float:
    return leak.beta if decay is None else _reals(decay, shape)


def _fired_float(model: FloatNeuron, u: Reals) -> Integers:
    threshold = _reals(model.threshold, u.shape[1:])
    if model.fire is Fire.SILENT:
        return np.zeros(u.shape, np.int64)
    if model.fire is Fire.GRADED:
        size = np.floor(u / threshold).astype(np.int64)
        return np.clip(size, 0, (1 << model.payload_bits) - 1)
    above = u >= threshold if model.compare is Compare.GREATER_EQUAL else u > threshold
    return above.astype(np.int64)


def _reset_float(model: FloatNeuron, u: Reals, payload: Integers) -> Reals:
    if model.reset is Reset.NONE or model.fire is Fire.SILENT:
        return u
    if model.reset is Reset.VALUE:
        return np.where(payload > 0, _reals(model.reset_value, u.shape[1:]), u)
    return u - payload * _reals(model.threshold, u.shape[1:])


def _integers(values: tuple[int, ...], shape: tuple[int, ...]) -> Integers:
    return np.asarray(per_neuron(np.asarray(values, np.int64), shape), np.int64)


def _reals(values: tuple[float, ...], shape: tuple[int, ...]) -> Reals:
    return np.asarray(per_neuron(np.asarray(values, np.float64), shape), np.float64)


def _assert_int32(x: NDArray[np.int64]) -> None:
    assert x.size == 0 or (INT32.min <= x.min() and x.max() <= INT32.max), "a step left int32"
