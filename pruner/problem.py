"""A layer's least-squares problem: its rows, one part a convolution group, and masks over them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pruner.hessian import Moments, flat_weight
from pruner.second_order import Rows, sizes_of
from pruner.topology import Prunable

Masks = dict[str, Tensor]
"""Group masks (groups of rows, inputs) by layer, or ``layer#group`` for grouped convolutions."""


@dataclass(frozen=True)
class Problem:
    """A layer's rows, one part a convolution group, by the part's name."""

    parts: dict[str, Rows]

    @classmethod
    def of(
        cls, name: str, layer: Prunable, moments: Moments, importance: Tensor, options: tuple[float, int]
    ) -> Problem:
        damping, block = options
        weight, fixed = flat_weight(layer), int(layer.bias is not None)
        groups = len(moments.moment)
        parts = {}
        moment = moments.moment / moments.rows
        for group, (square, start, weigh) in enumerate(
            zip(moment, weight.chunk(groups), importance.chunk(groups), strict=True)
        ):
            cross = start @ square
            if moments.cross.dim():
                cross = moments.cross.chunk(groups)[group] / moments.rows
            inputs = len(square) - fixed
            level = damping * float(square.diagonal()[:inputs].mean()) + 1e-12
            own = Rows(square, cross, start, weigh, fixed, level, block)
            if moments.events.dim():
                own = replace(own, activity=moments.events[group] / moments.rows)
            parts[part_name(name, group, groups)] = own
        return cls(parts)


def part_name(name: str, group: int, groups: int) -> str:
    """Name of one group of a layer."""
    return name if groups == 1 else f"{name}#{group}"


def living(masks: Mapping[str, Tensor], parts: Mapping[str, Rows]) -> int:
    """Weights that live, biases not counted."""
    return sum(int((masks[key] * sizes_of(parts[key])).sum()) for key in masks)


def grouped(part: Rows, rows: Tensor) -> Tensor:
    """Mask (groups, inputs) of row masks (rows, weights): an input lives where it does in any row.

    A row without weights has no bias either: it is a neuron given up.
    """
    if part.fixed:
        rows = torch.cat([rows, rows.any(1, keepdim=True).expand(-1, part.fixed)], 1)
    missing = part.groups * part.block - len(rows)
    padded = torch.cat([rows, torch.zeros(missing, rows.shape[1], dtype=torch.bool)])
    return padded.view(part.groups, part.block, -1).any(1)
