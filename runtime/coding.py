"""Codes raw integer samples into the integer input of each step, in plain numpy and whole numbers only.

The rules are part of the model (Contract 1): the same sample gives the same input on every machine.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from runtime.errors import DataError
from runtime.spec import Coding, InputSpec

Samples = NDArray[np.int64]
Coded = NDArray[np.int32]

SAMPLE_FACTOR, STEP_FACTOR, WORD = 0x9E3779B9, 0x85EBCA6B, 0xFFFFFFFF


def encode_input(x: NDArray[np.integer], spec: InputSpec, first_sample: int = 0) -> Coded:
    """Input (steps, samples, *spec.shape) of raw samples ``x``, whose shape depends on the coding.

    Events: (samples, steps, *shape) in 0..2^bits - 1. Direct: (samples, *shape) where constant, else
    (samples, steps, *shape), of magnitude below 2^(bits + sample_shift). Rate and latency: (samples, *shape)
    in 0..2^sample_bits - 1. Delta: (samples, steps, features), signed. ``first_sample`` is the number of
    the first sample in its data set: rate coding draws by it. A constant input comes back as a read-only
    view that repeats one frame. ``DataError`` names a shape, type or value that does not fit.
    """
    found = np.asarray(x)
    if found.dtype.kind not in "iub":
        raise DataError(f"{spec.coding.value} input: found samples of {found.dtype}, expected integers")
    if found.ndim < 2:
        raise DataError(f"{spec.coding.value} input: found shape {found.shape}, expected samples first")
    return CODINGS[spec.coding](found.astype(np.int64, copy=False), spec, first_sample)


def _shaped(x: Samples, shape: tuple[int, ...], spec: InputSpec) -> Samples:
    """``x`` as (samples, *shape), whatever axes it splits them into."""
    if math.prod(x.shape[1:]) != math.prod(shape):
        raise DataError(
            f"{spec.coding.value} input: found samples of shape {x.shape[1:]}, expected {shape} each"
        )
    return x.reshape(len(x), *shape)


def _check_range(x: Samples, lowest: int, highest: int, spec: InputSpec) -> None:
    if x.size and (x.min() < lowest or x.max() > highest):
        raise DataError(
            f"{spec.coding.value} input: found values in {x.min()}..{x.max()}, expected {lowest}..{highest}"
        )


def _steps_first(x: Samples) -> Coded:
    return np.ascontiguousarray(x.swapaxes(0, 1), np.int32)


def _events(x: Samples, spec: InputSpec, first_sample: int) -> Coded:
    _check_range(x, 0, (1 << spec.bits) - 1, spec)
    return _steps_first(_shaped(x, (spec.n_steps, *spec.shape), spec))


def _direct(x: Samples, spec: InputSpec, first_sample: int) -> Coded:
    highest = (1 << spec.bits + spec.sample_shift) - 1
    _check_range(x, -highest if spec.signed else 0, highest, spec)
    x = x >> spec.sample_shift
    if not spec.constant:
        return _steps_first(_shaped(x, (spec.n_steps, *spec.shape), spec))
    frame = _shaped(x, spec.shape, spec).astype(np.int32)
    return np.broadcast_to(frame, (spec.n_steps, *frame.shape))


def _rate(x: Samples, spec: InputSpec, first_sample: int) -> Coded:
    """A spike where the sample exceeds its draw.

    xorshift32 (Marsaglia 2003, shifts 13, 17, 5), one stream per sample and step, one draw per element in
    canonical order, its low 8 bits dropped.
    """
    highest = (1 << spec.sample_bits) - 1
    _check_range(x, 0, highest, spec)
    flat = _shaped(x, (math.prod(spec.shape),), spec)
    state = _start_states(spec, len(flat), first_sample)
    coded = np.empty((spec.n_steps, *flat.shape), np.int32)
    for element in range(flat.shape[1]):
        state ^= state << np.uint32(13)
        state ^= state >> np.uint32(17)
        state ^= state << np.uint32(5)
        draw = (state >> np.uint32(8)) & np.uint32(highest)
        coded[:, :, element] = flat[:, element] > draw
    return coded.reshape(spec.n_steps, len(flat), *spec.shape)


def _start_states(spec: InputSpec, samples: int, first_sample: int) -> NDArray[np.uint32]:
    """State (steps, samples) of every stream before its first draw, never 0."""
    sample = np.array([SAMPLE_FACTOR * (first_sample + k + 1) & WORD for k in range(samples)], np.uint32)
    step = np.array([STEP_FACTOR * (k + 1) & WORD for k in range(spec.n_steps)], np.uint32)
    state = np.uint32(spec.seed & WORD) ^ sample[None, :] ^ step[:, None]
    return np.where(state == 0, np.uint32(1), state)


def _latency(x: Samples, spec: InputSpec, first_sample: int) -> Coded:
    """One spike per element, the larger the earlier; 0 never fires."""
    highest = (1 << spec.sample_bits) - 1
    _check_range(x, 0, highest, spec)
    values = _shaped(x, spec.shape, spec)
    when = np.where(values > 0, ((highest - values) * spec.n_steps) >> spec.sample_bits, -1)
    return np.stack([when == step for step in range(spec.n_steps)]).astype(np.int32)


def _delta(x: Samples, spec: InputSpec, first_sample: int) -> Coded:
    """Events where a feature moved by whole multiples of ``delta`` since its last event.

    Rising channels first, then falling; the payload is the number of multiples, at most 2^bits - 1.
    """
    _check_range(x, -(1 << 31), (1 << 31) - 1, spec)
    features = math.prod(spec.shape) // 2
    values = _shaped(x, (spec.n_steps, features), spec)
    coded = np.zeros((spec.n_steps, len(values), 2, features), np.int32)
    reference = values[:, 0].copy()
    for step in range(1, spec.n_steps):
        moved = values[:, step] - reference
        count = np.minimum(np.abs(moved) // spec.delta, (1 << spec.bits) - 1)
        coded[step, :, 0] = np.where(moved > 0, count, 0)
        coded[step, :, 1] = np.where(moved < 0, count, 0)
        reference += np.sign(moved) * count * spec.delta
    return coded.reshape(spec.n_steps, len(values), *spec.shape)


CODINGS: dict[Coding, Callable[[Samples, InputSpec, int], Coded]] = {
    Coding.EVENTS: _events,
    Coding.DIRECT: _direct,
    Coding.RATE: _rate,
    Coding.LATENCY: _latency,
    Coding.DELTA: _delta,
}
