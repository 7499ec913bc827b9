"""The commonest neuron, binary or silent and without synaptic current, as a loop that vectorizes.

The same step as ``neuron.update``, free of branches and in 32-bit lanes: every intermediate is cast back to
int32, which ``runtime.check`` has proved to lose nothing, and shifts are an intrinsic, because numba shifts
in 64 bits, for which AVX2 has no arithmetic shift. Measured on 80,000 neurons x 8 steps, one AVX2 core:
0.7 ns a neuron against 5 ns in ``neuron.update``.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import config, njit, types
from numba.extending import intrinsic
from numpy.typing import NDArray

I32 = NDArray[np.int32]
I64 = NDArray[np.int64]


def _shift_right_32(_context: Any, _x: Any, _k: Any) -> tuple[Any, Callable[..., Any]]:
    """``x >> k`` in 32 bits, floored; 0 <= k < 32."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.ashr(arguments[0], arguments[1])

    return types.int32(types.int32, types.int32), generate


def _shift_left_32(_context: Any, _x: Any, _k: Any) -> tuple[Any, Callable[..., Any]]:
    """``x << k`` in 32 bits; 0 <= k < 32."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.shl(arguments[0], arguments[1])

    return types.int32(types.int32, types.int32), generate


def _plain_right(x: Any, k: Any) -> Any:
    return x >> k


def _plain_left(x: Any, k: Any) -> Any:
    return x << k


_right: Any = _plain_right if getattr(config, "DISABLE_JIT", 0) else intrinsic(_shift_right_32)
_left: Any = _plain_left if getattr(config, "DISABLE_JIT", 0) else intrinsic(_shift_left_32)


@njit(cache=True)
def update(
    acc: I32, v: I32, threshold: I32, amount: I32, bias: I32, how: I64, out: I32, traced: I32
) -> tuple[int, int, int]:
    """Run ``out.shape[0]`` steps; return (spikes, ties, clamps).

    Arrays as in ``neuron.update``; ``amount`` (neurons) is added to what a spike leaves of the membrane.
    ``how`` (11): leak shift k1 and its mask (-1, or 0 for no leak), k2 and its mask, left shift, half and
    right shift of the current, mask of what a spike leaves (-1, or 0 for a reset to a value), v_min, v_max,
    1 if the population fires.
    """
    steps, samples, _ = out.shape
    spikes = 0
    ties = 0
    clamps = 0
    for step in range(steps):
        frame = step if acc.shape[0] > 1 else 0
        for sample in range(samples):
            now = _step(acc[frame, sample], v[sample], threshold, amount, bias, how, out[step, sample])
            spikes += now[0]
            ties += now[1]
            clamps += now[2]
            if traced.shape[0] > 0:
                traced[step, sample] = v[sample]
    return spikes, ties, clamps


@njit(cache=True)
def _step(
    acc: I32, v: I32, threshold: I32, amount: I32, bias: I32, how: I64, out: I32
) -> tuple[int, int, int]:
    """One step of one sample, all arrays (neurons)."""
    k1, m1, k2, m2 = np.int32(how[0]), np.int32(how[1]), np.int32(how[2]), np.int32(how[3])
    left, half, right = np.int32(how[4]), np.int32(how[5]), np.int32(how[6])
    keep, lowest, highest, fires = np.int32(how[7]), np.int32(how[8]), np.int32(how[9]), np.int32(how[10])
    spikes = np.int32(0)
    ties = np.int32(0)
    clamps = np.int32(0)
    for n in range(out.size):
        old = v[n]
        drive = _right(np.int32(_left(acc[n], left) + half), right)
        leak = np.int32((_right(old, k1) & m1) + (_right(old, k2) & m2))
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
    return int(spikes), int(ties), int(clamps)
