"""The trace of a run while it grows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from runtime.program import NeuronPopulation, Program, n_neurons
from runtime.state import State
from runtime.trace import Trace


class Recording:
    """Payloads and stored membranes of every neuron population, (steps, samples, neurons) each."""

    def __init__(self, program: Program, steps: int, samples: int) -> None:
        self.names = {
            number: population.name
            for number, population in enumerate(program.populations)
            if isinstance(population, NeuronPopulation)
        }
        shapes = {p: (steps, samples, n_neurons(program.populations[p])) for p in self.names}
        self.spikes = {p: np.zeros(shape, np.int32) for p, shape in shapes.items()}
        self.membranes = {p: np.zeros(shape, np.int32) for p, shape in shapes.items()}

    def take(self, state: State, step: int, sample: int) -> None:
        """Copy a block that starts at this step and sample."""
        at = (slice(step, step + state.steps), slice(sample, sample + state.samples))
        for number in self.names:
            self.spikes[number][at] = state.block(number)
            self.membranes[number][at] = state.traced[number]

    def trace(self, scores: NDArray[np.int64], predictions: NDArray[np.int64]) -> Trace:
        spikes = {name: self.spikes[p] for p, name in self.names.items()}
        membranes = {name: self.membranes[p] for p, name in self.names.items()}
        return Trace(spikes, membranes, scores, predictions)
