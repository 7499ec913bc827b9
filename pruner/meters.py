"""Measures activity and criticality around the synapse layers while a network trains."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from pruner.criticality import Average, CriticalityMeter, channel_mean
from pruner.topology import Prunable, driven_neurons, prunable_layers
from runtime.spec import Fire
from trainer.models import SpikingNet
from trainer.neuron import Neuron
from trainer.surrogate import SurrogateShape

Normalize = Callable[[Tensor], Tensor]


class ActivityMeter:
    """Averages the size of what enters a layer, per presynaptic channel, over the passes it sees."""

    def __init__(self) -> None:
        self.average = Average()

    @torch.no_grad()
    def see(self, x: Tensor) -> None:
        """``x`` is (steps, batch, channels, *positions)."""
        self.average.add(channel_mean(x.abs()), math.prod(x.shape[:2]))


class Meters:
    """Attached to a network they measure its forward passes in training mode until ``remove``."""

    def __init__(self, net: SpikingNet, shape: SurrogateShape | None = None, bandwidth: float = 1.0) -> None:
        """``shape`` None is each neuron's own; ``bandwidth`` multiplies the width it trains with."""
        self._layers = prunable_layers(net)
        self._driven = driven_neurons(net)
        self._neurons = net.neurons()
        self._removers: list[Callable[[], None]] = []
        self._activity = {name: ActivityMeter() for name in self._layers}
        self._criticality = {
            name: _meter(neuron, shape, bandwidth)
            for name, neuron in self._neurons.items()
            if neuron.firing.fire is not Fire.SILENT
        }
        self._attach()

    def remove(self) -> None:
        """Detach from the network; what was measured stays readable."""
        while self._removers:
            self._removers.pop()()

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
        outputs = self._layers[layer].weight.shape[0]
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

    def _attach(self) -> None:
        for name, meter in self._criticality.items():
            self._observe(self._neurons[name], meter)
        for name, layer in self._layers.items():
            activity = self._activity[name]
            (driven, *_) = self._driven[name] or ("",)
            if driven == f"{name.removesuffix('.linear')}.neuron":
                # a recurrent layer hears its own neuron, and is never called as a module
                self._observe(self._neurons[driven], _second(activity))
            else:
                self._removers.append(_hook(layer, activity).remove)

    def _observe(self, neuron: Neuron, meter: Callable[[Tensor, Tensor], None]) -> None:
        def observer(u: Tensor, spikes: Tensor) -> None:
            if neuron.training:
                meter(u, spikes)

        neuron.observers.append(observer)
        self._removers.append(lambda: neuron.observers.remove(observer))


def _hook(layer: Prunable, meter: ActivityMeter) -> RemovableHandle:
    def see(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if module.training:
            meter.see(inputs[0])

    return layer.register_forward_pre_hook(see)


def _second(meter: ActivityMeter) -> Callable[[Tensor, Tensor], None]:
    return lambda u, spikes: meter.see(spikes)


def _meter(neuron: Neuron, shape: SurrogateShape | None, bandwidth: float) -> CriticalityMeter:
    own = neuron.surrogate
    kernel = replace(own, shape=shape or own.shape, width=own.width * bandwidth)
    return CriticalityMeter(lambda: torch.tensor(neuron.firing.threshold), kernel)
