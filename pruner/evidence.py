"""What a criterion may look at: one layer's weights and what was measured around them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import torch
from torch import Tensor


class Need(Enum):
    """A measurement that has to be gathered before a criterion can score."""

    GRADIENT = "gradient"
    CRITICALITY = "criticality"
    ACTIVITY = "activity"


@dataclass(frozen=True)
class Evidence:
    """One synapse layer at one pruning event.

    ``weight`` is (post, pre per group, *kernel). ``gradient`` has its shape and is dense: it was
    taken with the mask open, so pruned positions have one too; ``weight_then`` is the weight it was taken
    at, a step before ``weight``. ``criticality`` is (post,), ``rate``
    is (pre,): the mean size of the input over samples, steps and positions.
    """

    weight: Tensor
    generator: torch.Generator
    gradient: Tensor | None = None
    weight_then: Tensor | None = None
    criticality: Tensor | None = None
    rate: Tensor | None = None
    groups: int = 1

    def per_post(self) -> Tensor:
        """Criticality shaped to broadcast over the weight."""
        assert self.criticality is not None
        return self.criticality.double().view(-1, *[1] * (self.weight.dim() - 1))

    def per_pre(self) -> Tensor:
        """Presynaptic rate shaped to broadcast over the weight, group by group."""
        assert self.rate is not None
        rate = self.rate.double().view(self.groups, 1, -1)
        rate = rate.expand(-1, self.weight.shape[0] // self.groups, -1).reshape(self.weight.shape[:2])
        return rate.view(*self.weight.shape[:2], *[1] * (self.weight.dim() - 2))
