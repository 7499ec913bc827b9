"""What can hook into training, and what it sees."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from trainer.config import Config
from trainer.models import SpikingNet


@dataclass
class State:
    """Where training stands. ``step`` counts optimizer steps from 0 and names the step under way."""

    net: SpikingNet
    optimizer: torch.optim.Optimizer
    config: Config
    total_steps: int
    total_epochs: int
    epoch: int = 0
    step: int = 0
    record: dict[str, Any] = field(default_factory=dict)
    """The epoch's line of the log, complete at ``after_epoch``."""
    course: tuple[int, int] | None = None
    """Steps (first, end) over which the learning rate runs its course; None: the whole run."""

    @property
    def done(self) -> float:
        """How far the learning rate is on its course, 0..1."""
        first, end = self.course or (0, self.total_steps)
        return (self.step - first) / (end - first)


class Callback:
    """Does nothing; override what you need. Called in the order callbacks were given."""

    def start(self, state: State) -> None:
        """Before the first step, or before the first step after resuming."""

    def after_backward(self, state: State) -> None:
        """Gradients are there, the optimizer has not moved."""

    def after_step(self, state: State) -> None:
        """The optimizer has moved."""

    def after_epoch(self, state: State) -> None:
        """The epoch's record is complete and about to be logged."""

    def memory(self) -> Mapping[str, Any]:
        """What must survive a resume, as values JSON can hold."""
        return {}

    def recall(self, memory: Mapping[str, Any]) -> None:
        """Take back what ``memory`` gave; called before ``start``."""
