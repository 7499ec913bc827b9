"""Where a population's spikes lie: map by map through all steps, or step by step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.lanes.arena import Arena
from runtime.program import Population

VECTOR, BESIDE, TILE = 32, 64, 16
SMALL_MAP = 16
"""Places up to which a step's maps lie side by side: larger ones fill vectors of their own."""
WIDEST = 128


def up(size: int, unit: int) -> int:
    return -(-size // unit) * unit


@dataclass(frozen=True)
class Grid:
    """A population as maps of places; ``padded`` places are room, ``tall`` ones lie map by map."""

    maps: int
    height: int
    width: int
    steps: int

    @classmethod
    def of(cls, population: Population, steps: int) -> Grid:
        shape = population.shape
        if len(shape) == 3:
            return cls(shape[0], shape[1], shape[2], steps)
        return cls(int(np.prod(shape)), 1, 1, steps)

    @property
    def places(self) -> int:
        return self.height * self.width

    @property
    def tall(self) -> bool:
        return self.places > SMALL_MAP

    @property
    def padded(self) -> int:
        return up(self.places, VECTOR) if self.tall else 1 << (self.places - 1).bit_length()

    @property
    def neurons(self) -> int:
        """Room for a step's neurons."""
        size = self.maps * self.padded
        return size if self.tall else up(size, BESIDE)

    @property
    def block(self) -> int:
        """Lanes that sums are held of at once."""
        lanes = self.steps * self.padded
        fitting = [size for size in (16, 32, 64, 128) if size >= lanes]
        if fitting:
            return fitting[0]
        return WIDEST if up(lanes, WIDEST) <= up(lanes, WIDEST // 2) * 1.1 else WIDEST // 2

    @property
    def pitch(self) -> int:
        """Lanes of a map: all its places at all steps, in whole blocks."""
        return up(self.steps * self.padded, self.block)

    @property
    def step(self) -> int:
        """From a step's masks to the next step's."""
        return self.padded if self.tall else self.neurons

    @property
    def map(self) -> int:
        """From a map's masks to the next map's."""
        return self.pitch if self.tall else self.padded

    def spread(self, values: NDArray[Any], pad: int) -> NDArray[Any]:
        """One value a neuron, in canonical order, with room: (neurons,)."""
        wide = np.full((self.maps, self.padded), pad, values.dtype)
        wide[:, : self.places] = values.reshape(self.maps, self.places)
        return np.pad(wide.ravel(), (0, self.neurons - wide.size), constant_values=pad)

    def gathered(self, values: NDArray[Any]) -> NDArray[Any]:
        """The other way round: (maps x places,)."""
        wide = values[: self.maps * self.padded].reshape(self.maps, self.padded)
        return wide[:, : self.places].ravel()

    def room(self, arena: Arena) -> int:
        """Room for the masks, and for the vectors that pass over their end."""
        size = self.maps * self.pitch if self.tall else up(self.steps, TILE) * self.neurons
        return arena.room(size + TILE * self.step, before=self.height * self.width + VECTOR)
