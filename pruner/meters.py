"""Measures activity and criticality around the synapse layers while a network trains."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from pruner.criticality import CriticalityMeter
from pruner.gauges import ActivityMeter, Gauges
from pruner.topology import Prunable, driven_neurons, prunable_layers
from runtime.spec import Fire
from trainer.models import SpikingNet
from trainer.neuron import Neuron
from trainer.surrogate import SurrogateShape


class Meters(Gauges):
    """Attached to a network they measure its forward passes in training mode until ``remove``."""

    def __init__(self, net: SpikingNet, shape: SurrogateShape | None = None, bandwidth: float = 1.0) -> None:
        """``shape`` None is each neuron's own; ``bandwidth`` multiplies the width it trains with."""
        self._layers = prunable_layers(net)
        outputs = {name: layer.weight.shape[0] for name, layer in self._layers.items()}
        super().__init__(outputs, driven_neurons(net))
        self._neurons = net.neurons()
        meters = {
            name: _meter(neuron, shape, bandwidth)
            for name, neuron in self._neurons.items()
            if neuron.firing.fire is not Fire.SILENT
        }
        self._criticality = meters
        for name, meter in meters.items():
            self._observe(self._neurons[name], meter)
        self._attach()

    def _attach(self) -> None:
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
