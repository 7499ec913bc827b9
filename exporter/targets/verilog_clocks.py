"""Clocks of an inference, exactly: what the core takes when its streams never wait.

For each step and layer, of n events whose lists hold L_1 ... L_n synapses:

    events   1 if n = 0, else 3 + sum of max(2, L_i) over all but the last + max(1, L_n)
    drain    3
    fire     one a neuron, and 3 to settle

and 2 for each score at the end.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from exporter.targets.verilog import Core
from runtime.trace import Trace

DRAIN, SETTLE, SCORE, FETCH = 3, 3, 2, 3
LEAST_LIST = 2

Counts = NDArray[np.int64]


def clocks(core: Core, coded: NDArray[np.integer], trace: Trace) -> Counts:
    """Clocks of each sample (samples,) from its coded input (steps, samples, *shape) and its trace."""
    steps, samples = coded.shape[:2]
    events: NDArray[np.integer] = coded.reshape(steps, samples, -1)
    found = np.full(samples, SCORE * core.stages[-1].neurons, np.int64)
    for layer in core.stages:
        lengths = np.count_nonzero(layer.weights, axis=1)
        found += steps * (DRAIN + layer.neurons + SETTLE)
        for step in range(steps):
            for sample in range(samples):
                found[sample] += _pass(lengths[np.flatnonzero(events[step, sample])])
        events = trace.spikes[layer.name]
    return found


def synops(core: Core, coded: NDArray[np.integer], trace: Trace) -> Counts:
    """Synaptic operations of each sample (samples,)."""
    steps, samples = coded.shape[:2]
    events: NDArray[np.integer] = coded.reshape(steps, samples, -1)
    found = np.zeros(samples, np.int64)
    for layer in core.stages:
        lengths = np.count_nonzero(layer.weights, axis=1).astype(np.int64)
        found += ((events != 0).astype(np.int64) @ lengths).sum(axis=0)
        events = trace.spikes[layer.name]
    return found


def _pass(lists: Counts) -> int:
    if lists.size == 0:
        return 1
    return FETCH + int(np.maximum(LEAST_LIST, lists[:-1]).sum()) + max(1, int(lists[-1]))
