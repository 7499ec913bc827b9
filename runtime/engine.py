"""``Engine``: runs a program, whole samples at a time or step by step."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from runtime.check import check_program
from runtime.cost import Counts, table_bytes
from runtime.errors import DataError
from runtime.fused import Form, Fused, unsupported
from runtime.lanes import Lanes, TooWideError
from runtime.lanes import unsupported as not_by_lanes
from runtime.objective import Execution, Objective, execution_form
from runtime.program import NeuronPopulation, Program, n_neurons
from runtime.readout import after_block, before_first_step
from runtime.recording import Recording
from runtime.spec import Readout
from runtime.state import State
from runtime.step import Network
from runtime.tally import Tally, counts
from runtime.trace import Trace

__all__ = ["Engine", "Objective", "Result"]

BLOCK_ITEMS = 1 << 18
"""Neuron-steps of one block: what of a run is in work at once, kept near the size of a cache."""
MAX_SAMPLES = 64


class Ran(Protocol):
    """What a run leaves: its scores, and its counts for who asks."""

    @property
    def scores(self) -> NDArray[np.int64]: ...

    def tally(self) -> Tally: ...


@dataclass(frozen=True)
class Stepped:
    """What a run step by step leaves."""

    scores: NDArray[np.int64]
    counted: Tally

    def tally(self) -> Tally:
        return self.counted


class Result:
    """Of a whole-sample run. Each part is made when asked for: it costs a tenth of a small sample.
    ``trace``: if it was asked for."""

    def __init__(self, ran: Ran, network: Network | Fused | Lanes, trace: Trace | None = None) -> None:
        self._ran, self._network, self.trace = ran, network, trace

    @cached_property
    def scores(self) -> NDArray[np.int64]:
        """Of every sample: (samples, outputs)."""
        return self._ran.scores

    @cached_property
    def predictions(self) -> NDArray[np.int64]:
        """The lowest index among the maxima: (samples,)."""
        best: NDArray[np.int64] = self.scores.argmax(axis=1)
        return best

    @cached_property
    def counts(self) -> Counts:
        """Counts over all samples."""
        return counts(self._ran.tally(), self._network.program, self._network.neurons)


class Engine:
    """Runs ``program`` after checking it (``ModelError`` when a kernel could not run it safely).

    ``run`` and the streaming ``step`` do not disturb each other: each has its own state.
    """

    def __init__(self, program: Program, objective: Objective = Objective.FLASH) -> None:
        check_program(program)
        self.program = program
        self.objective = objective
        self._fuses = fuses = objective is Objective.SPEED and unsupported(program) is None
        executed = execution_form(program, Objective.FLASH if fuses else objective)
        self.stored_bytes = sum(table_bytes(table) for table in program.tables)
        """Bytes of the tables as a file holds them."""
        self.execution_bytes = sum(table_bytes(table) for table in executed.tables)
        """Bytes of the tables that run, address tables aside; ``stored_bytes`` under ``Objective.FLASH``."""
        self._network = Network(executed)
        self._fused: Fused | None = None
        self.lanes: Lanes | None = None
        """What runs whole samples of the program's own number of steps, where all steps go at once."""
        if fuses:
            self.lanes = self._by_lanes()
            self.execution_bytes = self.lanes.bytes if self.lanes is not None else self.fused.bytes
        self._neurons = sum(n_neurons(population) for population in program.populations)
        self._whole: State | None = None
        self._stream: State | None = None
        self._scores = np.zeros((1, 0), np.int64)
        self._first: NDArray[np.int32] | None = None
        self._tally = Tally()
        self.reset()

    def run(self, coded: NDArray[np.integer], *, trace: bool = False) -> Result:
        """Run whole samples: ``coded`` (steps, samples, *input shape) integers, see ``runtime.coding``."""
        if self.lanes is not None and not trace:
            ran = self.lanes.run(np.asarray(coded))
            if ran is not None:
                return Result(ran, self.lanes)
        frames = self._checked(coded)
        if self._fuses and not trace:
            return self._run_fused(self.fused, frames)
        steps, samples = frames.shape[:2]
        block, width = self._block(steps, samples)
        scores = np.empty((samples, n_neurons(self._output)), np.int64)
        keep = Recording(self.program, steps, samples) if trace else None
        tally = Tally(samples=samples)
        for first in range(0, samples, width):
            part = frames[:, first : first + width]
            scores[first : first + width] = self._run_part(part, block, tally, keep, first)
        traced = keep.trace(scores, scores.argmax(axis=1)) if keep else None
        return Result(Stepped(scores, tally), self._network, traced)

    def _by_lanes(self) -> Lanes | None:
        if not_by_lanes(self.program) is not None:
            return None
        try:
            return Lanes(self.program, self._network.neurons)
        except TooWideError:
            return None

    def _run_fused(self, fused: Fused, frames: NDArray[np.int32]) -> Result:
        tally = Tally(samples=frames.shape[1])
        scores = np.empty((frames.shape[1], n_neurons(self._output)), np.int64)
        for sample in range(frames.shape[1]):
            scores[sample] = fused.run(frames[:, sample], tally)
        return Result(Stepped(scores, tally), fused)

    def reset(self) -> None:
        """Start a new streamed sample."""
        if self._stream is None:
            self._stream = State(self._network.program, self._network.neurons, 1, 1)
        self._stream.reset(self._network.neurons)
        self._scores = self._no_scores(1)
        self._first = None

    def step(self, frame: NDArray[np.integer]) -> NDArray[np.int32]:
        """Advance the streamed sample by one ``frame`` of the input's shape; the output's payloads."""
        assert self._stream is not None
        coded = self._checked(np.asarray(frame)[None, None])
        if self._first is None:
            self._first = coded.copy()
            self._tally.samples += 1
        elif self.program.input.constant and not np.array_equal(coded, self._first):
            raise DataError("input frame: found a change within a sample, expected a constant direct input")
        self._network.run(self._stream, coded, self._tally, self._wanted(False))
        self._scores = self._read(self._stream, self._scores)
        output: NDArray[np.int32] = self._stream.block(self.program.output)[0, 0].copy()
        return output.reshape(self._output.shape)

    @property
    def fused(self) -> Fused:
        """What runs whole samples of events, made when first needed."""
        if self._fused is None:
            self._fused = Fused(self.program, self._network.neurons)
        return self._fused

    @property
    def execution(self) -> tuple[Execution, ...] | None:
        """How each projection runs, in the program's order; None where the generic engine runs them all, see
        ``runtime.fused.unsupported``."""
        if not self._fuses:
            return None
        if self.lanes is not None:
            return tuple(Execution(flow.name, flow.bytes) for flow in self.lanes.plan.flows)
        return tuple(Execution(form.name, form.bytes) for form in self._fused_forms())

    def _fused_forms(self) -> tuple[Form, ...]:
        plan = self.fused.plan
        numbered = zip((inflow.number for inflow in plan.inflows), plan.forms, strict=True)
        return tuple(form for _, form in sorted(numbered, key=lambda one: one[0]))

    @property
    def scores(self) -> NDArray[np.int64]:
        """Scores (outputs,) of the streamed sample so far, by the program's readout."""
        scores: NDArray[np.int64] = self._scores[0]
        return scores

    @property
    def counts(self) -> Counts:
        """Counts of all streamed steps since the engine was made."""
        return counts(self._tally, self.program, self._network.neurons)

    def membrane(self, name: str) -> NDArray[np.int32]:
        """Stored membranes of a population after the last streamed step, in its shape."""
        assert self._stream is not None
        for number, population in enumerate(self.program.populations):
            if population.name == name and isinstance(population, NeuronPopulation):
                membranes: NDArray[np.int32] = self._stream.v[number][0].copy()
                return membranes.reshape(population.shape)
        raise DataError(f"population {name!r}: found none with a membrane, expected a population of neurons")

    @property
    def _output(self) -> NeuronPopulation:
        output = self.program.populations[self.program.output]
        assert isinstance(output, NeuronPopulation)
        return output

    def _wanted(self, trace: bool) -> frozenset[int]:
        """Populations whose membranes are kept step by step."""
        if trace:
            return frozenset(self._network.neurons)
        return frozenset() if self.program.readout is Readout.COUNT else frozenset({self.program.output})

    def _checked(self, coded: NDArray[np.integer]) -> NDArray[np.int32]:
        """``coded`` with its trailing axes flattened, once it is known to be what the program is fed."""
        spec, found = self.program.input, np.asarray(coded)
        if found.ndim != len(spec.shape) + 2 or found.shape[2:] != spec.shape or found.shape[0] < 1:
            raise DataError(
                f"coded input: found shape {found.shape}, expected (steps, samples, "
                f"{', '.join(map(str, spec.shape))}) with at least one step"
            )
        if found.dtype.kind not in "iub":
            raise DataError(f"coded input: found {found.dtype}, expected integers")
        repeated = found.strides[0] == 0
        if spec.constant and not repeated and np.any(found[1:] != found[:1]):
            raise DataError("coded input: found a change within a sample, expected a constant direct input")
        seen = found[:1] if repeated or spec.constant else found
        _check_values(seen, -(1 << spec.bits) + 1 if spec.signed else 0, (1 << spec.bits) - 1)
        flat = seen.reshape(len(seen), found.shape[1], math.prod(spec.shape)).astype(np.int32, copy=False)
        return flat if len(flat) == len(found) else np.broadcast_to(flat, (len(found), *flat.shape[1:]))

    def _block(self, steps: int, samples: int) -> tuple[int, int]:
        """Steps of a block and samples side by side."""
        total = self._neurons
        block = min(steps, max(1, BLOCK_ITEMS // total)) if self._network.feedforward else 1
        return block, max(1, min(samples, MAX_SAMPLES, BLOCK_ITEMS // (block * total)))

    def _run_part(
        self, part: NDArray[np.int32], block: int, tally: Tally, keep: Recording | None, first: int
    ) -> NDArray[np.int64]:
        steps, samples = part.shape[:2]
        scores = self._no_scores(samples)
        state: State | None = None
        for at in range(0, steps, block):
            size = min(block, steps - at)
            state = self._whole_state(samples, size, state)
            self._network.run(state, part[at : at + size], tally, self._wanted(keep is not None))
            scores = self._read(state, scores)
            if keep is not None:
                keep.take(state, at, first)
        return scores

    def _whole_state(self, samples: int, steps: int, before: State | None) -> State:
        """Buffers of this size, at the start of a sample or carried over from the block before."""
        held = self._whole
        if held is None or (held.samples, held.steps) != (samples, steps):
            held = State(self._network.program, self._network.neurons, samples, steps)
        if before is None:
            held.reset(self._network.neurons)
        elif held is not before:
            held.carry(before)
        self._whole = held
        return held

    def _read(self, state: State, scores: NDArray[np.int64]) -> NDArray[np.int64]:
        """The scores after one more block."""
        number = self.program.output
        return after_block(self.program.readout, scores, state.block(number), state.traced[number])

    def _no_scores(self, samples: int) -> NDArray[np.int64]:
        return before_first_step(self.program.readout, samples, n_neurons(self._output))


def _check_values(seen: NDArray[np.integer], lowest: int, highest: int) -> None:
    """Refuse values outside the range. One pass where nothing is negative: as unsigned, those are large."""
    if seen.size == 0 or seen.dtype.kind == "b":
        return
    unsigned = np.dtype(f"u{seen.itemsize}").newbyteorder(seen.dtype.byteorder)
    if lowest == 0 and int(seen.view(unsigned).max()) <= highest:
        return
    if seen.min() < lowest or seen.max() > highest:
        raise DataError(
            f"coded input: found values in {seen.min()}..{seen.max()}, expected {lowest}..{highest}"
        )
