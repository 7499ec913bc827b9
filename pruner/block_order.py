"""Orders hidden neurons so that neighbours hear the same inputs: then blocks of outputs lose little.

A network is the same whatever the order of its hidden neurons; which of them share a block is not. Groups are
made greedily: the neuron that tells its consumer most, and those whose weights' magnitudes, each times the
root mean square of its input's trace, point most nearly the same way. In the spirit of channel permutations
for structured sparsity (Pool and Yu 2021, NeurIPS), there searched by swaps for 2:4 patterns.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from pruner.neuron_choice import Chain, chains, entries, single_neurons
from pruner.topology import prunable_layers
from trainer.models import SpikingNet


@torch.no_grad()
def arranged(net: SpikingNet, loads: Mapping[str, Tensor], block: int) -> SpikingNet:
    """A copy of ``net`` with the hidden neurons between linear layers in groups of ``block``.

    ``loads``: mean squares (inputs,) of the traces each layer hears, by layer.
    """
    out = copy.deepcopy(net)
    for chain in chains(out):
        if single_neurons(out, chain) and len(chain.producers) == 1 and chain.producers[0] in loads:
            _reorder(out, chain, _order(out, chain, loads[chain.producers[0]], block))
    return out


def _order(net: SpikingNet, chain: Chain, load: Tensor, block: int) -> Tensor:
    layers = prunable_layers(net)
    weight = layers[chain.producers[0]].weight
    heard = F.normalize(weight.abs() * load.clamp_min(0).sqrt().float()[: weight.shape[1]], dim=1)
    told = layers[chain.consumer].weight.norm(dim=0) * weight.norm(dim=1)
    left = torch.ones(chain.channels, dtype=torch.bool)
    order: list[Tensor] = []
    for first in told.argsort(descending=True).tolist():
        if left[first]:
            likeness = (heard @ heard[first]).masked_fill(~left, -1.0)
            likeness[first] = 2.0
            group = likeness.topk(min(block, int(left.sum()))).indices
            left[group] = False
            order.append(group)
    return torch.cat(order)


def _reorder(net: SpikingNet, chain: Chain, order: Tensor) -> None:
    layers, neuron = prunable_layers(net), net.neurons()[chain.population]
    producer, consumer = layers[chain.producers[0]], layers[chain.consumer]
    producer.weight.copy_(producer.weight[order])
    consumer.weight.copy_(consumer.weight[:, order])
    for layer, axis in ((producer, 0), (consumer, 1)):
        if layer.mask is not None:
            layer.set_mask(layer.mask.index_select(axis, order))
    for bias in (producer.bias, neuron.bias):
        if bias is not None:
            bias.copy_(bias[order])
    neuron.firing = replace(
        neuron.firing,
        threshold=entries(neuron.firing.threshold, order),
        reset_value=entries(neuron.firing.reset_value, order),
    )
