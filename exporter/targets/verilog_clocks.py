"""Clocks of an inference, exactly: what the core takes when its streams never wait.

For each step and layer, of n events whose lists hold L_1 ... L_n synapses:

    events   1 if n = 0, else 3 + sum of max(2, L_i) over all but the last + max(1, L_n)
    drain    3
    fire     one a neuron, and 4 to settle

and 2 for each score at the end. Each signed digit of a value of direct input is an event; of an input that is
the same in every step those of the first only.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from exporter.targets.verilog import Core
from exporter.targets.verilog_beats import lists
from exporter.targets.verilog_layers import Layer
from runtime.trace import Trace

DRAIN, SETTLE, SCORE, FETCH = 3, 4, 2, 3
LEAST_LIST = 2

Counts = NDArray[np.int64]


def clocks(core: Core, coded: NDArray[np.integer], trace: Trace) -> Counts:
    """Clocks of each sample (samples,) from its coded input (steps, samples, *shape) and its trace."""
    steps, samples = coded.shape[:2]
    found = np.full(samples, SCORE * core.stages[-1].neurons, np.int64)
    for layer, heard in _heard(core, coded, trace):
        lengths = np.count_nonzero(layer.weights, axis=1)
        found += steps * (DRAIN + layer.neurons + SETTLE)
        for sample in range(samples):
            found[sample] += sum(_pass(lengths[sources]) for sources in heard[sample])
    return found


def synops(core: Core, coded: NDArray[np.integer], trace: Trace) -> Counts:
    """Synaptic operations of each sample (samples,); of direct input one a digit and weight."""
    found = np.zeros(coded.shape[1], np.int64)
    for layer, heard in _heard(core, coded, trace):
        lengths = np.count_nonzero(layer.weights, axis=1).astype(np.int64)
        for sample, by_step in enumerate(heard):
            found[sample] += sum(int(lengths[sources].sum()) for sources in by_step)
    return found


def _heard(
    core: Core, coded: NDArray[np.integer], trace: Trace
) -> Iterator[tuple[Layer, list[list[Counts]]]]:
    """Each layer, and for each sample and step the sources whose lists it runs."""
    steps, samples = coded.shape[:2]
    frames: NDArray[np.integer] = coded.reshape(steps, samples, -1)
    none = np.zeros(0, np.int64)
    for number, layer in enumerate(core.stages):
        if number == 0:
            silent = [core.sizes["HELD"] and step > 0 for step in range(steps)]
            heard = [
                [none if silent[step] else lists(core, frames[step, sample]) for step in range(steps)]
                for sample in range(samples)
            ]
        else:
            heard = [
                [np.flatnonzero(frames[step, sample]) for step in range(steps)] for sample in range(samples)
            ]
        yield layer, heard
        frames = trace.spikes[layer.name]


def _pass(lists: Counts) -> int:
    if lists.size == 0:
        return 1
    return FETCH + int(np.maximum(LEAST_LIST, lists[:-1]).sum()) + max(1, int(lists[-1]))
