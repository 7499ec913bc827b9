"""``Latent``: variables behind the weights, in which some methods search for masks while they train.

The network computes with weights made from the latent values; the optimiser moves the weights by dense
gradients; what it moved goes back into the latent values. At the end of the search the masks are cut by
a score, at an exact count.
"""

from __future__ import annotations

import base64
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from safetensors.torch import load, save
from torch import Tensor

from pruner.topology import Maskable

Values = dict[str, Tensor]
"""One tensor of a weight's shape by layer name."""


@dataclass(frozen=True)
class Progress:
    """Where a search stands. ``done`` runs from 0 to 1 at its end, ``lr`` is the weights' rate now."""

    done: float
    lr: float


@dataclass(frozen=True)
class Aim:
    """Living weights a search is to have after ``steps`` more steps, and in the end."""

    living: int
    steps: int
    final_living: int


class Latent(ABC):
    """The search's state over some layers; every tensor in ``state`` survives a resume."""

    def __init__(self, layers: Mapping[str, Maskable]) -> None:
        self.layers = layers
        self.state: Values = {}
        self._shown: Values = {}

    def begin(self) -> None:
        """Take the latent values from the weights, unless ``recall`` gave them, and show the weights."""
        if not self.state:
            for name, layer in self.layers.items():
                self.enter(name, layer.weight.detach())
        self.show()

    @torch.no_grad()
    def show(self) -> None:
        """Write the weights that the latent values mean."""
        for name, layer in self.layers.items():
            layer.weight.copy_(self.weight(name))
            self._shown[name] = layer.weight.detach().clone()

    def moved(self, name: str) -> Tensor:
        """What the optimiser added to a layer's weights since ``show``."""
        weight: Tensor = self.layers[name].weight.detach()
        return weight - self._shown[name]

    def living(self) -> dict[str, Tensor]:
        """Where weights are not zero now."""
        return {name: self._shown[name] != 0 for name in self.layers}

    def before_step(self) -> None:  # noqa: B027 (most methods leave the gradients as they are)
        """Change the weights' gradients before the optimiser sees them."""

    @abstractmethod
    def enter(self, name: str, weight: Tensor) -> None:
        """Start the latent values of a layer."""

    @abstractmethod
    def weight(self, name: str) -> Tensor:
        """The weights that the latent values mean."""

    @abstractmethod
    def after_step(self, progress: Progress) -> None:
        """Take in what the optimiser moved."""

    @abstractmethod
    def steer(self, aim: Aim, progress: Progress) -> None:
        """Set the pressure towards sparsity so that ``aim`` is about met."""

    @abstractmethod
    def score(self, name: str) -> Tensor:
        """What the last cut ranks by, float64 of the weight's shape."""

    def memory(self) -> str:
        """The latent values as text, for ``recall``."""
        return base64.b64encode(save(self.state)).decode("ascii")

    def recall(self, memory: str) -> None:
        """Take back what ``memory`` gave; nothing when it is empty."""
        self.state = dict(load(base64.b64decode(memory))) if memory else {}


def kth_largest(values: list[Tensor], count: int) -> float:
    """The ``count``-th largest of all values together; minus infinity for more than there are."""
    flat = torch.cat([value.flatten() for value in values])
    if count > flat.numel():
        return -float("inf")
    return float(torch.kthvalue(flat, flat.numel() - max(count, 1) + 1).values)
