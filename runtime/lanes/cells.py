"""What each cell of a convolution's kernel sees of a map."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from runtime.lanes.layout import Grid
from runtime.program import ConvSynapses


def cells_of(synapses: ConvSynapses, grid: Grid) -> tuple[NDArray[np.int64], NDArray[np.int8]]:
    """For each kernel cell: how many bytes on what it sees lies, and a mask of the lanes inside the map."""
    height, width = grid.height, grid.width
    y, x = np.divmod(np.arange(grid.places), width)
    shifts, borders = [], []
    for row in range(synapses.kernel[0]):
        for column in range(synapses.kernel[1]):
            down = row * synapses.dilation[0] - synapses.padding[0]
            right = column * synapses.dilation[1] - synapses.padding[1]
            inside = (y + down >= 0) & (y + down < height) & (x + right >= 0) & (x + right < width)
            border = np.zeros(grid.padded, np.int8)
            border[: grid.places][inside] = -1
            lanes = np.zeros(grid.pitch, np.int8)
            lanes[: grid.steps * grid.padded] = np.tile(border, grid.steps)
            shifts.append(down * width + right)
            borders.append(lanes)
    return np.array(shifts, np.int64), np.stack(borders)
