"""The weights of a projection output by output, in groups whose sums fit a byte."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

HIGHEST, LOWEST = 127, -128
SHORTEST = 4
"""Weights below which a group is not worth joining."""


@dataclass(frozen=True)
class Sorted:
    """``records`` (outputs, 12 bytes), mask rows and values of all groups, padded with zeros."""

    records: NDArray[np.uint8]
    rows: NDArray[np.uint16]
    values: NDArray[np.int8]
    narrow: bool

    @property
    def bytes(self) -> int:
        return self.records.nbytes + self.rows.nbytes + self.values.nbytes


def sort_weights(matrix: NDArray[np.int32], pitch_bytes: int) -> Sorted:
    """``matrix`` (mask rows, outputs). Outputs with groups alike follow one another, so that a processor
    guesses the ends of their loops; sums of output o go to o x ``pitch_bytes``."""
    output, row = np.nonzero(matrix.T)
    value = matrix[row, output]
    bounds = np.searchsorted(output, np.arange(matrix.shape[1] + 1))
    parts = [value[a:b] for a, b in pairwise(bounds)]
    shapes = [_groups(part) for part in parts]
    narrow = all(groups <= 1 or pairs * 2 >= SHORTEST for groups, pairs in shapes) and all(
        pairs > 0 or part.size == 0 for (_, pairs), part in zip(shapes, parts, strict=True)
    )
    if not narrow:
        shapes = [(int(part.size > 0), -(-part.size // 2)) for part in parts]
    order = sorted(range(len(parts)), key=lambda o: shapes[o])
    rows, values = [], []
    records = np.zeros(len(parts), [("to", "<i4"), ("groups", "<u2"), ("pairs", "<u2"), ("entries", "<i4")])
    for place, o in enumerate(order):
        groups, pairs = shapes[o]
        entries = groups * pairs * 2
        spare = entries - parts[o].size
        rows.append(np.pad(row[bounds[o] : bounds[o + 1]], (0, spare)))
        values.append(np.pad(parts[o], (0, spare)))
        records[place] = (o * pitch_bytes, groups, pairs, entries)
    return Sorted(
        records.view(np.uint8).ravel(),
        np.concatenate(rows).astype(np.uint16),
        np.concatenate(values).astype(np.int8),
        narrow,
    )


def _groups(values: NDArray[np.int32]) -> tuple[int, int]:
    """How many groups, and pairs of each, so that no choice of spikes takes a group's sum out of int8;
    (0, 0) where that takes groups too short."""
    rising, falling = np.maximum(values, 0), np.minimum(values, 0)
    groups = max(1, -(-int(rising.sum()) // HIGHEST), -(-int(falling.sum()) // LOWEST)) if values.size else 0
    while groups:
        pairs = -(-values.size // (2 * groups))
        starts = np.arange(0, values.size, 2 * pairs)
        high, low = np.add.reduceat(rising, starts).max(), np.add.reduceat(falling, starts).min()
        if high <= HIGHEST and low >= LOWEST:
            return groups, pairs
        groups += 1
        if 2 * pairs < SHORTEST:
            return 0, 0
    return 0, 0
