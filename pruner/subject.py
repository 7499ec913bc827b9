"""What pruning needs to know about a network: its layers, its readouts, and how to measure it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from torch import nn

from pruner.gauges import Gauges
from pruner.meters import Meters
from pruner.topology import Maskable, Prunable, prunable_layers, readout_layers
from trainer.models import SpikingNet
from trainer.surrogate import SurrogateShape


class Subject(Protocol):
    """A network as the pruner sees it."""

    @property
    def module(self) -> nn.Module: ...
    @property
    def layers(self) -> Mapping[str, Maskable]: ...
    @property
    def readouts(self) -> frozenset[str]:
        """Layers that drive the output population."""
        ...

    def gauges(self, shape: SurrogateShape | None, bandwidth: float) -> Gauges:
        """Meters of activity and criticality, attached; see ``Meters``."""
        ...


class NetSubject:
    """A network of ours."""

    def __init__(self, net: SpikingNet) -> None:
        self.module = net

    @property
    def layers(self) -> Mapping[str, Prunable]:
        return prunable_layers(self.module)

    @property
    def readouts(self) -> frozenset[str]:
        return readout_layers(self.module)

    def gauges(self, shape: SurrogateShape | None, bandwidth: float) -> Gauges:
        return Meters(self.module, shape, bandwidth)
