"""Second moments of a net's presynaptic traces, gathered in forward passes over calibration samples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from pruner.topology import Prunable, driven_neurons, prunable_layers, readout_layers
from pruner.trace import VIEWS, Trace, View, columns, drives
from runtime.errors import UnsupportedError
from trainer.coding import encode
from trainer.evaluate import Labeled
from trainer.held import held
from trainer.models import SpikingNet
from trainer.recurrent import Recurrent
from trainer.structure import populations

POSITIONS = 64
"""Places of a convolution's output looked at in each sample and step; more rows repeat each other."""


@dataclass(frozen=True)
class Site:
    """A layer to compress: the trace of the population it drives, and whether it hears the input only."""

    name: str
    population: str
    trace: Trace
    from_input: bool
    readout: bool


@dataclass
class Moments:
    """Sums over rows, of every group of a layer: traces by traces (groups, inputs, inputs), and drives by
    traces (outputs, inputs). ``inputs`` counts a last one for the bias where the layer has one."""

    rows: int = 0
    moment: Tensor = field(default_factory=lambda: torch.zeros(()))
    cross: Tensor = field(default_factory=lambda: torch.zeros(()))
    events: Tensor = field(default_factory=lambda: torch.zeros(()))
    """Share of steps at which inputs are not zero, times rows (groups, inputs), where it was counted."""

    def add(self, traces: Tensor, drive: Tensor | None, events: Tensor | None = None) -> None:
        """Take in traces (rows, groups, inputs), the drives (rows, outputs) to reproduce, and the
        share of steps at which inputs are not zero (groups, inputs)."""
        if events is not None:
            self.events = self.events + events * len(traces)
        by_group = traces.transpose(0, 1)
        self.moment = self.moment + (by_group.transpose(1, 2) @ by_group).double()
        if drive is not None:
            wanted = drive.view(len(drive), len(by_group), -1).permute(1, 2, 0)
            self.cross = self.cross + (wanted @ by_group).flatten(0, 1).double()
        self.rows += len(traces)


def layer_sites(net: SpikingNet, decay: bool) -> dict[str, Site]:
    """The layers of ``net`` in order of execution. Raises UnsupportedError if one drives no population."""
    neurons, last = net.neurons(), readout_layers(net)
    layers = prunable_layers(net)
    found: dict[str, Site] = {}
    for population, afferents in populations(net).items():
        for afferent in afferents:
            if afferent.name in layers and afferent.name not in found:
                view = VIEWS[net.readout] if afferent.name in last else View.ALL
                trace = Trace.of(neurons[population], view, decay)
                found[afferent.name] = Site(
                    afferent.name, population, trace, afferent.from_input, afferent.name in last
                )
    for name, driven in driven_neurons(net).items():
        if len(driven) != 1:
            raise UnsupportedError(f"{name}: found {len(driven)} populations behind it, expected one")
    return found


class Probe:
    """Keeps the input and the current of one layer of a net's latest forward pass."""

    def __init__(self, net: SpikingNet, name: str) -> None:
        self.net, self.layer = net, prunable_layers(net)[name]
        self.x = self.current = torch.zeros(())
        owner = name.removesuffix(".linear")
        module = net.body.get_submodule(owner) if owner != name else None
        self._own = module if isinstance(module, Recurrent) else None

    @contextmanager
    def watching(self) -> Iterator[Probe]:
        """Listen to the net for a while."""
        if self._own is not None:
            observers = self._own.neuron.observers
            observers.append(self._heard)
            try:
                yield self
            finally:
                observers.remove(self._heard)
            return
        handle: RemovableHandle = self.layer.register_forward_hook(self._seen)
        try:
            yield self
        finally:
            handle.remove()

    def _seen(self, module: nn.Module, inputs: tuple[Tensor, ...], out: Tensor) -> None:
        self.x, self.current = inputs[0].detach(), out.detach()

    def _heard(self, u: Tensor, spikes: Tensor) -> None:
        """A recurrent layer is not called as a module: it hears its own neuron, ``delay`` steps late."""
        assert self._own is not None
        delay = self._own.delay
        self.x = torch.cat([torch.zeros_like(spikes[:delay]), spikes[:-delay]])
        self.current = self.layer.currents(self.x).detach()


