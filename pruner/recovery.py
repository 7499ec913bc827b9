"""Builds the guarded sweeps of ``pruner.sweep`` for the hidden populations of a net, and writes them back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from pruner.heard import Heard, Held, Stepped
from pruner.hessian import Passes, Probe, Site, watching
from pruner.neuron_choice import Chain
from pruner.sweep import Hidden
from pruner.topology import Prunable, prunable_layers
from pruner.unit import Unit, decay_of
from trainer.held import held
from trainer.layers import Linear
from trainer.models import SpikingNet

ELEMENTS = 1 << 24
"""Values of a layer's input held at once: 64 MB. Where there are more, fewer samples are looked at, spread
evenly: 21,000 of 784 constant inputs."""

FLOOR = 0.1
"""Weight of a sample that nobody doubts, before all are brought to a mean of 1."""


@dataclass(frozen=True)
class Pair:
    """The dense net and the compressed one, the sites of their layers, and the calibration samples."""

    dense: SpikingNet
    small: SpikingNet
    sites: Mapping[str, Site]
    passes: Passes


def sweepable(net: SpikingNet, chain: Chain) -> bool:
    """True for a population of single neurons between two linear layers."""
    layers = prunable_layers(net)
    if len(chain.producers) != 1 or net.neurons()[chain.population].bias is not None:
        return False
    producer, consumer = layers[chain.producers[0]], layers[chain.consumer]
    linear = isinstance(producer, Linear) and isinstance(consumer, Linear)
    return linear and consumer.weight.shape[1] == chain.channels == len(producer.weight)


def gather(pair: Pair, chain: Chain, importance: Tensor) -> Hidden:
    """The population's problem. ``importance`` is that of the consumer's outputs."""
    layers = prunable_layers(pair.small)
    producer, consumer = layers[chain.producers[0]], layers[chain.consumer]
    neuron, site = pair.small.neurons()[chain.population], pair.sites[chain.consumer]
    n_steps = pair.small.input.n_steps
    read = site.trace.filtered(torch.eye(n_steps))
    root = importance.clamp_min(0).sqrt().float()
    heard, drive = _gathered(pair, chain, producer)
    wanted = torch.einsum("rt,otb->orb", read, drive) * root[:, None, None]
    weight, mask = _with_bias(producer)
    forward, hears = _with_bias(consumer)
    dense_forward, _ = _with_bias(prunable_layers(pair.dense)[chain.consumer])
    constant = None if consumer.bias is None else read.sum(1)
    units = [Unit(neuron, number, read, n_steps) for number in range(chain.channels)]
    return Hidden(
        heard=heard,
        units=units,
        weight=weight,
        mask=mask,
        fixed=int(producer.bias is not None),
        forward=forward * root[:, None],
        hears=hears,
        wanted=wanted,
        start=dense_forward * root[:, None],
        constant=constant,
        weigh=doubts(wanted[:, 0]) if site.readout and len(wanted[0]) == 1 and len(wanted) > 1 else None,
    )


def doubts(scores: Tensor) -> Tensor:
    """(samples,): how much each sample's residue counts: more where the dense net's best two of the scores
    (outputs, samples) are near to each other, since a small error there can turn the prediction."""
    first, second = scores.topk(2, 0).values
    margin = first - second
    count = FLOOR + torch.exp(-2.0 * margin / margin.median().clamp_min(1e-30))
    return (count / count.mean()).sqrt()


def _gathered(pair: Pair, chain: Chain, producer: Prunable) -> tuple[Heard, Tensor]:
    """What the producer hears in the small net, and the consumer's drive (outputs, steps, samples) in the
    dense one."""
    mine, wanted = Probe(pair.small, chain.producers[0]), Probe(pair.dense, chain.consumer)
    inputs: list[Tensor] = []
    drives: list[Tensor] = []
    constant = pair.small.input.constant and pair.sites[chain.producers[0]].from_input
    width = prunable_layers(pair.small)[chain.producers[0]].weight.shape[1]
    passes = pair.passes.spread(ELEMENTS // (width * (1 if constant else pair.small.input.n_steps)))
    with watching([mine, wanted]):
        for x in passes.batches(pair.dense):
            pair.dense(x)
            pair.small(x)
            once = held(mine.x)
            steps = mine.x if once is None else once[None]
            inputs.append(steps.permute(2, 0, 1))
            drives.append(wanted.current.permute(2, 0, 1))
    x = torch.cat(inputs, 2)
    if producer.bias is not None:
        x = torch.cat([x, torch.ones_like(x[:1])])
    drive = torch.cat(drives, 2)
    n_steps = pair.small.input.n_steps
    if x.shape[1] == 1 < n_steps or constant:
        return Held(x[:, 0].contiguous(), n_steps), drive
    return Stepped(x, decay_of(pair.small.neurons()[chain.population], n_steps)), drive


def _with_bias(layer: Prunable) -> tuple[Tensor, Tensor]:
    """Weights and mask (outputs, inputs [+ 1]); a neuron without weights has no bias to tune either."""
    weight = layer.weight.detach() if layer.mask is None else layer.weight.detach() * layer.mask
    alive = torch.ones_like(weight, dtype=torch.bool) if layer.mask is None else layer.mask != 0
    if layer.bias is None:
        return weight.clone(), alive.clone()
    weight = torch.cat([weight, layer.bias.detach()[:, None]], 1)
    return weight, torch.cat([alive, alive.any(1, keepdim=True)], 1)


@torch.no_grad()
def write_back(net: SpikingNet, chain: Chain, hidden: Hidden, importance: Tensor) -> None:
    """Give producer and consumer what the sweeps found."""
    layers = prunable_layers(net)
    producer, consumer = layers[chain.producers[0]], layers[chain.consumer]
    root = importance.clamp_min(0).sqrt().float().clamp_min(1e-30)
    _give(producer, hidden.weight, hidden.mask)
    _give(consumer, hidden.forward / root[:, None], hidden.hears)


def _give(layer: Prunable, weight: Tensor, mask: Tensor) -> None:
    inputs = layer.weight.shape[1]
    layer.set_mask(mask[:, :inputs])
    layer.weight.copy_(weight[:, :inputs] * mask[:, :inputs])
    if layer.bias is not None:
        # a neuron without weights keeps its bias
        known = mask[:, inputs]
        layer.bias.copy_(torch.where(known, weight[:, inputs], layer.bias))
