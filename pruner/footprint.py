"""How many bytes a layer's synapses would take as stored by the runtime."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from runtime.encodings import size_bytes, smallest


def stored_bytes(weight: Tensor, *, bits: int = 8, groups: int = 1) -> int:
    """Exact size of the smallest encoding of the weight's table at ``bits`` per weight.

    The weight is rounded per output channel as if it were quantised now, so that a size can be
    followed while a network is still trained in floating point.
    """
    table = table_of(_round(weight.detach(), bits), groups)
    taps = math.prod(weight.shape[2:])
    return size_bytes(table, smallest(table, bits, taps=taps), bits, taps=taps)


def table_of(weight: Tensor, groups: int = 1) -> NDArray[np.int32]:
    """The runtime's (rows, columns) table of whole-number weights (post, pre per group, *kernel): one row
    for each presynaptic neuron or channel, its columns the targets (and kernel places) of its group."""
    post = weight.shape[0] // groups
    rows = [weight[group * post : (group + 1) * post].transpose(0, 1).flatten(1) for group in range(groups)]
    return np.ascontiguousarray(torch.cat(rows).numpy().astype(np.int32))


def _round(weight: Tensor, bits: int) -> Tensor:
    highest = 2 ** (bits - 1) - 1
    peak = weight.flatten(1).abs().amax(1).clamp_min(1e-30).view(-1, *[1] * (weight.dim() - 1))
    # a living weight never rounds to zero here: sizes follow the mask, not the accident of a scale
    rounded = (weight / peak * highest).round()
    return torch.where((weight != 0) & (rounded == 0), weight.sign(), rounded)
