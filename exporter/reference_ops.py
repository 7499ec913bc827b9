"""Stateless operations of the reference: synapses, pooling and rounding shifts, over samples at once."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from exporter.graph import Conv, Linear, Pool, PoolKind, Reals, Synapse
from exporter.shapes import window_shape

Integers = NDArray[np.int64]
EXACT_FLOAT64 = 1 << 53


def accumulate(synapse: Synapse, payloads: Integers) -> Integers:
    """Sum of the integer weights of arriving payloads: (samples, *in) -> (samples, *out).

    Products run in float64, which holds every partial sum exactly below 2^53.
    """
    largest = int(np.abs(payloads).max(initial=0)) * int(np.abs(synapse.weight).astype(np.int64).sum())
    assert largest < EXACT_FLOAT64, f"{synapse.name}: sums may reach {largest}, expected below 2^53"
    summed = transfer(synapse, synapse.weight.astype(np.float64), payloads.astype(np.float64))
    return summed.astype(np.int64)


def transfer(synapse: Synapse, weight: Reals, x: Reals) -> Reals:
    """What a synapse of these weights makes of ``x``: (samples, *in) -> (samples, *out)."""
    if isinstance(synapse, Linear):
        return np.asarray(x @ weight.T)
    if isinstance(synapse, Conv):
        return convolve(synapse, weight, x)
    return np.asarray(x * per_neuron(weight, x.shape[1:]))


def convolve(conv: Conv, weight: Reals, x: Reals) -> Reals:
    """Cross-correlation of (samples, channels, height, width), one kernel position at a time."""
    samples, _, height, width = x.shape
    n_out, per_group, kh, kw = weight.shape
    (ph, pw), (sh, sw), (dh, dw) = conv.padding, conv.stride, conv.dilation
    oh, ow = window_shape((height, width), (kh, kw), conv.stride, conv.padding, conv.dilation)
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    grouped = weight.reshape(conv.groups, n_out // conv.groups, per_group, kh, kw)
    out = np.zeros((samples, conv.groups, n_out // conv.groups, oh * ow))
    for ky in range(kh):
        for kx in range(kw):
            rows = slice(ky * dh, ky * dh + (oh - 1) * sh + 1, sh)
            columns = slice(kx * dw, kx * dw + (ow - 1) * sw + 1, sw)
            seen = padded[:, :, rows, columns].reshape(samples, conv.groups, per_group, oh * ow)
            out += grouped[..., ky, kx] @ seen
    return out.reshape(samples, n_out, oh, ow)


def shifted(acc: Integers, shift: int) -> Integers:
    """``acc << shift``, or the rounding shift ``(acc + 2^(r-1)) >> r`` of ``r = -shift``."""
    if shift >= 0:
        return acc << shift
    return (acc + (1 << (-shift - 1))) >> -shift


def pooled(pool: Pool, x: NDArray[Any]) -> NDArray[Any]:
    """Sum, mean or maximum of windows over the two trailing axes; padding never wins a maximum."""
    (kh, kw), (sh, sw), (ph, pw) = pool.kernel, pool.stride, pool.padding
    lowest = np.iinfo(np.int64).min if x.dtype == np.int64 else -np.inf
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)), constant_values=lowest) if ph or pw else x
    windows = sliding_window_view(padded, (kh, kw), axis=(-2, -1))[:, :, ::sh, ::sw]
    if pool.kind is PoolKind.MAX:
        return np.asarray(windows.max(axis=(-2, -1)))
    if pool.kind is PoolKind.SUM:
        return np.asarray(windows.sum(axis=(-2, -1)))
    return np.asarray(windows.mean(axis=(-2, -1)))


def per_neuron(values: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """One value, one per channel or one per neuron, shaped to broadcast over (samples, *shape)."""
    if values.size == 1:
        return values.reshape(())
    if values.size == shape[0]:
        return values.reshape(shape[0], *([1] * (len(shape) - 1)))
    return values.reshape(shape)
