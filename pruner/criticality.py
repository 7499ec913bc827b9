"""The neuron criticality score and the measurement of it during training.

Chen et al., "Brain-Inspired Efficient Pruning: Exploiting Criticality in Spiking Neural Networks"
(arXiv 2311.16141), score a neuron by how close it works to its threshold, at the price of one mean
in the forward pass. Only the abstract and a table are public to us. Our reading, every part of it a
configuration choice:

- score: the mean surrogate derivative at the membrane before reset, over samples, steps and, for
  convolutions, positions, in units of the threshold: c_i = mean h'((u_i - theta_i) / theta_i);
- kernel: the shape of the surrogate the neuron trains with, or another; as it integrates to 1, c_i
  estimates the density of the membrane at the threshold, and the kernel's width is its smoothing;
- layers are compared after dividing by the layer's mean (or by rank within it);
- single weights get a neuron's score through the products M0 to M3 in ``pruner.criteria``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from trainer import distributed
from trainer.surrogate import Surrogate


class Kernel(Protocol):
    """A bump around 0: a ``Surrogate``, or the stand-in derivative of another library."""

    def gradient(self, distance: Tensor) -> Tensor: ...


def criticality(u: Tensor, threshold: Tensor, kernel: Kernel) -> Tensor:
    """Score per channel, shape (channels,): the mean of the kernel at (u - theta) / |theta|.

    ``u`` is the membrane before reset, (steps, samples, channels, *positions); ``threshold`` holds one
    value, one per channel or one per neuron; the kernel's width is in thresholds. Computed in u's own
    number type and, for our surrogates, in one new buffer: in float64 it took 11 ms, with a second buffer
    4 ms, so 0.4 ms (8 x 128 x 800 membranes, one thread).
    """
    shaped = per_channel(threshold, u)
    if bool((shaped == 1.0).all()):
        distance = u - 1.0
    else:
        distance = ((u - shaped) / shaped.abs().clamp_min(1e-12)).to(u.dtype)
    if isinstance(kernel, Surrogate):
        return channel_mean(kernel.gradient_(distance))
    return channel_mean(kernel.gradient(distance))


def per_channel(values: Tensor, u: Tensor) -> Tensor:
    """``values`` (1, channels or neurons) shaped to broadcast over u's axes from the channel on."""
    values = values.detach().to(u.device, u.dtype)
    neurons = math.prod(u.shape[2:])
    if values.numel() == neurons:
        return values.reshape(u.shape[2:])
    return values.reshape(-1, *[1] * (u.dim() - 3))


def channel_mean(values: Tensor) -> Tensor:
    """Mean over everything but axis 2, the channel, in float64; sums are taken in the values' own type."""
    others = [axis for axis in range(values.dim()) if axis != 2]
    return values.sum(others).double() / (values.numel() // values.shape[2])


@dataclass
class Average:
    """A running mean of vectors of one length, each standing for ``weight`` observations."""

    total: Tensor | None = None
    weight: float = 0.0

    def add(self, mean: Tensor, weight: float) -> None:
        mean = mean.detach().cpu().double() * weight
        self.total = mean if self.total is None else self.total + mean
        self.weight += weight

    def value(self) -> Tensor | None:
        return None if self.total is None else self.total / self.weight

    def unite(self) -> None:
        """Take in what the other processes of the training have averaged."""
        if self.total is not None:
            every = distributed.total(torch.cat([torch.tensor([self.weight]).double(), self.total]))
            self.weight, self.total = float(every[0]), every[1:]

    def memory(self) -> list[float]:
        """The weight and the totals, for ``recall``; empty before the first observation."""
        return [] if self.total is None else [self.weight, *self.total.tolist()]

    def recall(self, memory: Sequence[float]) -> None:
        """Take back what ``memory`` gave."""
        if memory:
            self.weight, self.total = memory[0], torch.tensor(memory[1:], dtype=torch.float64)


@dataclass
class CriticalityMeter:
    """An observer of one neuron population: averages its criticality over all forward passes it sees."""

    threshold: Callable[[], Tensor]
    kernel: Kernel
    average: Average = field(default_factory=Average)

    @torch.no_grad()
    def __call__(self, u: Tensor, spikes: Tensor) -> None:
        score = criticality(u, self.threshold(), self.kernel)
        self.average.add(score, u.shape[0] * u.shape[1])


def as_is(scores: Tensor) -> Tensor:
    """The scores themselves."""
    return scores


def by_mean(scores: Tensor) -> Tensor:
    """Scores over their layer's mean; a layer of zeros stays zero."""
    return scores / scores.mean().clamp_min(1e-30)


def by_rank(scores: Tensor) -> Tensor:
    """Ranks in (0, 1] within the layer, equal scores in order of index."""
    ranks = torch.empty_like(scores, dtype=torch.float64)
    ranks[torch.argsort(scores, stable=True)] = torch.arange(1, len(scores) + 1, dtype=torch.float64)
    return ranks / len(scores)
