"""What is kept or pruned together: single weights, blocks, rows of a kernel, whole channels."""

from __future__ import annotations

from enum import Enum

import torch
from torch import Tensor

from pruner.allocation import UNAVAILABLE


class Granularity(Enum):
    """Groups of weights that live and die together. A fully connected layer's channel is a neuron's
    whole fan-in; a block is that many neighbouring outputs of one input."""

    WEIGHT = "weight"
    BLOCK_4 = "1x4"
    BLOCK_8 = "1x8"
    BLOCK_16 = "1x16"
    KERNEL_ROW = "kernel-row"
    CHANNEL = "channel"


BLOCKS = {Granularity.BLOCK_4: 4, Granularity.BLOCK_8: 8, Granularity.BLOCK_16: 16}


def groups(shape: torch.Size, granularity: Granularity) -> Tensor:
    """Number of the group each weight is in, int64 of the weight's shape (post, pre, *kernel)."""
    places = torch.arange(shape.numel()).view(shape)
    if granularity is Granularity.CHANNEL:
        return torch.arange(shape[0]).view(-1, *[1] * (len(shape) - 1)).expand(shape).contiguous()
    if granularity is Granularity.KERNEL_ROW and len(shape) > 2:
        return places // shape[-1]
    if granularity in BLOCKS:
        first = torch.arange(shape[0]) // BLOCKS[granularity]
        inner = shape[1:].numel()
        return (first[:, None] * inner + torch.arange(inner)).view(shape)
    return places


def together(score: Tensor, granularity: Granularity) -> Tensor:
    """Scores with each weight's replaced by the mean over its group's available weights."""
    if granularity is Granularity.WEIGHT:
        return score
    number = groups(score.shape, granularity).flatten()
    flat = score.flatten().double()
    there = flat > UNAVAILABLE
    size = int(number.max()) + 1
    total = torch.zeros(size, dtype=torch.float64).index_add_(0, number[there], flat[there])
    count = torch.zeros(size, dtype=torch.float64).index_add_(0, number, there.double())
    mean = (total / count.clamp_min(1.0))[number]
    return torch.where(there, mean, UNAVAILABLE).view(score.shape)


def whole(mask: Tensor, available: Tensor, granularity: Granularity) -> Tensor:
    """``mask`` without the groups of which it has only a part of what is available."""
    if granularity is Granularity.WEIGHT:
        return mask
    number = groups(mask.shape, granularity).flatten()
    missing = torch.zeros(int(number.max()) + 1).index_add_(0, number, (available & ~mask).flatten().float())
    return mask & (missing == 0)[number].view(mask.shape)
