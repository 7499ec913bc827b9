"""``SpikingNet``: a body of layers and neurons, with the input it expects and the way it is read."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from runtime.errors import ModelError
from runtime.spec import InputSpec, Readout
from trainer.held import held, hold
from trainer.neuron import Neuron

if TYPE_CHECKING:
    from trainer.build import Recipe
    from trainer.prepare import Quantization


class Residual(nn.Module):
    """``body(x) + shortcut(x)``: of currents before a neuron, or of spikes after one (SEW)."""

    def __init__(self, body: nn.Module, shortcut: nn.Module | None = None) -> None:
        """Without ``shortcut`` the input itself is added."""
        super().__init__()
        self.body = body
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        skip = x if self.shortcut is None else self.shortcut(x)
        out: Tensor = self.body(x) + skip
        return out


class SpikingNet(nn.Module):
    """A network from coded integers (steps, batch, *shape) to (steps, batch, outputs).

    ``body`` is any module made of ``trainer.layers``, ``trainer.neuron``, ``Recurrent``, containers and
    ``+``, which ``torch.fx`` can trace. Its output is the spikes of the output population, or its
    membranes when that population is an ``LI``; ``readout`` makes scores of them.
    """

    def __init__(
        self, body: nn.Module, input: InputSpec, readout: Readout, classes: tuple[str, ...] = ()
    ) -> None:
        super().__init__()
        self.body = body
        self.input = input
        self.readout = readout
        self.classes = tuple(classes)
        self.quantization: Quantization | None = None
        self.recipe: Recipe | None = None
        self.folded = False

    @property
    def whole(self) -> bool:
        """True when the forward computes in integers: attached, and in evaluation mode."""
        return not self.training and any(n.integer is not None for n in self.neurons().values())

    def neurons(self) -> dict[str, Neuron]:
        """The populations by name."""
        return {name: m for name, m in self.body.named_modules() if isinstance(m, Neuron)}

    def forward(self, x: Tensor) -> Tensor:
        """Spikes or membranes (steps, batch, outputs) of coded integers ``x`` (steps, batch, *shape)."""
        if tuple(x.shape[2:]) != self.input.shape:
            raise ModelError(f"input: found shape {tuple(x.shape[2:])}, expected {self.input.shape}")
        once = x[0] if self.input.constant else held(x)
        numbers = self._numbers(x if once is None else once)
        out: Tensor = self.body(numbers if once is None else hold(numbers, x.shape[0]))
        return out

    def _numbers(self, x: Tensor) -> Tensor:
        """Whole float64 numbers in integer evaluation, real input otherwise."""
        if self.whole:
            return x.double()
        scale = self.input.scale
        return x.float() if scale == 1.0 else x.float() * scale

    def scores(self, out: Tensor) -> Tensor:
        """Scores (batch, outputs) of the forward's output by the readout rule."""
        return SCORES[self.readout](out)


def _last(out: Tensor) -> Tensor:
    return out[-1]


def _sum(out: Tensor) -> Tensor:
    return out.sum(0)


def _max(out: Tensor) -> Tensor:
    return out.amax(0)


SCORES: dict[Readout, Callable[[Tensor], Tensor]] = {
    Readout.COUNT: _sum,
    Readout.MEMBRANE_LAST: _last,
    Readout.MEMBRANE_MAX: _max,
    Readout.MEMBRANE_SUM: _sum,
}


def predictions(scores: Tensor) -> Tensor:
    """The lowest index among the maxima of each row of scores (batch, classes)."""
    n = scores.shape[1]
    index = torch.arange(n, device=scores.device).expand_as(scores)
    return torch.where(scores == scores.amax(1, keepdim=True), index, n).amin(1)
