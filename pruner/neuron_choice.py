"""Which hidden neurons (or channels) a compressed net does without, by what their consumers lose.

The surgeon's question asked of columns: dropping a neuron drops one column (or, behind a flattened map or
before a kernel, a run of columns) of the one layer that hears it, whose other weights are refitted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from pruner.allocation import UNAVAILABLE
from pruner.second_order import Rows, fit, strongest, with_best_first
from pruner.topology import Prunable, prunable_layers
from runtime.spec import Fire
from trainer.layers import Flatten, Linear, Pool
from trainer.models import SpikingNet
from trainer.neuron import Neuron
from trainer.structure import populations, sites

Alive = dict[str, Tensor]
"""Boolean (channels,) by population."""


@dataclass(frozen=True)
class Chain:
    """A population that one layer alone hears, and the layers that drive it."""

    population: str
    producers: tuple[str, ...]
    consumer: str
    channels: int


def chains(net: SpikingNet) -> tuple[Chain, ...]:
    """Populations whose neurons can go: between prunable layers, without branches, silent when cut off."""
    found, layers = sites(net.body), prunable_layers(net)
    readers = [source for site in found.values() for source in site.sources]
    driven = populations(net)
    out = []
    for name, layer in layers.items():
        if name not in found or getattr(layer, "groups", 1) != 1:
            continue
        site = found[found[name].sources[0]]
        while isinstance(site.module, Pool | Flatten) and readers.count(site.name) == 1:
            site = found[site.sources[0]]
        if not isinstance(site.module, Neuron) or readers.count(site.name) != 1:
            continue
        producers = tuple(afferent.name for afferent in driven[site.name])
        if all(p in layers for p in producers) and _rests(site.module):
            channels = min(len(layers[p].weight) for p in producers)
            out.append(Chain(site.name, producers, name, channels))
    return tuple(out)


def single_neurons(net: SpikingNet, chain: Chain) -> bool:
    """True for a population of single neurons between linear layers."""
    layers = prunable_layers(net)
    every = [layers[name] for name in (*chain.producers, chain.consumer)]
    sizes = {len(layer.weight) for layer in every[:-1]} | {every[-1].weight.shape[1]}
    return all(isinstance(layer, Linear) for layer in every) and sizes == {chain.channels}


def entries(values: tuple[float, ...], numbers: Tensor) -> tuple[float, ...]:
    """Values of these neurons, given one for all or one a neuron."""
    return values if len(values) == 1 else tuple(values[number] for number in numbers.tolist())


def _rests(neuron: Neuron) -> bool:
    """True when the neuron never fires without synapses and biases."""
    firing = neuron.firing
    calm = neuron.v_leak == 0.0 and neuron.start < min(firing.threshold)
    return calm and min(firing.threshold) > 0 and firing.fire is not Fire.SILENT


def choose_neurons(
    found: tuple[Chain, ...], rows: Mapping[str, Rows], share: float, *, round_share: float, block: int
) -> Alive:
    """The neurons to keep: a ``share`` of all chains' together, blocks of neighbours staying together.

    ``rows`` has the consumers' problems; what they lose is compared across chains.
    """
    alive = {chain.population: torch.ones(chain.channels, dtype=torch.bool) for chain in found}
    total = sum(chain.channels for chain in found)
    count, keep = total, max(len(found) * block, int(share * total))
    while count > keep:
        count = max(keep, int(count * round_share))
        score = {c.population: _lost(c, rows[c.consumer], alive[c.population], block) for c in found}
        sizes = {c.population: _heights(c.channels, block) for c in found}
        kept = strongest({name: with_best_first(one) for name, one in score.items()}, sizes, count)
        alive = {c.population: kept[c.population].repeat_interleave(block)[: c.channels] for c in found}
    return alive


def consumer_mask(chain: Chain, layer: Prunable, alive: Tensor) -> Tensor:
    """Boolean (inputs of a weight row,): the columns of living neurons."""
    inputs = layer.weight[0].numel()
    return alive.repeat_interleave(inputs // chain.channels)


def _lost(chain: Chain, rows: Rows, alive: Tensor, block: int) -> Tensor:
    """What the consumer loses with each block of neurons; minus infinity where dead."""
    width = (len(rows.moment) - rows.fixed) // chain.channels
    mask = torch.ones(1, len(rows.moment), dtype=torch.bool)
    mask[0, : width * chain.channels] = alive.repeat_interleave(width)
    together = Rows(
        rows.moment, rows.target, rows.start, rows.importance, rows.fixed, rows.damping, len(rows.target)
    )
    lost = fit(together.to(torch.float32), mask).saliency[0, : width * chain.channels]
    lost = lost.view(chain.channels, width).sum(1) * len(rows.target)
    if len(lost) % block:
        lost = torch.cat([lost, torch.full((block - len(lost) % block,), UNAVAILABLE)])
    blocks = lost.view(-1, block)
    return (
        torch.where(blocks > UNAVAILABLE, blocks, 0.0)
        .sum(1)
        .masked_fill((blocks == UNAVAILABLE).all(1), UNAVAILABLE)
    )


def _heights(channels: int, block: int) -> Tensor:
    heights = torch.full((-(-channels // block),), block)
    heights[-1] = channels - block * (len(heights) - 1)
    return heights
