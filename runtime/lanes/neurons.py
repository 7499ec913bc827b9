"""What firing takes: parameters vector by vector, and whether int16 and no clamp will do."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runtime.lanes.arena import Arena
from runtime.lanes.layout import Grid
from runtime.prepare import Neurons

Numbers = NDArray[np.int64]
NEVER_16, NEVER_32 = (1 << 15) - 1, (1 << 31) - 1
INSIDE_16 = (1 << 15) - 2


@dataclass(frozen=True)
class Fixed:
    """Parameters in the arena: ``at`` of the first vector, ``map`` to the next map's, ``chunk`` to the next
    vector's, ``tail`` to a map's last."""

    wide: bool
    at: int
    map: int
    chunk: int
    tail: int
    chunks: int
    """Vectors of a map."""
    maps: int


def place(group: Neurons, grid: Grid, arena: Arena, reach: tuple[Numbers, Numbers] | None) -> Fixed:
    """``reach``: lowest and highest sum of a step for each neuron; None for 32 bits."""
    wide = reach is None or not _fits(group, grid, reach)
    lanes, dtype = (16, np.int32) if wide else (32, np.int16)
    never = NEVER_32 if wide else NEVER_16
    threshold = np.clip(group.threshold.astype(np.int64), -never, never)
    parts = [
        grid.spread(values, pad).astype(dtype)
        for values, pad in ((threshold, never), (group.amount, 0), (group.bias, 0), (group.start, 0))
    ]
    maps = grid.maps if grid.tall else 1
    blocks = np.stack(parts).reshape(4, maps, -1, lanes).transpose(1, 2, 0, 3)
    chunks = blocks.shape[1]
    size = 4 * lanes * blocks.itemsize
    if chunks > 2 and np.all(blocks[:, :1] == blocks[:, :-1]):
        return Fixed(wide, arena.put(blocks[:, [0, -1]]), 2 * size, 0, size, chunks, maps)
    return Fixed(wide, arena.put(blocks), chunks * size, size, (chunks - 1) * size, chunks, maps)


def _fits(group: Neurons, grid: Grid, reach: tuple[Numbers, Numbers]) -> bool:
    """Whether, whatever is heard, no membrane leaves int16 or its clamp: intervals, step by step."""
    rules = group.lif
    assert rules is not None
    k1, m1, _, m2, left, _, right, keep, lowest, highest, fires = rules.tolist()
    if m2 or left or right or not fires:
        return False
    threshold, amount, bias = (a.astype(np.int64) for a in (group.threshold, group.amount, group.bias))
    low = high = group.start.astype(np.int64)
    if max(np.abs(amount).max(), np.abs(bias).max()) > INSIDE_16:
        return False
    for _ in range(grid.steps):
        under = low - ((low >> k1) & m1) + bias + reach[0]
        over = high - ((high >> k1) & m1) + bias + reach[1]
        if under.min() < -INSIDE_16 or over.max() > INSIDE_16:
            return False
        may, must = over >= threshold, under >= threshold
        first = (np.maximum(under, threshold) & keep) + amount
        last = (over & keep) + amount
        low = np.where(must, first, np.where(may, np.minimum(under, first), under))
        high = np.where(must, last, np.where(may, np.maximum(np.minimum(over, threshold - 1), last), over))
        if low.min() < lowest or high.max() > highest:
            return False
    return True
