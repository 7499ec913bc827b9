"""One array for all that a network keeps between and during runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

LINE = 64
"""Everything starts at a cache line: a vector that crosses one takes twice the time."""
SLACK = 256
"""Bytes behind everything: vectors may read and write beyond what they mean."""


@dataclass
class Arena:
    """Offsets handed out one after the other, and what lies there from the start."""

    size: int = 0
    held: list[tuple[int, NDArray[np.uint8]]] = field(default_factory=list)

    def room(self, size: int, before: int = 0) -> int:
        """So many bytes of zeros, with at least ``before`` more in front."""
        at = -(-(self.size + before) // LINE) * LINE
        self.size = at + size + SLACK
        return at

    def put(self, array: NDArray[Any]) -> int:
        """An array's bytes."""
        at = self.room(array.nbytes)
        self.held.append((at, np.ascontiguousarray(array).view(np.uint8).ravel()))
        return at

    def build(self) -> NDArray[np.uint8]:
        """The array itself, at a cache line."""
        raw = np.zeros(self.size + LINE, np.uint8)
        ahead = -raw.ctypes.data % LINE
        memory = raw[ahead : ahead + self.size]
        for at, part in self.held:
            memory[at : at + part.size] = part
        return memory
