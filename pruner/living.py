"""Dead chains, cut off to a fixed point, and ``Living``: a net of what lives alone, to train faster."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from pruner.neuron_choice import Alive, Chain, chains, consumer_mask, entries, single_neurons
from pruner.topology import Prunable, prunable_layers
from trainer.layers import BatchNorm
from trainer.models import SpikingNet


@torch.no_grad()
def cut_dead(net: SpikingNet) -> Alive:
    """Mask all synapses of hidden neurons that hear nothing or that nothing hears, in place, until none is
    left over; what lives, by population. The net's scores stay as they are.

    On masks, between the linear maps of ``chains``; the exporter's pass does it on integers and thresholds.
    """
    every = chains(net)
    while True:
        alive = {chain.population: _alive(net, chain) for chain in every}
        if not any(_cut(net, chain, alive[chain.population]) for chain in every):
            return alive


def _living(layer: Prunable) -> Tensor:
    """Boolean (outputs, inputs of a row)."""
    mask = layer.weight != 0
    return (mask if layer.mask is None else mask & (layer.mask != 0)).flatten(1)


def _alive(net: SpikingNet, chain: Chain) -> Tensor:
    """Channels that something drives and that the consumer hears."""
    layers, neuron = prunable_layers(net), net.neurons()[chain.population]
    heard = _living(layers[chain.consumer]).any(0).view(chain.channels, -1).any(1)
    # a batch norm can drive a channel that has no weights
    driven = torch.full((chain.channels,), _normalized(net))
    for name in chain.producers:
        layer = layers[name]
        rows = _living(layer).any(1) if layer.bias is None else _living(layer).any(1) | (layer.bias != 0)
        driven |= rows.view(chain.channels, -1).any(1)
    if neuron.bias is not None:
        driven |= (neuron.bias != 0).view(chain.channels, -1).any(1)
    return heard & driven


def _normalized(net: SpikingNet) -> bool:
    return any(isinstance(module, BatchNorm) for module in net.modules())


def _cut(net: SpikingNet, chain: Chain, alive: Tensor) -> bool:
    """Take the dead channels' synapses away; True where there were any."""
    layers = prunable_layers(net)
    found = False
    for name in (*chain.producers, chain.consumer):
        layer = layers[name]
        before = _living(layer)
        if name == chain.consumer:
            after = before & consumer_mask(chain, layer, alive)
        else:
            rows = alive.repeat_interleave(len(before) // chain.channels)
            after = before & rows[:, None]
            if layer.bias is not None:
                layer.bias.masked_fill_(~rows, 0.0)
        if bool((after != before).any()):
            found = True
            layer.set_mask(after.view(layer.weight.shape))
            layer.weight.mul_(after.view(layer.weight.shape))
    return found


@dataclass
class Living:
    """``net`` is the original without the dead neurons that stand between two linear layers: the same
    scores from less work. ``put_back`` gives the original what training made of it."""

    net: SpikingNet
    original: SpikingNet
    kept: dict[str, tuple[Chain, Tensor]]

    @classmethod
    def of(cls, net: SpikingNet) -> Living:
        """Cuts dead chains of ``net``, in place, and copies what lives; all of it where scales or norms
        belong to channels (quantized weights, batch norms that are not folded)."""
        plain = net.quantization is None and not _normalized(net)
        alive = cut_dead(net) if plain else {}
        small, kept = copy.deepcopy(net), {}
        for chain in chains(net) if alive else ():
            one = alive[chain.population]
            if single_neurons(net, chain) and not bool(one.all()) and bool(one.any()):
                _slice(small, chain, one)
                kept[chain.population] = chain, one
        return cls(small, net, kept)

    @torch.no_grad()
    def put_back(self) -> None:
        """Copy weights, biases and masks into the original's places."""
        for name, layer in prunable_layers(self.original).items():
            part = prunable_layers(self.net)[name]
            rows, columns = self._places(name, layer)
            at = torch.meshgrid(rows, columns, indexing="ij") if part.weight.dim() == 2 else (rows,)
            layer.weight[at] = part.weight
            if part.mask is not None:
                mask = torch.zeros_like(layer.weight)
                mask[at] = (part.mask != 0).to(mask.dtype)
                layer.set_mask(mask)
            if layer.bias is not None and part.bias is not None:
                layer.bias[rows] = part.bias
        for name, neuron in self.original.neurons().items():
            bias = self.net.neurons()[name].bias
            if neuron.bias is not None and bias is not None:
                neuron.bias[self._of(name, len(neuron.bias))] = bias

    def _places(self, name: str, layer: Prunable) -> tuple[Tensor, Tensor]:
        """Rows and columns of the original's weight that the small net's are."""
        rows, columns = torch.arange(len(layer.weight)), torch.arange(layer.weight.shape[1])
        for chain, alive in self.kept.values():
            rows = alive.nonzero()[:, 0] if name in chain.producers else rows
            columns = alive.nonzero()[:, 0] if name == chain.consumer else columns
        return rows, columns

    def _of(self, population: str, count: int) -> Tensor:
        known = self.kept.get(population)
        return torch.arange(count) if known is None else known[1].nonzero()[:, 0]


def _slice(net: SpikingNet, chain: Chain, alive: Tensor) -> None:
    layers, neuron = prunable_layers(net), net.neurons()[chain.population]
    for name in chain.producers:
        _keep(layers[name], alive, slice(None))
    _keep(layers[chain.consumer], slice(None), alive)
    neuron.firing = replace(
        neuron.firing,
        threshold=entries(neuron.firing.threshold, alive.nonzero()[:, 0]),
        reset_value=entries(neuron.firing.reset_value, alive.nonzero()[:, 0]),
    )
    if neuron.bias is not None:
        neuron.bias = nn.Parameter(neuron.bias.detach()[alive].clone())


def _keep(layer: Prunable, rows: Tensor | slice, columns: Tensor | slice) -> None:
    mask = layer.mask
    layer.weight = nn.Parameter(layer.weight.detach()[rows][:, columns].clone())
    layer.set_mask(None if mask is None else mask[rows][:, columns].clone())
    if layer.bias is not None and isinstance(rows, Tensor):
        layer.bias = nn.Parameter(layer.bias.detach()[rows].clone())
