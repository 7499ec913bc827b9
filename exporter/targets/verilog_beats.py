"""The input stream of a core: which beats carry a step of coded input, and which lists they start.

A spike is its input's index. A value of direct input is one beat for each of its signed digits,
``{less, shift, input}``, of which no two are neighbors (Reitwiesner 1960): fewer than its bits.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from exporter.targets.verilog import Core

Whole = NDArray[np.int64]


def beats(core: Core, frames: NDArray[np.integer]) -> list[int]:
    """All beats of one sample, coded (steps, *shape): events, and a closing beat where a step is heard."""
    end = 1 << core.sizes["BEAT_BITS"]
    heard = frames[:1] if core.sizes["HELD"] else frames
    return [beat for frame in heard for beat in (*_events(core, frame.ravel()).tolist(), end)]


def lists(core: Core, frame: NDArray[np.integer]) -> Whole:
    """The sources whose lists a step of flat input runs, in order: one as often as it has digits."""
    return _events(core, frame) & ((1 << core.sizes["INPUT_BITS"]) - 1)


def _events(core: Core, frame: NDArray[np.integer]) -> Whole:
    if not core.direct:
        return np.flatnonzero(frame).astype(np.int64)
    values = frame.astype(np.int64)
    size = np.abs(values)
    ones, minus = 3 * size & ~size, size & ~(3 * size)
    place = np.arange(core.program.input.bits + 1)
    some = (ones | minus)[:, None] >> (place + 1) & 1
    less = (minus[:, None] >> (place + 1) & 1) ^ (values < 0)[:, None]
    source, shift = np.nonzero(some)
    shifts = core.sizes["DIGIT_BITS"] - 1
    found: Whole = (less[source, shift] << shifts | shift) << core.sizes["INPUT_BITS"] | source
    return found
