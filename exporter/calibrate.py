"""Measures how far membranes go on real samples, so that a state width can be chosen to hold them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from exporter.graph import Graph
from exporter.reference import run_float


@dataclass(frozen=True)
class Observed:
    """What one population did, in real units: extremes of its stored membrane, spikes per neuron-step."""

    lowest: float
    highest: float
    rate: float

    @property
    def largest(self) -> float:
        return max(-self.lowest, self.highest)


def calibrate(graph: Graph, coded: NDArray[np.integer]) -> Mapping[str, Observed]:
    """What each population of a graph in real units did on ``coded`` (steps, samples, *input shape).

    Give it training data: ``exporter.quantize`` keeps these membranes inside the state width.
    """
    trace = run_float(graph, coded)
    return {
        name: Observed(float(v.min()), float(v.max()), float(np.mean(trace.spikes[name] > 0)))
        for name, v in trace.membranes.items()
    }
