"""Threshold re-centring: every neuron or channel of a compressed net gets the threshold at which it fires, on
calibration samples, as often as in the dense net. No labels, no gradient; one number a channel.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from pruner.hessian import Passes
from runtime.spec import Fire
from trainer.models import SpikingNet
from trainer.neuron import Neuron
from trainer.recurrent import Recurrent

HALVINGS = 10
"""Steps of the search for a threshold: to a thousandth of its range."""
RANGE = 4.0
"""Thresholds are looked for within this factor of the one a neuron has."""
ELEMENTS = 1 << 24
"""Currents held at once: 64 MB; fewer samples are looked at where there are more."""


@dataclass(frozen=True)
class Recentred:
    """Mean spikes a step, per population: of the dense net, and before and after of the compressed one."""

    wanted: float
    before: float
    after: float


@torch.no_grad()
def recentre(dense: SpikingNet, small: SpikingNet, passes: Passes) -> dict[str, Recentred]:
    """Set the thresholds of ``small``, in place, in order of execution. Both are in evaluation mode.

    Populations that hear themselves, fire graded, or have a threshold for each position stay as they are.
    """
    found = {}
    for name in centrable(small):
        currents, _ = _heard(small, name, passes)
        _, wanted = _heard(dense, name, passes)
        found[name] = _set(small, name, currents, wanted)
    return found


def centrable(net: SpikingNet) -> tuple[str, ...]:
    """Populations whose thresholds can be set one by one."""
    own = {f"{name}.neuron" for name, m in net.body.named_modules() if isinstance(m, Recurrent)}
    return tuple(
        name
        for name, neuron in net.neurons().items()
        if name not in own and neuron.firing.fire is Fire.BINARY and min(neuron.firing.threshold) > 0
    )


def _heard(net: SpikingNet, name: str, passes: Passes) -> tuple[Tensor, Tensor]:
    """A population's currents (steps, samples, channels, *positions), and spikes per channel and step."""
    currents: list[Tensor] = []
    total, places, room = torch.zeros(()), 0, 0
    for x in passes.batches(net):
        with _watching(net.body.get_submodule(name)) as seen:
            net(x)
        current, spikes = seen
        per_channel = spikes.transpose(0, 2).flatten(1)
        total, places = total + per_channel.double().sum(1), places + per_channel.shape[1]
        if room <= ELEMENTS:
            currents.append(current)
            room += current.numel()
    return torch.cat(currents, 1), total / places


@contextmanager
def _watching(module: nn.Module) -> Iterator[list[Tensor]]:
    seen: list[Tensor] = []
    handle = module.register_forward_hook(lambda m, inputs, out: seen.extend((inputs[0].detach(), out)))
    try:
        yield seen
    finally:
        handle.remove()


def _set(net: SpikingNet, name: str, currents: Tensor, wanted: Tensor) -> Recentred:
    neuron = net.neurons()[name]
    channels = currents.shape[2]
    if len(neuron.firing.threshold) not in (1, channels):
        rate = float(_rates(neuron, currents, neuron.firing.threshold).mean())
        return Recentred(float(wanted.mean()), rate, rate)
    start = torch.tensor(neuron.firing.threshold, dtype=torch.float64).expand(channels)
    before = _rates(neuron, currents, tuple(start.tolist()))
    low, high = torch.full_like(start, -1.0), torch.full_like(start, 1.0)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        often = _rates(neuron, currents, _at(start, middle)) > wanted
        # a neuron that fires too often needs a higher threshold
        low, high = torch.where(often, middle, low), torch.where(often, high, middle)
    # a neuron that is silent in either net has no rate to go by
    settled = torch.where((wanted > 0) & (before > 0), (low + high) / 2, 0.0)
    kept = _at(start, settled)
    after = _rates(neuron, currents, kept)
    better = (after - wanted).abs() < (before - wanted).abs()
    kept = tuple(torch.where(better, torch.tensor(kept).double(), start).tolist())
    neuron.firing = replace(neuron.firing, threshold=kept)
    after = torch.where(better, after, before)
    return Recentred(float(wanted.mean()), float(before.mean()), float(after.mean()))


def _at(start: Tensor, exponent: Tensor) -> tuple[float, ...]:
    return tuple((start * torch.exp(exponent * math.log(RANGE))).tolist())


def _rates(neuron: Neuron, currents: Tensor, threshold: tuple[float, ...]) -> Tensor:
    """Spikes per channel and step at other thresholds."""
    other = copy.deepcopy(neuron)
    other.observers = []
    other.firing = replace(neuron.firing, threshold=threshold)
    spikes: Tensor = other(currents)
    return spikes.double().transpose(0, 2).flatten(1).mean(1)
