"""A program run sample by sample by the fused kernel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from runtime.fused.forms import Form
from runtime.fused.plan import make_plan
from runtime.kernels.fused import tables as kernel
from runtime.kernels.fused.driver import compiled
from runtime.prepare import Neurons
from runtime.program import Program
from runtime.readout import after_block, before_first_step
from runtime.tally import Tally

I32 = NDArray[np.int32]
BLOCK_EVENTS = 1 << 21
"""Room for the events of one block: what bounds the memory of a long sample."""
ROWS_AT_ONCE = 1 << 15


class Fused:
    """Buffers and tables of one program; holds nothing between samples but memory."""

    def __init__(self, program: Program, neurons: Mapping[int, Neurons]) -> None:
        self.program = program
        self.plan = plan = make_plan(program, neurons)
        self.neurons = {number: self._executed(group) for number, group in neurons.items()}
        """The neurons with what their executed forms read, for counting bytes."""
        self.layered = all(p.pre < p.post for p in program.projections)
        self.order = plan.maps[program.output].canonical
        self._rank = np.argsort(plan.maps[0].canonical).astype(np.int32)
        self._steps = 0
        self._acc = np.zeros(plan.accumulators, np.int32)
        self._v = np.empty(plan.start.size, np.int32)
        self._rest = np.zeros(plan.rest, np.int32)
        self._spikes = np.zeros(plan.spikes, np.uint8)
        self._net = (
            plan.units,
            plan.flows,
            plan.gates,
            plan.how,
            plan.tables,
            plan.parameters,
            plan.cells,
            plan.fans,
        )
        self._kernel = compiled()

    @property
    def bytes(self) -> int:
        """What the synapses take in the forms that run."""
        return self.plan.bytes

    def run(self, coded: I32, tally: Tally) -> NDArray[np.int64]:
        """Scores (outputs,) of one sample ``coded`` (steps, inputs), or (1, inputs) ``steps`` times."""
        steps = len(coded)
        plan, program = self.plan, self.program
        block = self._room(steps)
        self._v[:] = plan.start
        if plan.rest:
            self._acc.fill(0)
        flows = np.zeros((len(plan.flows), kernel.TALLY_FIELDS), np.int64)
        firing = np.zeros((len(program.populations), kernel.FIRING_FIELDS), np.int64)
        outputs = self.order.size
        scores = before_first_step(program.readout, 1, outputs)
        state = (self._acc, self._v, self._rest, self._spikes, self._index, self._value, self._found)
        for begin in range(0, steps, block):
            part = coded[begin : begin + block]
            seen = (np.empty((len(part), outputs), np.int32), np.empty((len(part), outputs), np.int32))
            coded_part = _writable(part)
            net = (*self._net[:3], self._lists, *self._net[3:])
            counts = (flows, firing)
            self._kernel(self.layered, net, state, self._sorting, coded_part, self._rank, begin, counts, seen)
            scores = after_block(program.readout, scores, seen[0][:, None], seen[1][:, None])
        self._note(flows, firing, steps, tally)
        found = np.empty(outputs, np.int64)
        found[self.order] = scores[0]
        return found

    def _room(self, steps: int) -> int:
        """Steps of a block; makes the event lists for it."""
        sizes = [shape.neurons + 1 for shape in self.plan.maps]
        block = min(steps, max(1, BLOCK_EVENTS // sum(sizes)))
        if block == self._steps:
            return block
        delays = [
            max((p.delay for p in self.program.projections if p.pre == number), default=0)
            for number in range(len(sizes))
        ]
        lists = np.zeros((len(sizes), kernel.EVENT_FIELDS), np.int64)
        total = 0
        for number, (size, delay) in enumerate(zip(sizes, delays, strict=True)):
            held = block if self.layered or number == 0 else 1
            lists[number] = (total, size, held + delay)
            total += size * (held + delay)
        self._lists, self._steps = lists, block
        self._index = np.empty(total, np.int32)
        self._value = np.empty(int(lists[0, kernel.ROOM] * lists[0, kernel.DEPTH]), np.int32)
        self._found = np.zeros((len(sizes), int(lists[:, kernel.DEPTH].max())), np.int64)
        most = max(
            *(size * self.plan.planes for size in sizes),
            self.plan.rows,
            ROWS_AT_ONCE if self.plan.outputs else 0,
        )
        self._sorting = (
            np.empty(most, np.int32),
            np.empty(most, np.int32),
            np.empty(self.plan.slots + 2, np.int32),
            np.empty(self.plan.places + 1, np.int32),
            np.empty(max(1, self.plan.outputs * self.plan.planes), np.int32),
            np.empty(max(1, self.plan.outputs * self.plan.planes), np.int32),
        )
        return block

    def _note(self, flows: NDArray[np.int64], firing: NDArray[np.int64], steps: int, tally: Tally) -> None:
        plan = self.plan
        for inflow, form, found in zip(plan.inflows, plan.forms, flows.tolist(), strict=True):
            flow = tally.flow(inflow.number)
            flow.executed += found[kernel.EXECUTED]
            flow.kept += found[kernel.KEPT]
            flow.full += found[kernel.FULL]
            flow.events += found[kernel.HEARD]
            flow.frames += found[kernel.FRAMES]
            flow.decodes += _reads(form, found[kernel.EXECUTED])
        for number, found in enumerate(firing.tolist()):
            group = self.neurons.get(number)
            if group is None and number not in plan.windows:
                continue
            heard = tally.firing(number)
            heard.spikes += found[kernel.FIRED]
            heard.ties += found[kernel.TIES]
            heard.clamps += found[kernel.CLAMPS]
            if group is None:
                heard.compares += plan.windows[number] * steps
                continue
            size = plan.maps[number].neurons * steps
            heard.updates += size
            heard.compares += size if group.fires else 0
        tally.steps += steps

    def _executed(self, group: Neurons) -> Neurons:
        forms = {inflow.number: form for inflow, form in zip(self.plan.inflows, self.plan.forms, strict=True)}
        inflows = tuple(
            replace(
                inflow,
                add_bytes=1.0,
                decode_bytes=float(forms[inflow.number].offsets.itemsize),
                event_bytes=2 * forms[inflow.number].pointers.itemsize,
            )
            for inflow in group.inflows
        )
        return replace(group, inflows=inflows)


def _reads(form: Form, additions: int) -> int:
    """Indices read for so many additions: each entry has one."""
    return 0 if form.kind == kernel.SUMS else additions // form.span


def _writable(part: I32) -> I32:
    """The same, or a copy: the kernel is compiled for contiguous arrays that may be written to."""
    return part if part.flags.c_contiguous and part.flags.writeable else part.copy()
