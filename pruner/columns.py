"""Runs of a layer's inputs that live and die together, such as the rows of a kernel."""

from __future__ import annotations

import torch
from torch import Tensor

from pruner.allocation import UNAVAILABLE
from pruner.granularity import Granularity
from pruner.topology import Prunable


def run_length(layer: Prunable, granularity: Granularity) -> int:
    """Neighbouring inputs of a weight row that share a fate."""
    return (
        int(layer.weight.shape[-1]) if granularity is Granularity.KERNEL_ROW and layer.weight.dim() > 2 else 1
    )


def pooled(saliency: Tensor, length: int, fixed: int) -> Tensor:
    """Saliencies (groups, runs [+ fixed]): the mean over a run's living weights, dead where all are."""
    if length == 1:
        return saliency
    inputs = saliency.shape[1] - fixed
    runs = saliency[:, :inputs].reshape(len(saliency), -1, length)
    there = runs > UNAVAILABLE
    mean = torch.where(there, runs, 0.0).sum(2) / there.sum(2).clamp_min(1)
    mean = mean.masked_fill(~there.any(2), UNAVAILABLE)
    return torch.cat([mean, saliency[:, inputs:]], 1)


def run_sizes(sizes: Tensor, mask: Tensor, length: int, fixed: int) -> Tensor:
    """Living weights of each run, from the sizes of single entries (groups, inputs)."""
    if length == 1:
        return sizes
    inputs = sizes.shape[1] - fixed
    alive = (sizes * mask)[:, :inputs].reshape(len(sizes), -1, length).sum(2)
    return torch.cat([alive, sizes[:, inputs:]], 1)


def spread(mask: Tensor, before: Tensor, length: int, fixed: int) -> Tensor:
    """A mask of runs back over the inputs, within the mask of before."""
    if length == 1:
        return mask
    runs = mask.shape[1] - fixed
    return torch.cat([mask[:, :runs].repeat_interleave(length, 1), mask[:, runs:]], 1) & before
