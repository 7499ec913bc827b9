"""What a synapse layer's input does to the membranes behind it: filtered rows of a least-squares problem.

A change of a weight changes the membrane by the presynaptic trace ``e[t] = beta e[t-1] + x[t]``; that is
SBC's decay matrix (arXiv 2506.03996) without its constant factor. Where we differ: a synaptic current is
filtered too, a readout of summed or last membranes has one row a sample, a held input as well, and
resets by subtraction need nothing (given the same spikes they leave the membrane linear in the drive).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import torch
import torch.nn.functional as F
from torch import Tensor

from pruner.topology import Prunable
from runtime.spec import Readout, SynapticOrder
from trainer.held import held
from trainer.layers import Conv1d, Conv2d, Linear, pair
from trainer.neuron import Neuron


class View(Enum):
    """Which steps of a membrane matter: every one, their sum, or the last."""

    ALL = "all"
    SUM = "sum"
    LAST = "last"


VIEWS: dict[Readout, View] = {
    Readout.COUNT: View.ALL,
    Readout.MEMBRANE_MAX: View.ALL,
    Readout.MEMBRANE_SUM: View.SUM,
    Readout.MEMBRANE_LAST: View.LAST,
}
"""What an output population's readout looks at."""


@dataclass(frozen=True)
class Trace:
    """The filter between a current and what is to be kept of a membrane."""

    beta: float
    synaptic_beta: float | None
    late: bool
    view: View

    @classmethod
    def of(cls, neuron: Neuron, view: View, decay: bool = True) -> Trace:
        """The trace of a population; without ``decay`` every step's current stands for itself."""
        if not decay:
            return cls(0.0, None, False, View.ALL)
        synaptic = None if neuron.synapse is None else neuron.synapse.leak.beta
        late = synaptic is not None and neuron.synaptic_order is SynapticOrder.OLD
        return cls(neuron.decay.leak.beta, synaptic, late, view)

    def filtered(self, x: Tensor) -> Tensor:
        """Rows (steps kept, batch, ...) of currents or spikes (steps, batch, ...).

        A held tensor keeps one row: its trace differs from step to step by a factor only.
        """
        once = held(x)
        if once is not None:
            return once[None]
        if self.synaptic_beta is not None:
            x = _decay(x, self.synaptic_beta)
            if self.late:
                x = torch.cat([torch.zeros_like(x[:1]), x[:-1]])
        x = _decay(x, self.beta)
        if self.view is View.SUM:
            return x.sum(0, keepdim=True)
        return x[-1:] if self.view is View.LAST else x

    def of_bias(self, n_steps: int, constant: bool) -> Tensor:
        """The trace (steps kept,) of a bias, which enters at every step."""
        ones = torch.ones(n_steps, 1)
        return torch.ones(1) if constant else self.filtered(ones)[:, 0]


def _decay(x: Tensor, beta: float) -> Tensor:
    if beta == 0.0:
        return x
    steps = [x[0]]
    for now in x[1:]:
        steps.append(beta * steps[-1] + now)
    return torch.stack(steps)


def columns(layer: Prunable, x: Tensor) -> Tensor:
    """Inputs (batch, positions, groups, inputs of a weight row) of one filtered step x (batch, *shape)."""
    if isinstance(layer, Linear):
        return x[:, None, None, :]
    kernel, stride, padding, dilation = sizes(layer)
    image = x[:, :, None, :] if isinstance(layer, Conv1d) else x
    unfolded = F.unfold(image, kernel, dilation, padding, stride)
    return unfolded.view(len(x), layer.groups, -1, unfolded.shape[-1]).permute(0, 3, 1, 2)


def drives(layer: Prunable, current: Tensor) -> Tensor:
    """Currents (batch, positions, outputs) of one step (batch, outputs, *positions)."""
    return current[:, None, :] if isinstance(layer, Linear) else current.flatten(2).transpose(1, 2)


def sizes(layer: Conv1d | Conv2d) -> tuple[tuple[int, int], ...]:
    """Kernel, stride, padding and dilation as (height, width)."""
    flat = isinstance(layer, Conv1d)
    found = []
    for name, neutral in (("kernel_size", 1), ("stride", 1), ("padding", 0), ("dilation", 1)):
        value = getattr(layer, name)
        found.append((neutral, int(value[0])) if flat else pair(value))
    return tuple(found)
