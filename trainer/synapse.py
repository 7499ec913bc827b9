"""What every layer with weights shares: a pruning mask, a quantizer, and whole-number evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from runtime.errors import ModelError
from trainer.held import each_step

if TYPE_CHECKING:
    from trainer.quant import WeightQuantizer


@dataclass(frozen=True)
class IntegerWeights:
    """Whole weights (float64) and the shift that their sums enter the membrane with."""

    weight: Tensor
    shift: int


def shifted(accumulator: Tensor, shift: int) -> Tensor:
    """``acc << shift``, or the rounding shift ``(acc + 2^(r-1)) >> r`` for ``shift = -r``."""
    if shift >= 0:
        return accumulator * 2.0**shift
    return torch.floor((accumulator + 2.0 ** (-shift - 1)) * 2.0**shift)


class Synapse(nn.Module):
    """Mixin of layers with weights. ``weight`` has the output channel on axis 0.

    ``mask`` (0/1, the weight's shape) is None until something prunes; ``quantizer`` until
    ``trainer.quant.prepare``; ``integer`` until ``trainer.integer.attach``, and then evaluation mode
    multiplies whole numbers only. The bias of a layer takes no part there: it belongs to the neuron's
    ``bias_q``.
    """

    weight: Tensor
    bias: Any
    mask: Tensor | None
    quantizer: WeightQuantizer | None
    integer: IntegerWeights | None

    def _start_synapse(self) -> None:
        self.register_buffer("mask", None)
        self.quantizer = None
        self.integer = None

    def set_mask(self, mask: Tensor | None) -> None:
        """Keep only the weights where ``mask`` (the weight's shape) is not 0; None keeps all.

        Raises:
            ModelError: the mask has another shape.
        """
        if mask is not None and mask.shape != self.weight.shape:
            raise ModelError(
                f"mask: found shape {tuple(mask.shape)}, expected the weight's {tuple(self.weight.shape)}"
            )
        self.mask = None if mask is None else (mask != 0).to(self.weight.dtype)

    def effective_weight(self) -> Tensor:
        """The weight the forward uses: masked, then quantized."""
        weight = self.weight if self.mask is None else self.weight * self.mask
        return weight if self.quantizer is None else self.quantizer(weight)

    def integers(self) -> tuple[Tensor, Tensor]:
        """Whole weights (int32) and scale per output channel, exactly those of the forward.

        Raises:
            ValueError: the layer has no quantizer.
        """
        if self.quantizer is None:
            raise ValueError("integers: found a layer without a quantizer, expected trainer.quant.prepare")
        with torch.no_grad():
            weight = self.weight if self.mask is None else self.weight * self.mask
            return self.quantizer.integers(weight)

    def currents(self, x: Tensor) -> Tensor:
        """Currents (steps, batch, ...) of spikes or input x (steps, batch, ...)."""
        integer = self.integer
        if integer is not None and not self.training:
            return each_step(
                lambda batch: shifted(self.apply_weight(batch.double(), integer.weight, None), integer.shift),
                x,
            )
        weight = self.effective_weight()
        return each_step(lambda batch: self.apply_weight(batch, weight, self.bias), x)

    def apply_weight(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """The linear map of one batch."""
        raise NotImplementedError
