"""Where neurons stand: maps position by position with channels side by side, accumulators with margins."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runtime.program import ConvSynapses, Population

Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Map:
    """A population as (height, width, channels); anything but a three-axis shape is one position."""

    channels: int
    height: int
    width: int

    @classmethod
    def of(cls, population: Population) -> Map:
        shape = population.shape
        if len(shape) == 3:
            return cls(shape[0], shape[1], shape[2])
        return cls(int(np.prod(shape)), 1, 1)

    @property
    def neurons(self) -> int:
        return self.channels * self.height * self.width

    @property
    def canonical(self) -> Numbers:
        """Canonical number (channel, row, column) of the neuron at each place of this order: (neurons,)."""
        numbers = np.arange(self.neurons).reshape(self.channels, self.height, self.width)
        return np.ascontiguousarray(numbers.transpose(1, 2, 0)).ravel()


@dataclass(frozen=True)
class Reach:
    """Where kernel cells put an event along one axis: ``phase`` is the event's position modulo the stride.

    ``way[cell]`` is the phase that the cell serves and ``step[cell]`` the output position it hits, counted
    from ``position // stride``.
    """

    stride: int
    way: tuple[int, ...]
    step: tuple[int, ...]
    before: int
    """Positions in front of the first output that events may hit."""
    after: int


def reach(synapses: ConvSynapses, axis: int) -> Reach:
    """The reach of a convolution along rows (axis 0) or columns (1)."""
    stride, padding = synapses.stride[axis], synapses.padding[axis]
    shift = [padding - cell * synapses.dilation[axis] for cell in range(synapses.kernel[axis])]
    way = tuple(-s % stride for s in shift)
    step = tuple((s + w) // stride for s, w in zip(shift, way, strict=True))
    last = (synapses.in_shape[1 + axis] - 1) // stride + max(step)
    return Reach(stride, way, step, max(0, -min(step)), max(0, last - synapses.out_shape[1 + axis] + 1))


@dataclass(frozen=True)
class Plane:
    """Accumulators of a population: its map inside margins wide enough for every projection into it."""

    map: Map
    top: int = 0
    bottom: int = 0
    left: int = 0
    right: int = 0

    @property
    def pitch(self) -> int:
        """From a row to the next."""
        return (self.left + self.map.width + self.right) * self.map.channels

    @property
    def first(self) -> int:
        """Of the population's first neuron."""
        return self.top * self.pitch + self.left * self.map.channels

    @property
    def size(self) -> int:
        return (self.top + self.map.height + self.bottom) * self.pitch


def plane(population: Map, convolutions: list[ConvSynapses]) -> Plane:
    """The smallest plane in which no event of these convolutions needs a check."""
    rows = [reach(synapses, 0) for synapses in convolutions]
    columns = [reach(synapses, 1) for synapses in convolutions]
    return Plane(
        population,
        max((r.before for r in rows), default=0),
        max((r.after for r in rows), default=0),
        max((r.before for r in columns), default=0),
        max((r.after for r in columns), default=0),
    )
