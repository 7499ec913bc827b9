"""The weight grid: whole numbers with one real scale per output channel, in the forward of training.

The forward uses ``integers * scale`` and the gradient passes straight through to the real weight
(Bengio, Léonard and Courville 2013). Scales live in buffers: they follow the weights while training and
stand still in evaluation, so the integers that leave are the integers that were used.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

import torch
from torch import Tensor, nn

from runtime.errors import ModelError
from trainer.synapse import Synapse

REFRESH_STEPS = 32
"""Training forwards between two looks for the best scale; a search on 800 x 784 takes about 20 ms."""

DEAD_CHANNEL_SHIFT = 8
"""A channel without surviving weight takes threshold / 2^8 as its scale (Contract 2)."""


class WeightBits(Enum):
    """Widths of a stored weight. The value is (name, bits, lowest, highest)."""

    INT8 = ("8", 8, -127, 127)
    INT4 = ("4", 4, -7, 7)
    INT3 = ("3", 3, -3, 3)
    INT2 = ("2", 2, -2, 1)
    TERNARY = ("ternary", 2, -1, 1)

    @property
    def bits(self) -> int:
        """Bits of one stored weight."""
        return self.value[1]

    @property
    def lowest(self) -> int:
        return self.value[2]

    @property
    def highest(self) -> int:
        return self.value[3]

    @classmethod
    def of(cls, name: int | str) -> WeightBits:
        """The width called ``name``: 8, 4, 3, 2 or "ternary".

        Raises:
            ModelError: there is no such width.
        """
        for width in cls:
            if width.value[0] == str(name):
                return width
        raise ModelError(f"weight bits: found {name!r}, expected 8, 4, 3, 2 or 'ternary'")


class _StraightThrough(torch.autograd.Function):
    """The grid value of a weight; its gradient is the weight's."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, on_grid: Tensor) -> Tensor:
        return on_grid.view_as(on_grid)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0], None


def channelwise(scale: Tensor, weight: Tensor) -> Tensor:
    """Per-channel values (channels,) to broadcast over a weight with the channel on axis 0."""
    return scale.reshape(-1, *[1] * (weight.dim() - 1))


def on_grid(weight: Tensor, scale: Tensor, width: WeightBits) -> Tensor:
    """Whole numbers (as reals) nearest to weight / scale, ties to even, clipped to the width."""
    return torch.round(weight / channelwise(scale, weight)).clamp_(width.lowest, width.highest)


def best_scale(weight: Tensor, width: WeightBits, shared: bool = False) -> Tensor:
    """Scale (channels,) for a weight; 0 where a channel has no weight left.

    Eight bits span the largest magnitude. Fewer bits clip: of 20 clipping points per channel the one with
    the least squared error is taken. ``shared`` gives all channels one scale.
    """
    rows = weight.detach().reshape(1 if shared else weight.shape[0], -1)
    peak = rows.abs().amax(1)
    top = peak / min(-width.lowest, width.highest)
    if width is not WeightBits.INT8:
        top = _search(rows, top, width)
    return top.expand(weight.shape[0]).clone()


def _search(rows: Tensor, top: Tensor, width: WeightBits) -> Tensor:
    best, least = top, torch.full_like(top, torch.inf)
    for part in torch.linspace(0.2, 1.0, 20).tolist():
        scale = (top * part).clamp(min=torch.finfo(rows.dtype).tiny)
        error = (on_grid(rows, scale, width) * scale[:, None] - rows).square_().sum(1)
        best = torch.where(error < least, top * part, best)
        least = torch.minimum(error, least)
    return best


@dataclass(frozen=True)
class GridRule:
    """How a layer's grid is tied to the population it feeds.

    ``dead`` is the scale of a channel without weights. ``anchor`` (channels,) is set for graded
    populations, whose scales must be ``anchor * 2^-m``.
    """

    width: WeightBits
    dead: Tensor
    shared: bool = False
    anchor: Tensor | None = None


