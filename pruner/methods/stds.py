"""STDS (Chen et al. 2022, "State Transition of Dendritic Spines Improves Learning of Sparse Spiking Neural
Networks", ICML 2022): a soft threshold on the weights that rises while they train."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pruner.latent import Aim, Latent, Progress, kth_largest
from pruner.method import Begins, Method


class Stds(Latent):
    """w = sign(theta) max(|theta| - d, 0); the gradient of w moves theta, below the threshold too.

    d rises as D (1 + sin(pi (x - 1/2))) / 2 with x from 0 to 1 over the search.
    """

    def enter(self, name: str, weight: Tensor) -> None:
        self.state[name] = weight.clone()
        self.state["d"] = torch.zeros(())
        self.state["highest"] = torch.zeros(())

    def weight(self, name: str) -> Tensor:
        theta = self.state[name]
        return torch.sign(theta) * (theta.abs() - self.state["d"]).clamp_min(0.0)

    def after_step(self, progress: Progress) -> None:
        for name in self.layers:
            self.state[name] += self.moved(name)
        self.state["d"] = self.state["highest"] * rise(progress.done)
        self.show()

    def steer(self, aim: Aim, progress: Progress) -> None:
        """The D that, met now, would leave the final count."""
        highest = kth_largest([self.state[name].abs() for name in self.layers], aim.final_living + 1)
        self.state["highest"] = torch.tensor(max(0.0, highest))

    def score(self, name: str) -> Tensor:
        return self.state[name].abs().double()


def rise(done: float) -> float:
    """0 to 1 along half a sine."""
    return 0.5 * (1.0 + math.sin(math.pi * (done - 0.5)))


METHOD = Method(
    source="Chen et al. 2022, ICML 2022 (STDS)",
    differs="D is the threshold of the asked density, taken anew at each event, where the paper asks for D; "
    "a straight-through gradient below the threshold; the masks stay after the last event",
    keys={"search": "stds"},
    begins=Begins.UNTRAINED,
)
