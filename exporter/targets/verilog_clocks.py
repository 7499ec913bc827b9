"""Clocks of an inference, exactly: what the core takes when its streams never wait.

For each step and segment (what a layer hears from one population), of n events whose lists hold
L_1 ... L_n synapses:

    events   1 if n = 0, else F + sum of max(F - 1, L_i) over all but the last + max(1, L_n)
    drain    3

where F, the clocks to fetch a list, is 3, or 4 in a core with sources that share lists (convolution,
pooling); for each step and layer

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
from exporter.targets.verilog_segments import Segment
from runtime.geometry import window_cells
from runtime.program import GatePopulation
from runtime.trace import Trace

DRAIN, SETTLE, SCORE = 3, 4, 2

Counts = NDArray[np.int64]
Spikes = NDArray[np.integer]


def fetch(core: Core) -> int:
    """Clocks from an event to the first synapse of its list."""
    return 3 + core.sizes["MAPPED"]


def clocks(core: Core, coded: Spikes, trace: Trace) -> Counts:
    """Clocks of each sample (samples,) from its coded input (steps, samples, *shape) and its trace."""
    steps, samples = coded.shape[:2]
    passes = sum(layer.neurons + SETTLE + DRAIN * len(layer.segments) for layer in core.stages)
    found = np.full(samples, SCORE * core.sizes["OUTPUTS"] + steps * passes, np.int64)
    for segment, heard in _heard(core, coded, trace):
        for sample in range(samples):
            found[sample] += sum(_events(segment.lengths[sources], fetch(core)) for sources in heard[sample])
    return found


def synops(core: Core, coded: Spikes, trace: Trace) -> Counts:
    """Synaptic operations of each sample (samples,); of direct input one a digit and weight."""
    found = np.zeros(coded.shape[1], np.int64)
    for segment, heard in _heard(core, coded, trace):
        if segment.counted:
            for sample, by_step in enumerate(heard):
                found[sample] += sum(int(segment.reached[sources].sum()) for sources in by_step)
    return found


def _heard(core: Core, coded: Spikes, trace: Trace) -> Iterator[tuple[Segment, list[list[Counts]]]]:
    """Each segment, and for each sample and step the sources whose lists it runs."""
    steps, samples = coded.shape[:2]
    frames: Spikes = coded.reshape(steps, samples, -1)
    fired = _fired(core, frames, trace)
    for number, layer in enumerate(core.stages):
        for segment in layer.segments:
            if segment.source < 0:
                yield segment, [[_input(core, frames, s, t) for t in range(steps)] for s in range(samples)]
                continue
            spikes = fired[segment.source]
            if segment.source >= number:
                spikes = np.concatenate([np.zeros_like(spikes[:1]), spikes[:-1]])
            yield segment, [[np.flatnonzero(spikes[t, s]) for t in range(steps)] for s in range(samples)]


def _input(core: Core, frames: Spikes, sample: int, step: int) -> Counts:
    if core.sizes["HELD"] and step > 0:
        return np.zeros(0, np.int64)
    return lists(core, frames[step, sample])


def _fired(core: Core, frames: Spikes, trace: Trace) -> list[Spikes]:
    """Spikes of every stage, (steps, samples, neurons); those of gates follow from what they hear."""
    found: list[Spikes] = []
    for population in core.program.populations[1:]:
        if isinstance(population, GatePopulation):
            heard = frames if population.source == 0 else found[population.source - 1]
            cells = window_cells(core.program.populations[population.source].shape, population.window)
            inside = np.where(cells >= 0, heard[..., cells], 0)
            found.append(inside.max(axis=-1))
        else:
            found.append(trace.spikes[population.name])
    return found


def _events(lists: Counts, fetching: int) -> int:
    if lists.size == 0:
        return 1
    return fetching + int(np.maximum(fetching - 1, lists[:-1]).sum()) + max(1, int(lists[-1]))
