"""Stateless layers over (steps, batch, ...): linear maps, batch norm, pooling, flatten.

They fold the steps into the batch, and compute an input that is held constant over time only once.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from runtime.errors import ModelError, UnsupportedError
from trainer.held import each_step
from trainer.synapse import Synapse

Pair = int | tuple[int, int]


def pair(value: Pair, one_dimensional: bool = False) -> tuple[int, int]:
    """(height, width) of a size given once or twice; height 1 (or no padding) is added by the caller."""
    if isinstance(value, tuple):
        return value
    return (1, value) if one_dimensional else (value, value)


class Linear(Synapse, nn.Linear):
    """Fully connected synapses from (steps, batch, in) to (steps, batch, out)."""

    def __init__(self, in_features: int, out_features: int, bias: bool = False) -> None:
        nn.Linear.__init__(self, in_features, out_features, bias)
        self._start_synapse()

    def apply_weight(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return F.linear(x, weight, bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.currents(x)


class Conv2d(Synapse, nn.Conv2d):
    """Convolution of (steps, batch, channels, height, width), zero padding."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Pair,
        stride: Pair = 1,
        padding: Pair = 0,
        dilation: Pair = 1,
        groups: int = 1,
        bias: bool = False,
    ) -> None:
        sizes = [pair(v) for v in (kernel_size, stride, padding, dilation)]
        kernel, step, margin, spread = sizes
        nn.Conv2d.__init__(
            self, in_channels, out_channels, kernel, step, margin, spread, groups=groups, bias=bias
        )
        self._start_synapse()

    def apply_weight(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        padding = _padding(self.padding)
        return F.conv2d(x, weight, bias, self.stride, padding, self.dilation, self.groups)

    def forward(self, x: Tensor) -> Tensor:
        return self.currents(x)


class Conv1d(Synapse, nn.Conv1d):
    """Convolution of (steps, batch, channels, length), zero padding."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: int = 0,
        dilation: int = 1,
        groups: int = 1,
        bias: bool = False,
    ) -> None:
        nn.Conv1d.__init__(
            self, in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias
        )
        self._start_synapse()

    def apply_weight(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        padding = _padding(self.padding)
        return F.conv1d(x, weight, bias, self.stride, padding, self.dilation, self.groups)

    def forward(self, x: Tensor) -> Tensor:
        return self.currents(x)


def _padding(padding: str | tuple[int, ...]) -> tuple[int, ...]:
    if isinstance(padding, str):
        raise UnsupportedError(f"convolution padding: found {padding!r}, expected numbers")
    return padding


class Skip(Synapse):
    """Diagonal synapses: one weight per channel, an identity skip unless ``learn`` is set."""

    def __init__(self, channels: int, weight: float = 1.0, learn: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((channels,), weight), requires_grad=learn)
        self.bias = None
        self._start_synapse()

    def apply_weight(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return x * weight.reshape(-1, *[1] * (x.dim() - 2))

    def forward(self, x: Tensor) -> Tensor:
        return self.currents(x)


class BatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch norm per channel over steps, batch and positions, directly after a linear map.

    While ``frozen`` it normalizes by its running statistics in training too, and leaves them as they are.
    """

    frozen = False

    def train(self, mode: bool = True) -> BatchNorm:
        super().train(mode and not self.frozen)
        return self

    def forward(self, x: Tensor) -> Tensor:
        return each_step(super().forward, x)

    def _check_input_dim(self, x: Tensor) -> None:
        if x.dim() < 2:
            raise ModelError(f"batch norm: found input of {x.dim()} axes, expected channels on axis 1")


class Pool(nn.Module):
    """Windows over the trailing axes of (steps, batch, channels, [height,] width)."""

    def __init__(self, kernel: Pair, stride: Pair | None = None, padding: Pair = 0) -> None:
        super().__init__()
        self._sizes = (kernel, kernel if stride is None else stride, padding)
        self.whole = False
        """Set by ``trainer.integer.attach``: evaluation runs on whole numbers."""

    def window(self, flat: bool) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
        """Kernel, stride and padding as (height, width); ``flat`` for (channels, length) maps, where a
        single number is a length."""
        kernel, stride, padding = self._sizes
        low = padding if isinstance(padding, tuple) else (0 if flat else padding, padding)
        return pair(kernel, flat), pair(stride, flat), low

    def forward(self, x: Tensor) -> Tensor:
        if x.dim() == 4:
            return each_step(lambda batch: self.pool(batch.unsqueeze(2), True).squeeze(2), x)
        return each_step(lambda batch: self.pool(batch, False), x)

    def area(self, flat: bool) -> int:
        """Positions in a window."""
        height, width = self.window(flat)[0]
        return height * width

    def pool(self, x: Tensor, flat: bool) -> Tensor:
        """Pool one batch (batch, channels, height, width)."""
        raise NotImplementedError

    def extra_repr(self) -> str:
        return "kernel={}, stride={}, padding={}".format(*self._sizes)


class SumPool(Pool):
    """Sum over windows: every spike stays an event of its own."""

    def pool(self, x: Tensor, flat: bool) -> Tensor:
        kernel, stride, padding = self.window(flat)
        return F.avg_pool2d(x, kernel, stride, padding, divisor_override=1)


class AvgPool(Pool):
    """Mean over windows. In whole numbers it sums: the factor belongs to the scale of what follows."""

    def pool(self, x: Tensor, flat: bool) -> Tensor:
        kernel, stride, padding = self.window(flat)
        whole = self.whole and not self.training
        return F.avg_pool2d(x, kernel, stride, padding, divisor_override=1 if whole else None)


class MaxPool(Pool):
    """Largest of each window, of spikes or of currents; padding never wins."""

    def pool(self, x: Tensor, flat: bool) -> Tensor:
        kernel, stride, padding = self.window(flat)
        return F.max_pool2d(x, kernel, stride, padding)


class Flatten(nn.Module):
    """(steps, batch, channels, height, width) to (steps, batch, neurons), in that order."""

    def forward(self, x: Tensor) -> Tensor:
        return each_step(lambda batch: batch.flatten(1), x)
