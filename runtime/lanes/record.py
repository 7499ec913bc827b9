"""What a sample leaves, how each projection runs, and the whole of a plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runtime.lanes.arena import LINE
from runtime.lanes.layout import Grid
from runtime.lanes.weights import Sorted
from runtime.prepare import Inflow

I64 = NDArray[np.int64]


@dataclass(frozen=True)
class Record:
    """What a sample leaves, in one piece: scores (int64), ties and clamps of every population (int64), and
    how often each neuron spiked (a byte)."""

    outputs: int
    populations: int
    neurons: int

    @property
    def marks(self) -> int:
        return 8 * self.outputs

    @property
    def spikes(self) -> int:
        return -(-(self.marks + 16 * self.populations) // LINE) * LINE

    @property
    def size(self) -> int:
        return self.spikes + self.neurons


@dataclass(frozen=True)
class Flow:
    """One projection: its entries, and where the spikes it hears are counted."""

    inflow: Inflow
    entries: Sorted | None
    hist: int
    adds: int
    """Additions of a sample; of an event for a layer that hears itself."""
    reads: int
    """Entries read for a sample."""
    bytes: int

    @property
    def name(self) -> str:
        return "rows, step by step" if self.entries is None else "masked lanes"


@dataclass(frozen=True)
class Plan:
    ops: I64
    memory: NDArray[np.uint8]
    grids: tuple[Grid, ...]
    hists: tuple[int, ...]
    """Where in the record each population's spikes are counted."""
    record: Record
    record_at: int
    flows: tuple[Flow, ...]
    wide: Mapping[int, bool]
    """Populations of neurons: whether they run in 32 bits."""

    @property
    def bytes(self) -> int:
        return sum(flow.bytes for flow in self.flows)
