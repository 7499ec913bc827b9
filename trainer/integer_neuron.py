"""The neuron in whole numbers, as the quantised torch leg of Contract 3 runs it.

Everything is float64: sums of int32 values are exact there, ``floor(v * 2^-k)`` is the arithmetic shift.
"""

from __future__ import annotations

import torch
from torch import Tensor

from runtime.errors import ModelError
from runtime.spec import Fire, IntegerNeuron, Leak, Reset, SynapticOrder
from trainer.held import held

INT32_END = float(1 << 31)


def over(values: tuple[int, ...] | tuple[float, ...], shape: torch.Size | tuple[int, ...]) -> Tensor:
    """One value, one per channel (axis 0 of ``shape``) or one per neuron, to broadcast over ``shape``."""
    tensor = torch.tensor(values, dtype=torch.float64)
    if len(values) == 1:
        return tensor.reshape(())
    if len(values) == shape[0]:
        return tensor.reshape(-1, *[1] * (len(shape) - 1))
    return tensor.reshape(shape)


def check_whole(x: Tensor, name: str) -> Tensor:
    """``x`` itself, refused when it holds a fraction or leaves int32."""
    if not bool((x == x.floor()).all()) or (x.numel() and float(x.abs().max()) >= INT32_END):
        raise ModelError(f"{name}: found values that are not whole int32 numbers in integer evaluation")
    return x


def leaked(v: Tensor, leak: Leak) -> Tensor:
    """``v`` minus its floored shifts, each of the old ``v``."""
    out = v
    for k in leak.shifts:
        out = out - torch.floor(v * 2.0**-k)
    return out


class IntegerPopulation:
    """State of one population over the steps of one batch; ``shape`` excludes the batch."""

    def __init__(self, neuron: IntegerNeuron, batch: int, shape: torch.Size, device: torch.device) -> None:
        self.neuron = neuron
        self.threshold = over(neuron.threshold_q, shape).to(device)
        self.reset = over(neuron.reset_q, shape).to(device)
        self.bias = over(neuron.bias_q, shape).to(device)
        self.unit = 2.0 ** over(neuron.payload_shift, shape).to(device)
        self.v = over(neuron.start_q, shape).to(device).expand(batch, *shape)
        self.i = torch.zeros((batch, *shape), dtype=torch.float64, device=device)

    def step(self, current: Tensor) -> tuple[Tensor, Tensor]:
        """Payloads and stored membranes (batch, ...) after one step with ``current`` (batch, ...)."""
        neuron = self.neuron
        drive = self._drive(current)
        v = leaked(self.v, neuron.leak) + drive + self.bias
        payload = self._payload(v)
        if neuron.reset is Reset.SUBTRACT:
            taken = payload * self.unit if neuron.fire is Fire.GRADED else payload * self.reset
            v = v - taken
        elif neuron.reset is Reset.VALUE:
            v = torch.where(payload != 0, self.reset, v)
        self.v = v.clamp(neuron.v_min, neuron.v_max)
        return payload, self.v

    def _drive(self, current: Tensor) -> Tensor:
        neuron = self.neuron
        if neuron.synaptic_leak is None:
            return current
        old = self.i
        new = leaked(old, neuron.synaptic_leak) + current
        self.i = new.clamp(neuron.v_min, neuron.v_max)
        return new if neuron.synaptic_order is SynapticOrder.NEW else old

    def _payload(self, v: Tensor) -> Tensor:
        neuron = self.neuron
        if neuron.fire is Fire.SILENT:
            return torch.zeros_like(v)
        fired = v >= self.threshold
        if neuron.fire is Fire.BINARY:
            return fired.to(v.dtype)
        highest = (1 << neuron.payload_bits) - 1
        return torch.where(fired, torch.floor(v / self.unit).clamp(0, highest), 0.0)


def run_steps(neuron: IntegerNeuron, currents: Tensor, name: str) -> tuple[Tensor, Tensor]:
    """Payloads and stored membranes, both (steps, batch, ...), from currents of that shape."""
    once = held(currents)
    check_whole(currents if once is None else once, name)
    population = IntegerPopulation(neuron, currents.shape[1], currents.shape[2:], currents.device)
    steps = [population.step(current) for current in currents.double()]
    return torch.stack([s for s, _ in steps]), torch.stack([v for _, v in steps])
