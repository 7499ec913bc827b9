"""What a pruning run has taken so far: seconds and sample passes, also across a resume."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Spent:
    """Seconds, and samples sent through the net, forward or back."""

    seconds: float = 0.0
    sample_passes: int = 0


class Ledger:
    """Counts from ``begin`` on; ``recall`` puts what an earlier part of the run took before it."""

    def __init__(self) -> None:
        self._before = Spent()
        self._began = time.perf_counter()
        self._per_step = self._first = 0
        self._step = -1

    def begin(self, batch_size: int, step: int) -> None:
        """The run goes on at ``step``; each sends a batch forward and back."""
        self._per_step, self._first, self._step = 2 * batch_size, step, step - 1
        self._began = time.perf_counter()

    def reach(self, step: int) -> None:
        """The optimiser's step ``step`` is done."""
        self._step = step

    def look(self, samples: int) -> None:
        """So many samples went through for the log alone."""
        self._before = replace(self._before, sample_passes=self._before.sample_passes + samples)

    @property
    def spent(self) -> Spent:
        steps = self._step + 1 - self._first
        return Spent(
            self._before.seconds + time.perf_counter() - self._began,
            self._before.sample_passes + self._per_step * steps,
        )

    def recall(self, memory: Mapping[str, Any]) -> None:
        """Take back an earlier ``spent``, as values JSON can hold."""
        self._before = Spent(**memory)
