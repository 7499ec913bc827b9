"""The derivative that stands in for a spike's: a small value with a shape and a width."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

import torch
from torch import Tensor


class SurrogateShape(Enum):
    """Form of the stand-in derivative around the threshold."""

    ARCTAN = "arctan"
    FAST_SIGMOID = "fast_sigmoid"
    TRIANGLE = "triangle"
    RECTANGLE = "rectangle"


@dataclass(frozen=True)
class Surrogate:
    """Stand-in derivative of the spike with respect to the membrane; it integrates to 1.

    With d the distance to the threshold (membrane units) and w the width: arctan
    ``1 / (pi w (1 + (d/w)^2))``, fast sigmoid ``1 / (2 w (1 + |d|/w)^2)``, triangle
    ``max(0, 1 - |d|/w) / w``, rectangle ``1 / (2 w)`` for ``|d| < w``. The default (arctan of width
    1/pi, peak 1) is the usual arctan surrogate of Fang et al., ICCV 2021.
    """

    shape: SurrogateShape = SurrogateShape.ARCTAN
    width: float = 1.0 / math.pi

    def __post_init__(self) -> None:
        if not (math.isfinite(self.width) and self.width > 0):
            raise ValueError(f"surrogate width: found {self.width}, expected a positive number")

    @property
    def peak(self) -> float:
        """Value at the threshold."""
        if self.shape is SurrogateShape.ARCTAN:
            return 1.0 / (math.pi * self.width)
        if self.shape is SurrogateShape.TRIANGLE:
            return 1.0 / self.width
        return 1.0 / (2.0 * self.width)

    def gradient(self, distance: Tensor) -> Tensor:
        """The derivative at ``distance = v - threshold``, any shape."""
        return self.gradient_(distance.clone())

    def gradient_(self, distance: Tensor) -> Tensor:
        """As ``gradient``, written over ``distance``: the training loop's form, few passes over memory."""
        _OVERWRITE[self.shape](distance, self.width)
        return distance if self.peak == 1.0 else distance.mul_(self.peak)


def _arctan_(d: Tensor, width: float) -> None:
    torch.addcmul(d.new_ones(()), d, d, value=1.0 / width**2, out=d)
    d.reciprocal_()


def _fast_sigmoid_(d: Tensor, width: float) -> None:
    d.abs_().mul_(1.0 / width).add_(1.0)
    d.mul_(d).reciprocal_()


def _triangle_(d: Tensor, width: float) -> None:
    d.abs_().mul_(-1.0 / width).add_(1.0).clamp_(min=0.0)


def _rectangle_(d: Tensor, width: float) -> None:
    torch.lt(d.abs_(), width, out=d)


_OVERWRITE = {
    SurrogateShape.ARCTAN: _arctan_,
    SurrogateShape.FAST_SIGMOID: _fast_sigmoid_,
    SurrogateShape.TRIANGLE: _triangle_,
    SurrogateShape.RECTANGLE: _rectangle_,
}
