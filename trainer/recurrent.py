"""A population that hears itself: neuron and linear synapses with a delay in whole steps."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from runtime.errors import ModelError
from runtime.spec import Fire
from trainer.layers import Linear
from trainer.neuron import Neuron, widened
from trainer.synapse import shifted


class Recurrent(nn.Module):
    """Adds ``linear`` of the neuron's own spikes, ``delay`` steps ago, to its input current."""

    def __init__(self, linear: Linear, neuron: Neuron, delay: int = 1) -> None:
        super().__init__()
        if delay < 1:
            raise ModelError(f"recurrent delay: found {delay}, expected at least 1 step")
        if linear.in_features != linear.out_features:
            sizes = f"{linear.in_features} -> {linear.out_features}"
            raise ModelError(f"recurrent linear: found {sizes}, expected as many outputs as inputs")
        if neuron.firing.fire is Fire.SILENT:
            raise ModelError("recurrent neuron: found one that never fires, expected IF, LIF or CubaLIF")
        self.linear = linear
        self.neuron = neuron
        self.delay = delay

    def forward(self, x: Tensor) -> Tensor:
        """Payloads (steps, batch, neurons) from currents of that shape."""
        if self.neuron.integer is not None and not self.training:
            return self._run_integer(x)
        x = widened(x)
        weight, bias = self.linear.effective_weight(), self.linear.bias
        rule = self.neuron.rule(x.shape[2:]).like(x)
        state = self.neuron.first_state(x[0])
        membranes: list[Tensor] = []

        def step(t: int, heard: Tensor) -> Tensor:
            nonlocal state
            current = x[t] + self.linear.apply_weight(heard, weight, bias)
            s, u, state = self.neuron.step(current, state, rule)
            membranes.append(u.detach())
            return s

        spikes = self._loop(x, step)
        for observer in self.neuron.observers:
            observer(torch.stack(membranes), spikes)
        return spikes

    def _loop(self, x: Tensor, step: Callable[[int, Tensor], Tensor]) -> Tensor:
        spikes: list[Tensor] = []
        silence = torch.zeros_like(x[0])
        for t in range(x.shape[0]):
            spikes.append(step(t, spikes[t - self.delay] if t >= self.delay else silence))
        return torch.stack(spikes)

    def _run_integer(self, x: Tensor) -> Tensor:
        integer = self.linear.integer
        if integer is None:
            raise ModelError("recurrent linear: found no integer weights, expected trainer.integer.attach")
        x = x.double()
        population = self.neuron.population(x[0])
        membranes: list[Tensor] = []

        def step(t: int, heard: Tensor) -> Tensor:
            own = shifted(self.linear.apply_weight(heard, integer.weight, None), integer.shift)
            payload, v = population.step(x[t] + own)
            membranes.append(v)
            return payload

        payloads = self._loop(x, step)
        self.neuron.record(payloads, torch.stack(membranes))
        return payloads
