"""A program run sample by sample, all steps of a layer at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from runtime.geometry import window_cells
from runtime.kernels.lanes.driver import compiled
from runtime.lanes.plan import Flow, make_plan
from runtime.prepare import Inflow, Neurons
from runtime.program import GatePopulation, Program, n_neurons
from runtime.tally import Tally

ENTRY_BYTES = 3
"""Of a weight and the number of its mask row."""
I64 = NDArray[np.int64]


@dataclass(frozen=True)
class Ran:
    """What samples left: scores (samples, outputs); of every neuron how often it spiked; of every
    population its ties and clamps."""

    scores: I64
    spikes: NDArray[np.integer]
    marks: I64


class Lanes:
    """Buffers and tables of one program; holds nothing between samples but memory."""

    def __init__(self, program: Program, neurons: Mapping[int, Neurons]) -> None:
        self.program = program
        self.plan = plan = make_plan(program, neurons)
        self.steps = program.input.n_steps
        self.neurons = {number: self._executed(group) for number, group in neurons.items()}
        """The neurons with what their executed forms read, for counting bytes."""
        self._kernel = compiled()
        self._spikes = plan.memory[plan.hists[0] : plan.hists[0] + plan.hist_size]
        self._outputs = n_neurons(program.populations[program.output])
        self._inputs = n_neurons(program.populations[0])

    @property
    def bytes(self) -> int:
        """What the synapses take in the forms that run."""
        return self.plan.bytes

    def run(self, frames: NDArray[np.integer]) -> Ran | None:
        """Samples ``frames`` (steps, samples, inputs); None when an input is neither 0 nor 1."""
        steps, samples, _ = frames.shape
        plan = self.plan
        scores = np.empty((samples, self._outputs), np.int64)
        marks = np.zeros((len(self.program.populations), 2), np.int64)
        spikes: NDArray[np.integer] | None = None
        for sample in range(samples):
            frame = _bytes(frames[:, sample])
            item = frame.size // (steps * self._inputs)
            if self._kernel(plan.ops, plan.rules, plan.memory, item, frame, marks, scores[sample]):
                return None
            if samples == 1:
                spikes = self._spikes.copy()
            elif spikes is None:
                spikes = self._spikes.astype(np.int64)
            else:
                spikes += self._spikes
        marks[0] = 0
        assert spikes is not None
        return Ran(scores, spikes, marks)

    def tally(self, ran: Ran) -> Tally:
        """The counts of a run, made when they are asked for."""
        samples, plan = len(ran.scores), self.plan
        tally = Tally(samples=samples, steps=samples * self.steps)
        for flow in plan.flows:
            self._note_flow(flow, ran, tally)
        for number, population in enumerate(self.program.populations):
            if number == 0:
                continue
            heard, group, size = tally.firing(number), self.neurons.get(number), plan.grids[number]
            heard.spikes = int(self._of(ran, number).sum(dtype=np.int64))
            heard.ties, heard.clamps = ran.marks[number].tolist()
            updates = size.maps * size.places * tally.steps
            if isinstance(population, GatePopulation):
                before = self.program.populations[population.source].shape
                cells = window_cells((1, before[1], before[2]), population.window)
                heard.compares = int((cells >= 0).sum()) * size.maps * tally.steps
            elif group is not None:
                heard.updates = updates
                heard.compares = updates if group.fires else 0
        return tally

    def _of(self, ran: Ran, number: int, at: int | None = None) -> NDArray[np.integer]:
        """Spikes of a population's neurons, in canonical order."""
        grid, first = self.plan.grids[number], self.plan.hists[number] if at is None else at
        start = first - self.plan.hists[0]
        return grid.gathered(ran.spikes[start : start + grid.neurons])

    def _note_flow(self, flow: Flow, ran: Ran, tally: Tally) -> None:
        noted, inflow, samples = tally.flow(flow.inflow.number), flow.inflow, len(ran.scores)
        heard = self._of(ran, inflow.pre, flow.hist).astype(np.int64)
        noted.events = int(heard.sum())
        noted.kept, noted.full = int(heard @ inflow.surviving), int(heard @ inflow.possible)
        noted.frames = self.steps * samples
        if flow.entries is None:
            noted.executed = noted.events * flow.adds
        else:
            noted.executed = flow.adds * samples
            noted.decodes = flow.reads * samples

    def _executed(self, group: Neurons) -> Neurons:
        flows = {flow.inflow.number: flow for flow in self.plan.flows}
        return replace(
            group, inflows=tuple(_bytes_of(inflow, flows[inflow.number]) for inflow in group.inflows)
        )


def _bytes_of(inflow: Inflow, flow: Flow) -> Inflow:
    """Bytes read for an addition, an index, an event: rows by event, all else by entry."""
    if flow.entries is None:
        return replace(inflow, add_bytes=1.0, decode_bytes=0.0, event_bytes=0)
    return replace(inflow, add_bytes=0.0, decode_bytes=float(ENTRY_BYTES), event_bytes=0)


def _bytes(frame: NDArray[np.integer]) -> NDArray[np.uint8]:
    """The bytes of a sample as one writable row; int32 unless a byte each."""
    held = frame if frame.itemsize == 1 else frame.astype(np.int32, copy=False)
    if not (held.flags.c_contiguous and held.flags.writeable):
        held = held.copy()
    return held.reshape(-1).view(np.uint8)
