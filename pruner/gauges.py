"""What was measured around the synapse layers of a network, whoever built it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor

from pruner.criticality import Average, channel_mean
from trainer.held import held

Normalize = Callable[[Tensor], Tensor]


class ActivityMeter:
    """Averages the size of what enters a layer, per presynaptic channel, over the passes it sees."""

    def __init__(self) -> None:
        self.average = Average()

    @torch.no_grad()
    def see(self, x: Tensor) -> None:
        """``x`` is (steps, batch, channels, *positions)."""
        once = held(x)
        seen = x if once is None else once[None]
        self.average.add(channel_mean(seen.abs()), math.prod(x.shape[:2]))


class Averaging(Protocol):
    """A meter by what it has averaged."""

    average: Average


class Gauges:
    """Averages of activity by layer and of criticality by population, until ``remove``.

    ``outputs`` is the number of output channels of each layer, ``driven`` the populations it feeds.
    """

    def __init__(self, outputs: Mapping[str, int], driven: Mapping[str, Sequence[str]]) -> None:
        self._outputs = outputs
        self._driven = driven
        self._removers: list[Callable[[], None]] = []
        self._activity: dict[str, ActivityMeter] = {name: ActivityMeter() for name in outputs}
        self._criticality: Mapping[str, Averaging] = {}

    def remove(self) -> None:
        """Detach from the network; what was measured stays readable."""
        while self._removers:
            self._removers.pop()()

    def unite(self) -> None:
        """Average over all processes that train together."""
        for average in self._averages().values():
            average.unite()

    def memory(self) -> dict[str, list[float]]:
        """What was averaged so far, as JSON values."""
        return {name: average.memory() for name, average in self._averages().items()}

    def recall(self, memory: Mapping[str, Sequence[float]]) -> None:
        """Take back what ``memory`` gave."""
        for name, average in self._averages().items():
            average.recall(memory.get(name, ()))

    def _averages(self) -> dict[str, Average]:
        # a layer and a population never share a name: both are modules of one body
        activity = {name: meter.average for name, meter in self._activity.items()}
        return activity | {name: meter.average for name, meter in self._criticality.items()}

    def rate(self, layer: str) -> Tensor | None:
        """Mean size of the layer's input, (channels,), or None before the first pass."""
        return self._activity[layer].average.value()

    def criticality(self, layer: str, normalize: Normalize) -> Tensor | None:
        """Normalized criticality of the neurons the layer drives, one value for each of its outputs.

        None before the first pass. A readout that never fires has no threshold to be near to: its
        synapses get 1, the mean of a mean-normalized layer.
        """
        outputs = self._outputs[layer]
        scores = []
        for name in self._driven[layer]:
            if name not in self._criticality:
                scores.append(torch.ones(outputs, dtype=torch.float64))
                continue
            found = self._criticality[name].average.value()
            if found is None:
                return None
            scores.append(normalize(found.view(outputs, -1).mean(1)))
        return torch.stack(scores).mean(0) if scores else torch.ones(outputs, dtype=torch.float64)
