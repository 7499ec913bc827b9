"""The neuron of ``docs/neuron-model.md``, over frames of one population.

Arithmetic runs in 64 bits; ``runtime.check`` has proved that every value fits 32, so that a target with
32-bit registers computes the same. Membranes are clamped and stored as int32.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

I32 = NDArray[np.int32]
I64 = NDArray[np.int64]

SILENT = 0
BINARY = 1
GRADED = 2
KEEP = 0
SUBTRACT = 1
VALUE = 2


@njit(cache=True)
def _current(acc: int, shift: int) -> int:
    """``acc << shift``, or the one rounding shift where ``shift`` is negative."""
    if shift >= 0:
        return int(acc) << shift
    return (int(acc) + (1 << (-shift - 1))) >> -shift


@njit(cache=True)
def _decay(v: int, k1: int, k2: int) -> int:
    """``v`` after its leak by shifts k1 and k2, both of the old value; 0 is no leak."""
    left = v
    if k1 > 0:
        left -= v >> k1
    if k2 > 0:
        left -= v >> k2
    return left


@njit(cache=True)
def update(
    acc: I32,
    shift: int,
    v: I32,
    synaptic: I32,
    threshold: I32,
    reset: I32,
    bias: I32,
    payload_shift: I32,
    how: I64,
    out: I32,
    traced: I32,
) -> tuple[int, int, int]:
    """Run ``out.shape[0]`` steps; return (spikes, ties, clamps), 64 bits.

    ``acc`` (steps or 1, samples, neurons): accumulated input, one frame repeated when it is constant;
    ``v`` and ``synaptic`` (samples, neurons): state, changed in place (``synaptic`` unused without CUBA);
    ``threshold``, ``reset``, ``bias``, ``payload_shift`` (neurons); ``how`` (11): k1, k2, CUBA, its k1, k2,
    whether the new current drives, fire, reset, v_min, v_max, largest payload; ``out`` (steps, samples,
    neurons): payloads; ``traced`` (steps or 0, samples, neurons): stored membranes.
    """
    k1, k2, cuba, s1, s2, new, fire, rule, lowest, highest, top = how
    steps, samples, neurons = out.shape
    spikes = 0
    ties = 0
    clamps = 0
    for step in range(steps):
        frame = step if acc.shape[0] > 1 else 0
        for sample in range(samples):
            for n in range(neurons):
                drive = _current(acc[frame, sample, n], shift)
                if cuba:
                    old = int(synaptic[sample, n])
                    charged = _decay(old, s1, s2) + drive
                    synaptic[sample, n] = min(max(charged, lowest), highest)
                    drive = charged if new else old
                u = _decay(int(v[sample, n]), k1, k2) + drive + bias[n]
                payload = 0
                if fire != SILENT and u >= threshold[n]:
                    ties += u == threshold[n]
                    spikes += 1
                    payload = 1
                    if fire == GRADED:
                        payload = min(top, u >> payload_shift[n])
                    if rule == VALUE:
                        u = int(reset[n])
                    elif rule == SUBTRACT and fire == GRADED:
                        u -= payload << payload_shift[n]
                    elif rule == SUBTRACT:
                        u -= reset[n]
                kept = min(max(u, lowest), highest)
                clamps += kept != u
                v[sample, n] = kept
                out[step, sample, n] = payload
                if traced.shape[0] > 0:
                    traced[step, sample, n] = kept
    return spikes, ties, clamps