@dataclass(frozen=True)
class Passes:
    """The calibration samples: which, in what batches."""

    samples: Labeled
    numbers: NDArray[np.int64]
    batch_size: int = 250

    def spread(self, most: int) -> Passes:
        """At most so many of the samples, evenly spread."""
        if len(self.numbers) <= most:
            return self
        places = np.linspace(0, len(self.numbers) - 1, max(1, most)).round().astype(np.int64)
        return replace(self, numbers=self.numbers[places])

    def batches(self, net: SpikingNet) -> Iterator[Tensor]:
        """Coded input, batch by batch."""
        for start in range(0, len(self.numbers), self.batch_size):
            numbers = self.numbers[start : start + self.batch_size]
            yield encode(self.samples.x[numbers], net.input, numbers)


@torch.no_grad()
def dense_moments(net: SpikingNet, sites: Mapping[str, Site], passes: Passes) -> dict[str, Moments]:
    """Moments of every layer in one pass of ``net`` alone (without cross moments)."""
    moments = {name: Moments() for name in sites}
    probes = [Probe(net, name) for name in sites]
    with watching(probes):
        for x in passes.batches(net):
            net(x)
            for probe, (name, site) in zip(probes, sites.items(), strict=True):
                moments[name].add(_traces(probe, site), None, _events(probe))
    return moments


@torch.no_grad()
def paired_moments(dense: SpikingNet, small: SpikingNet, site: Site, passes: Passes) -> Moments:
    """Moments of one layer's traces in ``small``, and their cross moment with its drive in ``dense``."""
    moments = Moments()
    probes = [Probe(net, site.name) for net in (dense, small)]
    with watching(probes):
        for x in passes.batches(dense):
            dense(x)
            small(x)
            probes[1].current = probes[0].current
            moments.add(_traces(probes[1], site), _drives(probes[1], site))
    return moments


@contextmanager
def watching(probes: list[Probe]) -> Iterator[None]:
    if not probes:
        yield
        return
    with probes[0].watching(), watching(probes[1:]):
        yield


def _traces(probe: Probe, site: Site) -> Tensor:
    """Traces (rows, groups, inputs [+ 1 for the bias]) of the latest pass."""
    layer, x = probe.layer, probe.x
    kept = site.trace.filtered(x)
    found = columns(layer, kept.flatten(0, 1))
    found = found[:, _places(found.shape[1])]
    if layer.bias is not None:
        level = site.trace.of_bias(x.shape[0], held(x) is not None)
        ones = level.repeat_interleave(x.shape[1]).view(-1, 1, 1, 1)
        found = torch.cat([found, ones.expand(*found.shape[:3], 1)], 3)
    return found.flatten(0, 1)


def _events(probe: Probe) -> Tensor:
    """Share of steps at which inputs (groups, inputs) are not zero; a bias always counts."""
    layer, once = probe.layer, held(probe.x)
    x = probe.x if once is None else once[None]
    found = columns(layer, (x != 0).to(x.dtype).flatten(0, 1))
    share = found[:, _places(found.shape[1])].double().mean((0, 1))
    if layer.bias is not None:
        share = torch.cat([share, torch.ones((len(share), 1), dtype=share.dtype)], 1)
    return share


def _drives(probe: Probe, site: Site) -> Tensor:
    """Filtered drives (rows, outputs) of the latest pass, in the order of ``_traces``."""
    kept = site.trace.filtered(probe.current)
    found = drives(probe.layer, kept.flatten(0, 1))
    return found[:, _places(found.shape[1])].flatten(0, 1)


def _places(positions: int) -> Tensor:
    """Evenly spread positions; an odd stride, so that they do not fall into one column of the map."""
    if positions <= POSITIONS:
        return torch.arange(positions)
    return torch.linspace(0, positions - 1, POSITIONS).round().long()


def flat_weight(layer: Prunable) -> Tensor:
    """The layer's weight (outputs, inputs of a row [+ 1 for the bias]) in float64."""
    weight = layer.effective_weight().detach().flatten(1).double()
    if layer.bias is None:
        return weight
    return torch.cat([weight, layer.bias.detach().double()[:, None]], 1)
