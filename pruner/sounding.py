"""A look at a net in evaluation mode over a few samples: how good, how busy, how near to its thresholds."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pruner.criticality import CriticalityMeter
from pruner.hessian import Probe, watching
from pruner.topology import prunable_layers
from runtime.spec import Fire
from trainer.coding import encode
from trainer.evaluate import Labeled
from trainer.held import held
from trainer.integer import detach, evaluating
from trainer.models import SpikingNet, predictions
from trainer.neuron import Neuron


@dataclass(frozen=True)
class Spread:
    """Values over the channels of a population."""

    mean: float
    deviation: float
    lowest: float
    highest: float


@dataclass(frozen=True)
class Sounding:
    """``metric`` is the share of right predictions; ``synops`` counts, per sample, every event times the
    living synapses it meets; a nonzero analog input is an event, and a constant one is met once."""

    metric: float
    synops: float
    criticality: Mapping[str, Spread]
    samples: int


@torch.no_grad()
def sound(net: SpikingNet, samples: Labeled, most: int = 500) -> Sounding:
    """Run the first ``most`` samples; integers that were attached play no part."""
    if any(neuron.integer is not None for neuron in net.neurons().values()):
        net = detach(copy.deepcopy(net))
    numbers = np.arange(min(most, len(samples.x)))
    probes = {name: Probe(net, name) for name in prunable_layers(net)}
    meters = {name: _meter(n) for name, n in net.neurons().items() if n.firing.fire is not Fire.SILENT}
    with evaluating(net):
        for name, meter in meters.items():
            net.neurons()[name].observers.append(meter)
        try:
            with watching(list(probes.values())):
                scores = net.scores(net(encode(samples.x[numbers], net.input, numbers)))
        finally:
            for name, meter in meters.items():
                net.neurons()[name].observers.remove(meter)
    labels = np.asarray(samples.y)[numbers]
    labels = labels if labels.ndim == 1 else labels[:, -1]
    found = predictions(scores.double()).numpy()
    synops = sum(_events(probe) for probe in probes.values()) / len(numbers)
    spreads = {name: _spread(meter.average.value()) for name, meter in meters.items()}
    return Sounding(float((found == labels).mean()), synops, spreads, len(numbers))


def _meter(neuron: Neuron) -> CriticalityMeter:
    return CriticalityMeter(lambda: torch.tensor(neuron.firing.threshold), neuron.surrogate)


def _events(probe: Probe) -> float:
    """Events times living synapses of one layer in the latest pass."""
    once = held(probe.x)
    x = probe.x.flatten(0, 1) if once is None else once
    alive = (probe.layer.effective_weight() != 0).float()
    return float(probe.layer.apply_weight((x != 0).float(), alive, None).double().sum())


def _spread(values: Tensor | None) -> Spread:
    assert values is not None
    deviation = float(values.std(correction=0))
    return Spread(float(values.mean()), deviation, float(values.min()), float(values.max()))
