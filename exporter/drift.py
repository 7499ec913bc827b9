"""How far an integer graph strays from the real numbers it stands for, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from exporter.graph import Graph
from exporter.reference import run, run_float
from exporter.wiring import neurons


@dataclass(frozen=True)
class LayerDrift:
    """Spikes of one population in both forms; ``differing`` neuron-steps have another payload."""

    layer: str
    neuron_steps: int
    float_spikes: int
    integer_spikes: int
    differing: int

    @property
    def ratio(self) -> float:
        """Differing neuron-steps per spike of the float network."""
        return self.differing / max(self.float_spikes, 1)


@dataclass(frozen=True)
class Drift:
    """Every layer in order, and the samples whose prediction changed."""

    layers: tuple[LayerDrift, ...]
    samples: int
    differing_predictions: int


def drift(graph_float: Graph, graph_int: Graph, coded: NDArray[np.integer]) -> Drift:
    """Drift on ``coded`` (steps, samples, *input shape). Both graphs have the same populations; neurons
    that ``drop_dead`` took from the integer graph are left out of the comparison."""
    real, whole = run_float(graph_float, coded), run(graph_int, coded)
    layers = []
    for neuron in neurons(graph_int):
        reference = real.spikes[neuron.name]
        if neuron.kept is not None:
            reference = reference[..., neuron.kept]
        found = whole.spikes[neuron.name]
        layers.append(
            LayerDrift(
                neuron.name,
                found.size,
                int(np.count_nonzero(reference)),
                int(np.count_nonzero(found)),
                int(np.count_nonzero(reference != found)),
            )
        )
    changed = int(np.count_nonzero(real.predictions != whole.predictions))
    return Drift(tuple(layers), len(real.predictions), changed)
