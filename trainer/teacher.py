"""``Teacher``: a trained net whose scores another one learns beside the labels."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from trainer.integer import evaluating
from trainer.loss import Loss
from trainer.models import SpikingNet
from trainer.tables import require


@dataclass(frozen=True)
class Teacher:
    """Distillation (Hinton et al. 2015, arXiv 1503.02531) from what ``net`` reads out.

    ``share`` of the loss is the divergence of the student's softmax from the teacher's, both at
    ``temperature`` times the loss's own, times its square; the rest is the loss on labels. Where we differ:
    scores are the spiking readout's (sums of membranes, counts), and one share is taken of both parts.
    """

    net: SpikingNet
    share: float = 0.5
    temperature: float = 2.0

    def __post_init__(self) -> None:
        require(0.0 <= self.share <= 1.0, "teacher.share", self.share, "0 to 1")
        require(self.temperature > 0.0, "teacher.temperature", self.temperature, "above 0")

    def blend(self, labels: Tensor, loss: Loss, out: Tensor, x: Tensor) -> Tensor:
        """The loss (scalar) on labels blended with that to the teacher, for the coded input ``x`` and the
        student's output ``out`` (steps, batch, outputs)."""
        with torch.no_grad(), evaluating(self.net):
            wanted = loss.logits(self.net(x)) / self.temperature
        mine = F.log_softmax(loss.logits(out) / self.temperature, 1)
        soft = F.kl_div(mine, wanted.log_softmax(1), reduction="batchmean", log_target=True)
        return (1.0 - self.share) * labels + self.share * self.temperature**2 * soft
