"""One neuron of a population, run alone: its spikes and how they would change with its current."""

from __future__ import annotations

import copy
from dataclasses import replace

import torch
from torch import Tensor

from pruner.heard import Slopes
from pruner.trace import Trace, View
from runtime.spec import Fire, Reset
from trainer.neuron import Neuron


class Unit:
    """Neuron ``number`` of a population. Its bias is the caller's: part of the current."""

    def __init__(self, neuron: Neuron, number: int, read: Tensor, n_steps: int) -> None:
        """``read`` (rows, steps) is the filter that the neuron's consumer sees its spikes through."""
        self.read = read
        self._neuron = copy.deepcopy(neuron)
        self._neuron.observers, self._neuron.bias = [self._keep], None
        firing = neuron.firing
        self._neuron.firing = replace(
            firing,
            threshold=(_own(firing.threshold, number),),
            reset_value=(_own(firing.reset_value, number),),
        )
        self.reach = decay_of(neuron, n_steps).sum(1)
        self._u = self._spikes = torch.zeros(())

    def _keep(self, u: Tensor, spikes: Tensor) -> None:
        self._u, self._spikes = u[:, :, 0], spikes[:, :, 0]

    def answer(self, current: Tensor) -> Tensor:
        """What the consumer reads (rows, samples) for currents (steps, samples)."""
        self._neuron(current[:, :, None])
        return self.read @ self._spikes

    def slopes(self) -> Slopes:
        """Slopes at the latest answer."""
        neuron = self._neuron
        near = neuron.surrogate.gradient(self._u - neuron.firing.threshold[0])
        alive = None
        reach = self.reach[:, None].expand_as(near)
        if neuron.firing.reset is Reset.VALUE and neuron.synapse is None:
            alive = 1.0 - self._spikes.clamp(max=1.0)
            reach = _reach_with_resets(alive, neuron.decay.leak.beta)
        return Slopes(near, reach, self.read, alive)


def decay_of(neuron: Neuron, n_steps: int) -> Tensor:
    """(steps, steps): the membrane at each step for a unit current at each step."""
    return Trace.of(neuron, View.ALL).filtered(torch.eye(n_steps))


def _own(values: tuple[float, ...], number: int) -> float:
    return values[number] if len(values) > 1 else values[0]


def _reach_with_resets(alive: Tensor, beta: float) -> Tensor:
    steps = [torch.ones_like(alive[0])]
    for now in alive[:-1]:
        steps.append(beta * now * steps[-1] + 1.0)
    return torch.stack(steps)


def can_run_alone(neuron: Neuron) -> bool:
    """True for neurons whose spikes have slopes: those that fire."""
    return neuron.firing.fire is not Fire.SILENT
