"""What training lowers, as functions of the forward's output and the labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from runtime.spec import Readout
from trainer.config import LossKind
from trainer.models import SCORES


@dataclass(frozen=True)
class Loss:
    """A loss and its options. Scores are divided by ``temperature`` before a softmax; 0 chooses it.

    ``class_weights`` (classes,) or None. ``hit`` and ``miss`` are the target rates of ``MSE_RATE``.
    """

    kind: LossKind
    readout: Readout
    temperature: float = 0.0
    class_weights: Tensor | None = None
    label_smoothing: float = 0.0
    hit: float = 1.0
    miss: float = 0.0

    def __call__(self, out: Tensor, y: Tensor) -> Tensor:
        """The loss (scalar) of ``out`` (steps, batch, outputs).

        ``y`` is (batch,) of classes; (batch, steps) for ``PER_STEP`` (or (batch,), the same at every
        step); reals (batch, outputs) or (batch,) for ``REGRESSION``.
        """
        return LOSSES[self.kind](self, out, y)

    def logits(self, out: Tensor) -> Tensor:
        """Scores (batch, outputs) over the temperature."""
        return SCORES[self.readout](out) / (self.temperature or temperature(self.readout, out.shape[0]))


def temperature(readout: Readout, n_steps: int) -> float:
    """The default: counts and sums span about 0 to 8 whatever the number of steps, membranes stay."""
    grows = readout in (Readout.COUNT, Readout.MEMBRANE_SUM)
    return n_steps / 8 if grows else 1.0


def cross_entropy(loss: Loss, out: Tensor, y: Tensor) -> Tensor:
    """Softmax of the scores against the label."""
    return F.cross_entropy(
        loss.logits(out), y, weight=loss.class_weights, label_smoothing=loss.label_smoothing
    )


def per_step(loss: Loss, out: Tensor, y: Tensor) -> Tensor:
    """Softmax of every step's output against that step's label."""
    labels = y.expand(out.shape[0], -1) if y.dim() == 1 else y.T
    logits = (out / (loss.temperature or 1.0)).flatten(0, 1)
    weights, smoothing = loss.class_weights, loss.label_smoothing
    return F.cross_entropy(logits, labels.reshape(-1), weight=weights, label_smoothing=smoothing)


def mse_rate(loss: Loss, out: Tensor, y: Tensor) -> Tensor:
    """Squared error of the rates per step, ``hit`` for the label's output and ``miss`` for the others."""
    rates = out.mean(0)
    target = torch.full_like(rates, loss.miss).scatter_(1, y[:, None], loss.hit)
    error = (rates - target).square().mean(1)
    if loss.class_weights is None:
        return error.mean()
    weight = loss.class_weights[y]
    return (error * weight).sum() / weight.sum()


def regression(loss: Loss, out: Tensor, y: Tensor) -> Tensor:
    """Squared error of the scores against real targets."""
    scores = SCORES[loss.readout](out)
    return F.mse_loss(scores, y.to(scores.dtype).reshape(scores.shape))


LOSSES: dict[LossKind, Callable[[Loss, Tensor, Tensor], Tensor]] = {
    LossKind.CROSS_ENTROPY: cross_entropy,
    LossKind.PER_STEP: per_step,
    LossKind.MSE_RATE: mse_rate,
    LossKind.REGRESSION: regression,
}


def balanced_weights(y: Tensor, n_classes: int) -> Tensor:
    """Weights (classes,) inverse to the frequency of each class in ``y``, with a mean of 1 over samples."""
    counts = torch.bincount(y, minlength=n_classes).float()
    return y.numel() / (n_classes * counts.clamp(min=1))
