"""``Search``: a latent search for masks along the events of a schedule."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from pruner.latent import Aim, Latent, Progress


class Search:
    """Moves latent values step by step, and steers them at each event but the last, which ends it."""

    def __init__(self, latent: Latent, living: Mapping[int, int]) -> None:
        """``living`` is the plan: weights alive by the step of an event."""
        self.latent = latent
        self._living = living
        self._first, self._last = min(living), max(living)

    def reach(self, step: int, optimizer: torch.optim.Optimizer) -> bool:
        """Take in optimiser step number ``step``; True when it was the search's last."""
        progress = self._progress(step, optimizer)
        self.latent.after_step(progress)
        if step in self._living and step < self._last:
            later = min(event for event in self._living if event > step)
            aim = Aim(self._living[later], later - step, self._living[self._last])
            self.latent.steer(aim, progress)
        return step >= self._last

    def scores(self) -> dict[str, Tensor]:
        """What the masks are cut by, by layer."""
        return {name: self.latent.score(name) for name in self.latent.layers}

    def _progress(self, step: int, optimizer: torch.optim.Optimizer) -> Progress:
        done = (step + 1 - self._first) / (self._last + 1 - self._first)
        return Progress(min(1.0, max(0.0, done)), float(optimizer.param_groups[0]["lr"]))
