"""A program run sample by sample, all steps of a layer at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from runtime.geometry import window_cells
from runtime.kernels.lanes.driver import compiled
from runtime.lanes.plan import make_plan
from runtime.lanes.record import Flow
from runtime.prepare import Inflow, Neurons
from runtime.program import GatePopulation, Program
from runtime.tally import Tally

ENTRY_BYTES = 3
"""Of a weight and the number of its mask row."""
ITEMS = {"b": 1, "B": 1, "?": 1, "i": 4}
I64 = NDArray[np.int64]
BYTE = np.dtype(np.uint8)


class Ran:
    """What samples left. One keeps its record and looks into it when asked: each small array costs a tenth of
    a small sample."""

    def __init__(self, lanes: Lanes, record: NDArray[np.uint8]) -> None:
        self._lanes, self._record = lanes, record

    @property
    def samples(self) -> int:
        return 1

    @property
    def scores(self) -> I64:
        """(samples, outputs)."""
        return self._record[: self._lanes.marks_at].view(np.int64)[None]

    @property
    def marks(self) -> I64:
        """Ties and clamps of every population: (populations, 2)."""
        record = self._lanes.plan.record
        return (
            self._record[record.marks : record.marks + 16 * record.populations].view(np.int64).reshape(-1, 2)
        )

    def spikes(self, at: int, size: int) -> NDArray[np.integer]:
        """How often each of ``size`` neurons spiked whose record starts ``at``."""
        return self._record[at : at + size]

    def tally(self) -> Tally:
        """The counts."""
        return self._lanes.tally(self)


class Batch(Ran):
    """Several samples: scores one by one, the rest summed."""

    def __init__(self, lanes: Lanes, samples: int) -> None:
        record = lanes.plan.record
        super().__init__(lanes, np.zeros(0, np.uint8))
        self._scores = np.empty((samples, record.outputs), np.int64)
        self._marks = np.zeros((record.populations, 2), np.int64)
        self._spikes = np.zeros(record.neurons, np.int64)

    def take(self, sample: int, one: Ran) -> None:
        record = self._lanes.plan.record
        self._scores[sample] = one.scores[0]
        self._marks += one.marks
        self._spikes += one.spikes(record.spikes, record.neurons)

    @property
    def samples(self) -> int:
        return len(self._scores)

    @property
    def scores(self) -> I64:
        return self._scores

    @property
    def marks(self) -> I64:
        return self._marks

    def spikes(self, at: int, size: int) -> NDArray[np.integer]:
        first = at - self._lanes.plan.record.spikes
        return self._spikes[first : first + size]


class Lanes:
    """Buffers and tables of one program; holds nothing between samples but memory."""

    def __init__(self, program: Program, neurons: Mapping[int, Neurons]) -> None:
        self.program = program
        self.plan = plan = make_plan(program, neurons)
        self.steps = program.input.n_steps
        self.neurons = {number: self._executed(group) for number, group in neurons.items()}
        """The neurons with what their executed forms read, for counting bytes."""
        self.marks_at = plan.record.marks
        self._shape = (self.steps, 1, *program.input.shape)
        self._kernel, self._ops, self._memory = compiled(), plan.ops, plan.memory
        self._record = plan.memory[plan.record_at : plan.record_at + plan.record.size]

    @property
    def bytes(self) -> int:
        """What the synapses take in the forms that run."""
        return self.plan.bytes

    def run(self, coded: NDArray[np.integer]) -> Ran | None:
        """Samples ``coded`` (steps, samples, *input shape); None where this was not laid out for them:
        another shape or type, or an input that is neither 0 nor 1."""
        item = ITEMS.get(coded.dtype.char)
        if item is None or not coded.dtype.isnative:
            return None
        if coded.shape == self._shape:
            return self._one(coded, item)
        if coded.ndim != len(self._shape) or coded.shape[2:] != self._shape[2:] or len(coded) != self.steps:
            return None
        if coded.shape[1] < 1:
            return None
        batch = Batch(self, coded.shape[1])
        for sample in range(coded.shape[1]):
            one = self._one(coded[:, sample], item, copies=False)
            if one is None:
                return None
            batch.take(sample, one)
        return batch

    def _one(self, coded: NDArray[np.integer], item: int, *, copies: bool = True) -> Ran | None:
        frames = coded.ravel().view(BYTE)
        if not frames.flags.writeable:
            frames = frames.copy()
        if not self._kernel(self._ops, self._memory, item, frames):
            return None
        return Ran(self, self._record.copy() if copies else self._record)

    def tally(self, ran: Ran) -> Tally:
        """The counts of a run, made when they are asked for."""
        samples, plan, marks = ran.samples, self.plan, ran.marks
        tally = Tally(samples=samples, steps=samples * self.steps)
        for flow in plan.flows:
            self._note_flow(flow, ran, tally)
        for number, population in enumerate(self.program.populations):
            if number == 0:
                continue
            heard, group, size = tally.firing(number), self.neurons.get(number), plan.grids[number]
            heard.spikes = int(self._of(ran, number).sum(dtype=np.int64))
            heard.ties, heard.clamps = marks[number].tolist()
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
        grid = self.plan.grids[number]
        return grid.gathered(ran.spikes(self.plan.hists[number] if at is None else at, grid.neurons))

    def _note_flow(self, flow: Flow, ran: Ran, tally: Tally) -> None:
        noted, inflow, samples = tally.flow(flow.inflow.number), flow.inflow, ran.samples
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
