"""What a layer hears over the calibration samples, laid out for one neuron's least squares at a time.

``Held`` is an input that is constant over the steps, ``Stepped`` any other. Both answer the same three
questions: the current of a neuron, its normal equations, and how strongly dead inputs would help.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

RARE = 0.05
"""Damping of what inputs promise, relative to the mean second moment."""


@dataclass(frozen=True)
class Slopes:
    """How a neuron answers: ``near`` (steps, samples), the surrogate derivative at each membrane; ``reach``
    (steps, samples), what of a unit current is left in the membrane; ``read`` (rows, steps), how the
    consumer reads the spikes."""

    near: Tensor
    reach: Tensor
    read: Tensor
    alive: Tensor | None = None
    """(steps, samples): 0 where a reset has just emptied the membrane; None where resets only subtract."""


class Heard(Protocol):
    """Inputs of one layer over samples; the last input is the bias where there is one."""

    def current(self, index: Tensor, weight: Tensor) -> Tensor:
        """Currents (steps, samples) of weights (n,) on inputs ``index`` (n,)."""

    def normal(self, index: Tensor, slopes: Slopes, residue: Tensor) -> tuple[Tensor, Tensor]:
        """Second moment (n, n) of the read spikes' derivatives and their product with residues
        (rows, samples)."""

    def pull(self, slopes: list[Slopes], residues: Tensor) -> Tensor:
        """(neurons, inputs): how much each input alone would shrink each neuron's residue
        (neurons, rows, samples)."""


class Held:
    """``x`` (inputs, samples), seen ``n_steps`` times."""

    def __init__(self, x: Tensor, n_steps: int) -> None:
        self.x, self.n_steps = x, n_steps
        self._squares = x.square()

    def current(self, index: Tensor, weight: Tensor) -> Tensor:
        once = weight @ self.x[index]
        return once.expand(self.n_steps, len(once))

    def normal(self, index: Tensor, slopes: Slopes, residue: Tensor) -> tuple[Tensor, Tensor]:
        gain = slopes.read @ (slopes.near * slopes.reach)
        x = self.x[index]
        return (x * gain.square().sum(0)) @ x.T, x @ (gain * residue).sum(0)

    def pull(self, slopes: list[Slopes], residues: Tensor) -> Tensor:
        gains = torch.stack([s.read @ (s.near * s.reach) for s in slopes])
        along = (gains * residues).sum(1) @ self.x.T
        return _promise(along, gains.square().sum(1) @ self._squares.T)


class Stepped:
    """``x`` (inputs, steps, samples) and the trace it leaves in the membrane, ``decay`` (steps, steps)."""

    def __init__(self, x: Tensor, decay: Tensor) -> None:
        self.x, self.decay = x, decay
        self.traces = torch.einsum("ts,isb->itb", decay, x).contiguous()

    def current(self, index: Tensor, weight: Tensor) -> Tensor:
        return torch.einsum("i,itb->tb", weight, self.x[index])

    def normal(self, index: Tensor, slopes: Slopes, residue: Tensor) -> tuple[Tensor, Tensor]:
        traces = self.traces[index] if slopes.alive is None else self._cut(index, slopes.alive)
        rows = torch.einsum("rt,itb->irb", slopes.read, traces * slopes.near).flatten(1)
        return rows @ rows.T, rows @ residue.flatten()

    def _cut(self, index: Tensor, alive: Tensor) -> Tensor:
        """Traces that a reset empties."""
        x, beta = self.x[index], float(self.decay[1, 0]) if len(self.decay) > 1 else 0.0
        steps = [x[:, 0]]
        for t in range(1, x.shape[1]):
            steps.append(beta * alive[t - 1] * steps[-1] + x[:, t])
        return torch.stack(steps, 1)

    def pull(self, slopes: list[Slopes], residues: Tensor) -> Tensor:
        near = torch.stack([s.near for s in slopes])
        back = torch.einsum("rt,nrb->ntb", slopes[0].read, residues) * near
        flat = self.traces.flatten(1)
        size = near.flatten(1).square() @ flat.square().T
        return _promise(back.flatten(1) @ flat.T, size)


def _promise(along: Tensor, size: Tensor) -> Tensor:
    """What a step along one input alone takes off the squared residue, were it damped: an input that is
    seldom there would else promise what a few samples make up."""
    return along.square() / (size + RARE * size.mean(1, keepdim=True) + 1e-12)
