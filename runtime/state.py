"""The buffers of a run: states, payloads, accumulators, events, and the running counts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from runtime.prepare import Inflow, Neurons
from runtime.program import Program, n_neurons
from runtime.scatter import Events

Ints = NDArray[np.int32]


class State:
    """Buffers for ``samples`` samples advancing ``steps`` steps at a time. Reused from run to run.

    ``payload[p]`` is (history + steps, samples, neurons): the steps that delayed projections still read
    stand in front of the block's own.
    """

    def __init__(self, program: Program, neurons: dict[int, Neurons], samples: int, steps: int) -> None:
        self.samples, self.steps = samples, steps
        self.history = [
            max((p.delay for p in program.projections if p.pre == number), default=0)
            for number in range(len(program.populations))
        ]
        sizes = [n_neurons(population) for population in program.populations]
        self.payload = [
            np.zeros((past + steps, samples, size), np.int32)
            for past, size in zip(self.history, sizes, strict=True)
        ]
        self.v = {p: np.zeros((samples, sizes[p]), np.int32) for p in neurons}
        self.synaptic = {
            p: np.zeros((samples, sizes[p] if neurons[p].cuba else 0), np.int32) for p in neurons
        }
        self.current: dict[int, Ints] = {}
        self.pooled: dict[int, Ints] = {}
        self.rounded: dict[int, Ints] = {}
        self.constant: dict[int, Ints] = {}
        self.traced: dict[int, Ints] = {}
        self._events: dict[tuple[object, ...], tuple[Ints, Ints, NDArray[np.int64]]] = {}
        self.fresh: dict[tuple[object, ...], Events] = {}
        self.started = False

    def reset(self, neurons: dict[int, Neurons]) -> None:
        """Back to the start of a sample."""
        for number, population in neurons.items():
            self.v[number][:] = population.start
            if population.cuba:
                self.synaptic[number].fill(0)
        for past, payload in zip(self.history, self.payload, strict=True):
            if past:
                payload[:past] = 0
        self.started = False

    def carry(self, before: State) -> None:
        """Go on in the middle of a sample where ``before``, of another block length, stopped."""
        for number in self.v:
            self.v[number][:] = before.v[number]
            self.synaptic[number][:] = before.synaptic[number]
        for past, payload, held in zip(self.history, self.payload, before.payload, strict=True):
            payload[:past] = held[:past]
        self.constant = before.constant
        self.started = before.started

    def block(self, number: int) -> Ints:
        """This block's payloads of one population, (steps, samples, neurons)."""
        return self.payload[number][self.history[number] :]

    def read(self, inflow: Inflow) -> Ints:
        """The payloads a projection reads in this block, ``delay`` steps back."""
        at = self.history[inflow.pre] - inflow.delay
        frames = 1 if inflow.constant else self.steps
        return self.payload[inflow.pre][at : at + frames]

    def advance(self) -> None:
        """Keep the last steps of a block as history of the next."""
        for past, payload in zip(self.history, self.payload, strict=True):
            if past:
                payload[:past] = payload[self.steps :]
        self.started = True

    def buffer(self, held: dict[int, Ints], number: int, shape: tuple[int, ...]) -> Ints:
        """One of the lazily made arrays, of unspecified content."""
        if number not in held or held[number].shape != shape:
            held[number] = np.empty(shape, np.int32)
        return held[number]

    def event_buffer(
        self, key: tuple[object, ...], most: int, frames: int
    ) -> tuple[Ints, Ints, NDArray[np.int64]]:
        """Room for an event list of at most ``most`` events."""
        if key not in self._events:
            room = (
                np.empty(most + 1, np.int32),
                np.empty(most + 1, np.int32),
                np.empty(frames + 1, np.int64),
            )
            self._events[key] = room
        return self._events[key]
