"""Grad R (Chen et al. 2021, "Pruning of Deep Spiking Neural Networks through Gradient Rewiring",
arXiv 2105.04916): a signed strength behind every synapse, which goes on learning while it is dead."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pruner.latent import Aim, Latent, Progress, kth_largest
from pruner.method import Begins, Method


class GradR(Latent):
    """w = sign * max(theta, 0); theta moves as its weight would, dead or alive, and is drawn to mu.

    The sign is that of the first weight and stays. mu = ln(2 (1 - p)) / alpha is the mean of a Laplace
    prior that leaves a share 1 - p of the strengths above zero.
    """

    def enter(self, name: str, weight: Tensor) -> None:
        self.state[f"{name}.sign"] = torch.where(weight < 0, -1.0, 1.0)
        self.state[f"{name}.theta"] = weight.abs()
        self.state["alpha"] = torch.zeros(())
        self.state["mu"] = torch.zeros(())

    def weight(self, name: str) -> Tensor:
        return self.state[f"{name}.sign"] * self.state[f"{name}.theta"].clamp_min(0.0)

    def after_step(self, progress: Progress) -> None:
        for name in self.layers:
            theta = self.state[f"{name}.theta"]
            theta += self.state[f"{name}.sign"] * self.moved(name)
            theta -= self.state["alpha"] * progress.lr * torch.sign(theta - self.state["mu"])
        self.show()

    def steer(self, aim: Aim, progress: Progress) -> None:
        """The alpha with which an even pull would leave ``aim.living`` strengths above zero in time."""
        excess = max(0.0, kth_largest(self._strengths(), aim.living + 1))
        alpha = excess / (progress.lr * aim.steps)
        density = aim.final_living / sum(theta.numel() for theta in self._strengths())
        self.state["alpha"] = torch.tensor(alpha)
        self.state["mu"] = torch.tensor(min(0.0, math.log(2.0 * density)) / alpha if alpha > 0.0 else 0.0)

    def score(self, name: str) -> Tensor:
        return self.state[f"{name}.theta"].double()

    def _strengths(self) -> list[Tensor]:
        return [self.state[f"{name}.theta"] for name in self.layers]


METHOD = Method(
    source="Chen et al. 2021, arXiv 2105.04916",
    differs="the prior's strength is set at each event to follow the schedule; at the last one the masks are "
    "cut at the exact count by strength and then stay",
    keys={"search": "grad-r"},
    begins=Begins.UNTRAINED,
)
