"""What a bounded event queue loses: the count that a target with bounds must report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from runtime.errors import ConfigError
from runtime.trace import Trace


@dataclass(frozen=True)
class Overflow:
    """Of one population over a run: steps in which its queue overflowed, and events dropped there.

    ``largest`` is the most events of any step: a bound of that many loses nothing.
    """

    bound: int
    largest: int
    steps: int
    events: int


def overflow(trace: Trace, bounds: Mapping[str, int]) -> dict[str, Overflow]:
    """Counts for a run *without* bounds, by population.

    All counts 0: a bounded run of the same samples is the same, spike for spike. Otherwise it departs from
    this one at the first step that overflows, and the counts are those of this run only.
    """
    found = {}
    for name, bound in bounds.items():
        if name not in trace.spikes:
            raise ConfigError(f"event bound: found {name!r}, expected one of {', '.join(trace.spikes)}")
        spikes = trace.spikes[name]
        counts = np.count_nonzero(spikes.reshape(*spikes.shape[:2], -1), axis=2)
        lost = np.maximum(counts - bound, 0)
        largest = int(counts.max(initial=0))
        found[name] = Overflow(bound, largest, int(np.count_nonzero(lost)), int(lost.sum()))
    return found
