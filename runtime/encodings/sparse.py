"""A table's matrix seen once: its nonzeros, and what every encoder asks of them."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


class Sparse:
    """The nonzeros of ``matrix`` (rows, columns), row by row: ``row``, ``column`` and ``weight`` (n,).

    ``taps``: of a convolution's table, the kernel cells that lie side by side for one output channel;
    1 of any other.
    """

    def __init__(self, matrix: NDArray[np.int32], taps: int = 1) -> None:
        self.matrix = matrix
        self.taps = taps
        self.rows, self.columns = matrix.shape
        flat = np.flatnonzero(matrix)
        self.row: Ints = flat // self.columns
        self.column: Ints = flat - self.row * self.columns
        self.weight: NDArray[np.int32] = matrix.ravel()[flat]

    @property
    def nonzeros(self) -> int:
        return int(self.weight.size)

    @property
    def density(self) -> float:
        return float(self.nonzeros / (self.rows * self.columns))

    @cached_property
    def per_row(self) -> Ints:
        """Nonzeros of each row (rows,)."""
        return np.bincount(self.row, minlength=self.rows).astype(np.int64)

    @cached_property
    def skips(self) -> Ints:
        """Zero columns before each nonzero, counted from the one before it in its row (n,)."""
        skip = self.column.copy()
        skip[1:] -= np.where(self.row[1:] == self.row[:-1], self.column[:-1] + 1, 0)
        return skip

    @cached_property
    def signs_only(self) -> bool:
        """Whether every nonzero is +1 or -1."""
        return not np.any(np.abs(self.weight) != 1)

    @cached_property
    def symbols(self) -> tuple[NDArray[np.int32], Ints]:
        """The distinct weights, rising, and how often each stands in the matrix."""
        values, counts = np.unique(self.weight, return_counts=True)
        return values, counts.astype(np.int64)

    def row_sums(self, amounts: Ints) -> Ints:
        """Sum of one amount per nonzero over each row (rows,)."""
        sums = np.zeros(self.rows, np.int64)
        if amounts.size:
            first = np.flatnonzero(np.diff(self.row, prepend=-1))
            sums[self.row[first]] = np.add.reduceat(amounts, first)
        return sums

    def within_rows(self, amounts: Ints) -> Ints:
        """Sum of the amounts before each nonzero in its row (n,)."""
        before = np.cumsum(amounts) - amounts
        first = np.concatenate([[0], np.cumsum(self.per_row)[:-1]])
        start = before[np.minimum(first, max(before.size - 1, 0))] if before.size else np.zeros(self.rows)
        reached: Ints = before - start[self.row].astype(np.int64)
        return reached

    @cached_property
    def quotients(self) -> Ints:
        """Sum over each row of ``skip >> k`` for k in 0..15 (16, rows): the unary parts of Rice codes."""
        largest = int(self.skips.max(initial=0))
        none = np.zeros(self.rows, np.int64)
        return np.stack([self.row_sums(self.skips >> k) if largest >> k else none for k in range(16)])
