"""Which layers of a network can be pruned, which neurons they drive, and which of them feed the output."""

from __future__ import annotations

from typing import Any, Protocol

from torch import Tensor

from trainer.layers import Conv1d, Conv2d, Linear
from trainer.models import SpikingNet
from trainer.structure import output_population, populations

Prunable = Linear | Conv1d | Conv2d
"""Layers whose weights carry a mask; a diagonal skip is not among them."""


class Maskable(Protocol):
    """A layer that can carry a mask, of ours or not; ``weight`` has the output channel on axis 0."""

    mask: Tensor | None

    @property
    def weight(self) -> Any: ...
    def set_mask(self, mask: Tensor | None) -> None: ...


def prunable_layers(net: SpikingNet) -> dict[str, Prunable]:
    """Layers with a mask by their name in ``net.body``."""
    return {name: m for name, m in net.body.named_modules() if isinstance(m, Prunable)}


def driven_neurons(net: SpikingNet) -> dict[str, tuple[str, ...]]:
    """Names of the populations each prunable layer sends its current to."""
    driven: dict[str, tuple[str, ...]] = dict.fromkeys(prunable_layers(net), ())
    for population, afferents in populations(net).items():
        for afferent in afferents:
            if afferent.name in driven:
                driven[afferent.name] += (population,)
    return driven


def readout_layers(net: SpikingNet) -> frozenset[str]:
    """Prunable layers that drive the output population."""
    output = output_population(net)
    return frozenset(name for name, driven in driven_neurons(net).items() if output in driven)
