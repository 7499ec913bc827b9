"""One block of steps through the populations in order: gather events, scatter, update, pass on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from runtime.geometry import window_cells
from runtime.kernels import events as event_kernel
from runtime.kernels import lif, neuron
from runtime.kernels import pool as pool_kernel
from runtime.prepare import Inflow, Neurons, prepare_neurons
from runtime.program import GatePopulation, NeuronPopulation, Program
from runtime.scatter import Events
from runtime.state import Ints, State
from runtime.tally import Tally

LOWEST = -(1 << 31)


class Network:
    """A checked program bound to kernels; holds nothing that changes from step to step."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.neurons: dict[int, Neurons] = {}
        self.gates: dict[int, tuple[int, NDArray[np.int32]]] = {}
        for number, population in enumerate(program.populations):
            if isinstance(population, NeuronPopulation):
                self.neurons[number] = prepare_neurons(program, number)
            elif isinstance(population, GatePopulation):
                cells = window_cells(program.populations[population.source].shape, population.window)
                self.gates[number] = (population.source, cells)

    @property
    def feedforward(self) -> bool:
        """Whether a population may run all its steps before the next one starts."""
        return all(projection.pre < projection.post for projection in self.program.projections)

    def run(self, state: State, coded: Ints, tally: Tally, traced: frozenset[int]) -> None:
        """Advance ``state`` by its block: ``coded`` is (steps, samples, inputs), ``traced`` the populations
        whose membranes are kept in ``state.traced``."""
        state.fresh.clear()
        state.block(0)[:] = coded
        for number in range(1, len(self.program.populations)):
            if number in self.gates:
                self._gate(state, number, tally)
            else:
                self._neurons(state, self.neurons[number], tally, number in traced)
        state.advance()
        tally.steps += state.steps * state.samples

    def _gate(self, state: State, number: int, tally: Tally) -> None:
        source, cells = self.gates[number]
        out = state.block(number)
        compares = pool_kernel.window_max(_frames(state.block(source)), 0, cells, _frames(out))
        firing = tally.firing(number)
        firing.compares += compares
        firing.spikes += int(np.count_nonzero(out))

    def _neurons(self, state: State, group: Neurons, tally: Tally, traced: bool) -> None:
        number = group.number
        acc = self._currents(state, group, tally)
        out = state.block(number)
        shape = out.shape if traced else (0, *out.shape[1:])
        membranes = state.buffer(state.traced, number, shape)
        spikes, ties, clamps = _updated(group, state, acc, out, membranes)
        firing = tally.firing(number)
        firing.updates += out.size
        firing.compares += out.size if group.fires else 0
        firing.spikes += spikes
        firing.ties += ties
        firing.clamps += clamps

    def _currents(self, state: State, group: Neurons, tally: Tally) -> Ints:
        """What enters the neurons: (steps or 1, samples, neurons); one frame where it never changes."""
        number, samples = group.number, state.samples
        fixed = [inflow for inflow in group.inflows if inflow.constant]
        moving = [inflow for inflow in group.inflows if not inflow.constant]
        if fixed:
            constant = state.buffer(state.constant, number, (1, samples, group.currents))
            if not state.started:
                constant.fill(0)
                self._collect(state, group, fixed, constant, tally)
            if not moving:
                return self._pooled(state, group, constant)
        current = state.buffer(state.current, number, (state.steps, samples, group.currents))
        current[:] = constant if fixed else 0
        self._collect(state, group, moving, current, tally)
        return self._pooled(state, group, current)

    def _collect(
        self, state: State, group: Neurons, inflows: list[Inflow], current: Ints, tally: Tally
    ) -> None:
        """Scatter every inflow's events into ``current``."""
        for inflow in inflows:
            found = self._events(state, inflow)
            into = current
            if inflow.rounding:
                into = state.buffer(state.rounded, group.number, current.shape)
                into.fill(0)
            added, decoded = inflow.scatter(found, _frames(into), inflow.extra)
            if inflow.rounding:
                pool_kernel.add_rounded(into.ravel(), inflow.rounding, current.ravel())
            kept, full = event_kernel.synaptic_operations(
                found.index, found.value, found.found, inflow.surviving, inflow.possible
            )
            flow = tally.flow(inflow.number)
            flow.executed += added
            flow.decodes += decoded
            flow.kept += kept
            flow.full += full
            flow.events += found.found
            flow.frames += current.shape[0] * current.shape[1]

    def _events(self, state: State, inflow: Inflow) -> Events:
        """The event list a projection reads, made once a block for all its readers."""
        key = (inflow.constant, *inflow.key)
        if key in state.fresh:
            return state.fresh[key]
        frames = _frames(state.read(inflow))
        index, value, start = state.event_buffer(key, frames.size, len(frames))
        found = event_kernel.extract(frames, index, value, start)
        if inflow.place is not None:
            moved = state.event_buffer((*key, "moved"), frames.size, len(frames))
            found = event_kernel.pooled(index, value, start, inflow.place, *moved)
            index, value, start = moved
        state.fresh[key] = Events(index, value, start, found)
        return state.fresh[key]

    def _pooled(self, state: State, group: Neurons, current: Ints) -> Ints:
        """The largest current of each window, where the population pools its currents."""
        if group.cells is None:
            return current
        pooled = state.buffer(state.pooled, group.number, (*current.shape[:2], len(group.cells)))
        pool_kernel.window_max(_frames(current), LOWEST, group.cells, _frames(pooled))
        return pooled


def _updated(group: Neurons, state: State, acc: Ints, out: Ints, traced: Ints) -> tuple[int, int, int]:
    """Run the neurons' steps by the kernel that serves them; (spikes, ties, clamps)."""
    v, threshold, bias = state.v[group.number], group.threshold, group.bias
    if group.lif is not None:
        return lif.update(acc, v, threshold, group.amount, bias, group.lif, out, traced)
    return neuron.update(
        acc,
        group.shift,
        v,
        state.synaptic[group.number],
        threshold,
        group.reset,
        bias,
        group.payload_shift,
        group.how,
        out,
        traced,
    )


def _frames(block: Ints) -> Ints:
    """(steps, samples, neurons) as (frames, neurons)."""
    return block.reshape(-1, block.shape[-1])
