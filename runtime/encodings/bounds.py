"""How few bits a table's weights could take: the two bounds of ``docs/format.md``."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runtime.encodings.sparse import Sparse


@dataclass(frozen=True)
class Bounds:
    """Bits that a table needs at least, under two models of its mask; the weights' entropy is in both."""

    nonzeros: int
    values: float
    """Entropy of the nonzero weights, all of one distribution."""
    zero_order: float
    """``values`` and a mask whose cells share one density, known for nothing."""
    per_row: float
    """``values`` and a mask whose rows have a density each, learnt while reading."""

    @property
    def smaller(self) -> float:
        return min(self.zero_order, self.per_row)

    def ratio(self, stored_bytes: int) -> float:
        """Stored bits over the smaller bound; infinite for a table that needs none."""
        return 8 * stored_bytes / self.smaller if self.smaller > 0 else math.inf


def bounds(sparse: Sparse) -> Bounds:
    """Both bounds of a table."""
    cells, kept = sparse.rows * sparse.columns, sparse.nonzeros
    counts = sparse.symbols[1].astype(np.float64)
    values = float(-(counts * np.log2(counts / max(kept, 1))).sum())
    mask = cells * binary_entropy(kept / cells)
    return Bounds(kept, values, values + mask, values + float(_learnt(sparse.per_row, sparse.columns)))


def binary_entropy(share: float) -> float:
    """Bits of one cell that is set with this probability."""
    if share in (0.0, 1.0):
        return 0.0
    return -share * math.log2(share) - (1 - share) * math.log2(1 - share)


def _learnt(per_row: NDArray[np.int64], columns: int) -> float:
    """Bits of all rows: how many nonzeros each has, evenly spread over 0..columns, then which they are."""
    found, times = np.unique(per_row, return_counts=True)
    bits = [math.log2(columns + 1) + _log2_choose(columns, kept) for kept in found.tolist()]
    return math.fsum(bit * int(often) for bit, often in zip(bits, times, strict=True))


def _log2_choose(n: int, k: int) -> float:
    return (math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)) / math.log(2)
