"""Turns integer samples into the integer input of each step, by the same rules as ``runtime.coding``.

Written apart from the runtime's: two codings that agree bit for bit check each other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from runtime.errors import DataError
from runtime.spec import Coding, InputSpec
from trainer.held import hold

Samples = NDArray[Any]
Indices = NDArray[np.int64]


def encode(x: Samples, spec: InputSpec, indices: Indices | None = None) -> Tensor:
    """Coded float32 integers (steps, n, *spec.shape) of raw samples ``x`` (n, *sample shape).

    ``indices`` (n,) are the samples' numbers in their data set (default 0, 1, …): rate coding draws its
    random numbers by them, so that a sample looks the same in every batch. A constant input comes back
    as a view held over the steps.

    Raises:
        DataError: the samples do not fit ``spec``.
    """
    numbers = np.arange(len(x)) if indices is None else indices
    return CODINGS[spec.coding](np.asarray(x), spec, numbers)


def _per_sample(x: Samples, spec: InputSpec) -> Samples:
    """x (n, …) as (n, *shape)."""
    return _reshaped(x, (len(x), *spec.shape), spec)


def _per_step(x: Samples, spec: InputSpec) -> Samples:
    """x (n, steps, …) as (steps, n, *shape)."""
    return np.ascontiguousarray(_reshaped(x, (len(x), spec.n_steps, *spec.shape), spec).swapaxes(0, 1))


def _reshaped(x: Samples, shape: tuple[int, ...], spec: InputSpec) -> Samples:
    if x.size != np.prod(shape, dtype=np.int64):
        raise DataError(
            f"{spec.coding.value} input: found samples of shape {x.shape[1:]}, expected {shape[1:]} each"
        )
    return x.reshape(shape)


def _numbers(x: Samples) -> Tensor:
    return torch.from_numpy(x.astype(np.float32))


def _check_range(x: Samples, low: int, high: int, spec: InputSpec) -> None:
    if x.size and not (low <= int(x.min()) and int(x.max()) <= high):
        raise DataError(
            f"{spec.coding.value} input: found values {x.min()}..{x.max()}, expected {low}..{high}"
        )


def direct(x: Samples, spec: InputSpec, indices: Indices) -> Tensor:
    """The sample's integers less their ``spec.sample_shift`` lowest bits, at every step or step by step."""
    high = (1 << spec.bits + spec.sample_shift) - 1
    _check_range(x, -high if spec.signed else 0, high, spec)
    x = x >> spec.sample_shift
    if spec.constant:
        return hold(_numbers(_per_sample(x, spec)), spec.n_steps)
    return _numbers(_per_step(x, spec))


def events(x: Samples, spec: InputSpec, indices: Indices) -> Tensor:
    """Counts of events (n, steps, *shape) as they are."""
    _check_range(x, 0, (1 << spec.bits) - 1, spec)
    return _numbers(_per_step(x, spec))


def rate(x: Samples, spec: InputSpec, indices: Indices) -> Tensor:
    """A spike where the sample exceeds a xorshift32 draw of its (seed, sample, step, element).

    Marsaglia 2003 (shifts 13, 17, 5), one draw an element in canonical order, its low 8 bits dropped.
    """
    flat = _per_sample(x, spec).reshape(len(x), -1)
    _check_range(flat, 0, (1 << spec.sample_bits) - 1, spec)
    mask = np.uint32((1 << spec.sample_bits) - 1)
    state = start_states(spec, indices)
    out = np.empty((flat.shape[1], spec.n_steps, len(x)), dtype=bool)
    for element in range(flat.shape[1]):
        state ^= state << np.uint32(13)
        state ^= state >> np.uint32(17)
        state ^= state << np.uint32(5)
        out[element] = flat[:, element] > ((state >> np.uint32(8)) & mask)
    return _numbers(np.moveaxis(out, 0, -1).reshape(spec.n_steps, len(x), *spec.shape))


def start_states(spec: InputSpec, indices: Indices) -> NDArray[np.uint32]:
    """Generator states (steps, n) before the first draw; a state of 0 becomes 1."""
    samples = 0x9E3779B9 * (indices.astype(np.uint64) + np.uint64(1)) & np.uint64(0xFFFFFFFF)
    steps = 0x85EBCA6B * np.arange(1, spec.n_steps + 1, dtype=np.uint64) & np.uint64(0xFFFFFFFF)
    state = np.uint64(spec.seed & 0xFFFFFFFF) ^ samples[None, :] ^ steps[:, None]
    return np.where(state == 0, 1, state).astype(np.uint32)


def latency(x: Samples, spec: InputSpec, indices: Indices) -> Tensor:
    """One spike an element, earlier for larger values, none for 0."""
    values = _per_sample(x, spec).astype(np.int64)
    top = (1 << spec.sample_bits) - 1
    _check_range(values, 0, top, spec)
    when = ((top - values) * spec.n_steps) >> spec.sample_bits
    steps = np.arange(spec.n_steps).reshape(-1, *[1] * values.ndim)
    return _numbers((when[None] == steps) & (values > 0)[None])


def delta(x: Samples, spec: InputSpec, indices: Indices) -> Tensor:
    """Events where a feature (n, steps, features) moved by whole multiples of ``spec.delta`` from its last
    event; ON channels first, then OFF; the payload counts the multiples."""
    features = int(np.prod(spec.shape)) // 2
    if x.size != len(x) * spec.n_steps * features:
        raise DataError(
            f"delta input: found samples of shape {x.shape[1:]}, expected {(spec.n_steps, features)} each"
        )
    values = x.reshape(len(x), spec.n_steps, features).astype(np.int64)
    out = np.zeros((spec.n_steps, len(x), 2, features), dtype=np.int64)
    reference = values[:, 0].copy()
    for t in range(1, spec.n_steps):
        moved = values[:, t] - reference
        count = np.minimum(np.abs(moved) // spec.delta, (1 << spec.bits) - 1)
        out[t, :, 0] = np.where(moved > 0, count, 0)
        out[t, :, 1] = np.where(moved < 0, count, 0)
        reference += np.sign(moved) * count * spec.delta
    return _numbers(out.reshape(spec.n_steps, len(x), *spec.shape))


CODINGS: dict[Coding, Callable[[Samples, InputSpec, Indices], Tensor]] = {
    Coding.DIRECT: direct,
    Coding.EVENTS: events,
    Coding.RATE: rate,
    Coding.LATENCY: latency,
    Coding.DELTA: delta,
}