class WeightQuantizer(nn.Module):
    """Puts one layer's weight on its grid. ``scale`` (channels,) and ``frozen`` travel in checkpoints."""

    scale: Tensor
    frozen: Tensor
    age: Tensor

    def __init__(self, rule: GridRule, channels: int) -> None:
        super().__init__()
        self.rule = rule
        self.group: ScaleGroup | None = None
        self.register_buffer("scale", torch.ones(channels))
        self.register_buffer("frozen", torch.tensor(False))
        self.register_buffer("age", torch.tensor(0))

    @property
    def width(self) -> WeightBits:
        return self.rule.width

    @property
    def bits(self) -> int:
        """Bits of one stored weight."""
        return self.rule.width.bits

    def forward(self, weight: Tensor) -> Tensor:
        """The weight on its grid, in real units; weights that are 0 stay 0."""
        if self.training:
            group = self.group
            if group is not None and group.leader is self and int(self.age) % REFRESH_STEPS == 0:
                group.refresh()
            self.age += 1
        whole, scale = self._whole(weight.detach()), channelwise(self.scale, weight)
        out: Tensor = _StraightThrough.apply(weight, whole * scale)  # type: ignore[no-untyped-call]
        return out

    def integers(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Whole weights (int32) and scale (channels,), exactly those the forward uses."""
        return self._whole(weight.detach()).to(torch.int32), self.scale.clone()

    def freeze(self, scale: Tensor | None = None) -> None:
        """Keep the scale (or take ``scale`` (channels,)) from now on: training moves integers only."""
        if scale is not None:
            self.scale.copy_(scale)
        self.frozen.fill_(True)

    def proposal(self, weight: Tensor) -> Tensor:
        """The scale (channels,) this layer would choose alone; dead channels get theirs."""
        own = best_scale(weight, self.rule.width, self.rule.shared)
        return torch.where(own > 0, own, self.rule.dead)

    def _whole(self, weight: Tensor) -> Tensor:
        return on_grid(weight, self.scale, self.rule.width)

    def extra_repr(self) -> str:
        return f"bits={self.rule.width.value[0]}, shared={self.rule.shared}"


@dataclass(frozen=True)
class Member:
    """A layer of a scale group; ``factor`` is the real value of one presynaptic unit."""

    synapse: Synapse
    quantizer: WeightQuantizer
    factor: float


class ScaleGroup:
    """Layers that feed one population: their scales times factors differ by powers of two.

    The member with the smallest unit is the base: the others get ``base * 2^e`` with e >= 0, one exponent
    a layer, so that every integer current reaches the membrane by a left shift.
    """

    def __init__(self, members: tuple[Member, ...]) -> None:
        self.members = members

    @property
    def leader(self) -> WeightQuantizer:
        """The member whose forwards set the pace of ``refresh``."""
        return self.members[0].quantizer

    def refresh(self) -> None:
        """Choose the scales anew from the weights as they are; frozen groups stay."""
        if any(bool(m.quantizer.frozen) for m in self.members):
            return
        units = [m.quantizer.proposal(_masked(m.synapse)) * m.factor for m in self.members]
        shared = self._shared(units)
        for member, unit in zip(self.members, shared, strict=True):
            member.quantizer.scale.copy_(unit / member.factor)

    def _shared(self, units: list[Tensor]) -> list[Tensor]:
        exponents = _exponents(units)
        # A flattened convolution has one scale per channel where a linear layer beside it has one per neuron.
        coarsest = min(range(len(units)), key=lambda n: len(units[n]))
        channels = len(units[coarsest])
        wanted = [
            (unit * 2.0**-e).reshape(channels, -1).amax(1) for unit, e in zip(units, exponents, strict=True)
        ]
        base = torch.stack(wanted).amax(0)
        rule = self.members[coarsest].quantizer.rule
        if rule.anchor is not None:
            base = _snap(base, rule.anchor, up=rule.width is WeightBits.INT8)
        return [
            (base * 2.0**e).repeat_interleave(len(unit) // channels)
            for unit, e in zip(units, exponents, strict=True)
        ]


def _exponents(units: list[Tensor]) -> list[int]:
    medians = torch.stack([unit.log2().median() for unit in units])
    return [int(e) for e in (medians - medians.min()).round()]


def _snap(unit: Tensor, anchor: Tensor, up: bool) -> Tensor:
    """``anchor * 2^-m`` next to ``unit``: at least ``unit`` when ``up``, so that nothing clips."""
    steps = (unit / anchor).log2()
    return anchor * torch.exp2(steps.ceil() if up else steps.round())


def _masked(synapse: Synapse) -> Tensor:
    weight = synapse.weight.detach()
    return weight if synapse.mask is None else weight * synapse.mask


def refresh(net: nn.Module) -> None:
    """Choose all scales anew, after weights or masks were changed from outside a forward."""
    for group in {id(q.group): q.group for q in net.modules() if isinstance(q, WeightQuantizer)}.values():
        if group is not None:
            group.refresh()
