"""Makes a trained net ready for its integer life: folds batch norm, and puts every weight on its grid."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from runtime.errors import ModelError, UnsupportedError
from runtime.spec import Fire, Readout
from trainer.check import check_structure
from trainer.layers import BatchNorm, Conv1d, Conv2d, Linear, Skip
from trainer.models import SpikingNet
from trainer.neuron import Neuron
from trainer.quant import (
    DEAD_CHANNEL_SHIFT,
    GridRule,
    Member,
    ScaleGroup,
    WeightBits,
    WeightQuantizer,
)
from trainer.structure import Afferent, output_population, populations, sites
from trainer.synapse import Synapse


@dataclass(frozen=True)
class Quantization:
    """Widths of the weights: most layers, those that hear the input, those that feed the output."""

    bits: WeightBits = WeightBits.INT8
    first: WeightBits | None = None
    last: WeightBits | None = None

    def width(self, afferent: Afferent, is_output: bool) -> WeightBits:
        """Width of one layer; an identity skip always has 8 bits."""
        if isinstance(afferent.synapse, Skip):
            return WeightBits.INT8
        if afferent.from_input and self.first is not None:
            return self.first
        if is_output and self.last is not None:
            return self.last
        return self.bits


def prepare(
    net: SpikingNet,
    bits: WeightBits | int | str = WeightBits.INT8,
    *,
    first: WeightBits | int | str | None = None,
    last: WeightBits | int | str | None = None,
) -> SpikingNet:
    """Give every layer with weights a quantizer, in place, and return the net.

    Layers that meet in one population get units that differ by powers of two; a population read by its
    membrane gets one scale over channels; a graded one scales that are a power of two below its threshold.

    Raises:
        ModelError: batch norms are left to fold, or the net cannot be traced.
    """
    if any(isinstance(m, BatchNorm) for m in net.modules()):
        raise ModelError("prepare: found a batch norm, expected fold_batch_norm before quantization")
    check_structure(net)
    plan = Quantization(_width(bits), _optional(first), _optional(last))
    neurons, output = net.neurons(), output_population(net)
    for name, afferents in populations(net).items():
        _tie(neurons[name], afferents, plan, _Role(name == output, net.readout))
    net.quantization = plan
    return net


@dataclass(frozen=True)
class _Role:
    """Whether a population is the output, and how that is read."""

    is_output: bool
    readout: Readout

    @property
    def shared(self) -> bool:
        return self.is_output and self.readout is not Readout.COUNT


def _tie(neuron: Neuron, afferents: tuple[Afferent, ...], plan: Quantization, role: _Role) -> None:
    members = []
    for afferent in afferents:
        synapse = afferent.synapse
        channels = synapse.weight.shape[0]
        threshold = _per_channel(neuron.firing.threshold, channels)
        rule = GridRule(
            width=plan.width(afferent, role.is_output),
            dead=threshold.abs().clamp(min=1e-6) * 2.0**-DEAD_CHANNEL_SHIFT / afferent.factor,
            shared=role.shared,
            anchor=threshold if neuron.firing.fire is Fire.GRADED else None,
        )
        synapse.quantizer = WeightQuantizer(rule, channels)
        synapse.quantizer.train(synapse.training)
        members.append(Member(synapse, synapse.quantizer, afferent.factor))
    group = ScaleGroup(tuple(members))
    for member in members:
        member.quantizer.group = group
    group.refresh()


def _per_channel(values: tuple[float, ...], channels: int) -> Tensor:
    tensor = torch.tensor(values)
    return tensor.clone() if len(values) == channels else tensor[:1].expand(channels).clone()


def _width(bits: WeightBits | int | str) -> WeightBits:
    return bits if isinstance(bits, WeightBits) else WeightBits.of(bits)


def _optional(bits: WeightBits | int | str | None) -> WeightBits | None:
    return None if bits is None else _width(bits)


def fold_batch_norm(net: SpikingNet) -> SpikingNet:
    """Multiply every batch norm that directly follows a linear map into it, in place; returns the net.

    An ``nn.Identity`` stands in its place, so that names and state keys of the rest stay as they were.

    Raises:
        UnsupportedError: a batch norm follows something else, or shares its source with another reader.
    """
    found = sites(net.body)
    readers = [source for site in found.values() for source in site.sources]
    for name, site in found.items():
        if not isinstance(site.module, BatchNorm):
            continue
        source = found[site.sources[0]]
        if not isinstance(source.module, Linear | Conv1d | Conv2d) or readers.count(source.name) != 1:
            raise UnsupportedError(
                f"{name}: found batch norm after {source.name}, expected its own linear map"
            )
        _fold(source.module, site.module)
        parent, _, child = name.rpartition(".")
        setattr(net.body.get_submodule(parent), child, nn.Identity())
    net.folded = True
    return net


def _fold(synapse: Synapse, norm: BatchNorm) -> None:
    mean, variance = norm.running_mean, norm.running_var
    if mean is None or variance is None:
        raise UnsupportedError("batch norm: found no running statistics, expected them for folding")
    with torch.no_grad():
        gain = torch.rsqrt(variance + norm.eps)
        if norm.weight is not None:
            gain = gain * norm.weight
        shape = (-1, *[1] * (synapse.weight.dim() - 1))
        before = torch.zeros_like(mean) if synapse.bias is None else synapse.bias
        bias = (before - mean) * gain + (0.0 if norm.bias is None else norm.bias)
        synapse.weight.mul_(gain.reshape(shape))
        synapse.bias = nn.Parameter(bias)
