"""A graph from a trained ``trainer.models.SpikingNet``: the names are the module paths in its body."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from exporter.check import check
from exporter.graph import (
    Add,
    BatchNorm,
    Conv,
    Flatten,
    Graph,
    Input,
    Linear,
    Neuron,
    Node,
    Pool,
    PoolKind,
    Reals,
    Scale,
    Weights,
)
from runtime.errors import ModelError, UnsupportedError
from runtime.spec import InputSpec
from trainer import layers
from trainer.models import SpikingNet
from trainer.neuron import Neuron as TorchNeuron
from trainer.recurrent import Recurrent
from trainer.structure import Site, output_population, sites
from trainer.synapse import Synapse


def graph_from_torch(net: SpikingNet) -> Graph:
    """Graph of ``net`` as it evaluates: masked weights, whole numbers with a scale where a quantizer is.

    Maps of (channels, length) become (channels, 1, length). ``UnsupportedError`` names the module that is
    not one of ours, or that is called twice.
    """
    found = sites(net.body)
    flat = len(net.input.shape) == 2
    nodes: list[Node] = []
    names: dict[str, str] = {}
    for site in found.values():
        read = tuple(names[source] for source in site.sources)
        made = _nodes(site, read, net.input, flat)
        nodes += made
        names[site.name] = made[-1].name
    graph = Graph(tuple(nodes), output_population(net), net.readout, tuple(net.classes))
    check(graph)
    return graph


def _nodes(site: Site, read: tuple[str, ...], spec: InputSpec, flat: bool) -> list[Node]:
    """Nodes of one site; the last one carries its output."""
    module = site.module
    if module is None:
        return [Add(site.name, read)] if read else [Input(site.name, _mapped(spec))]
    if isinstance(module, Recurrent):
        return _recurrent(site.name, module, read[0])
    if isinstance(module, layers.Pool):
        return [_pool(site.name, module, read[0], flat)]
    for kind, make in MAKERS.items():
        if isinstance(module, kind):
            return [make(site.name, module, read[0])]
    known = ", ".join(sorted(kind.__name__ for kind in MAKERS))
    raise UnsupportedError(f"{site.name}: found a {type(module).__name__}, expected one of {known}")


def _mapped(spec: InputSpec) -> InputSpec:
    if len(spec.shape) != 2:
        return spec
    channels, length = spec.shape
    return replace(spec, shape=(channels, 1, length))


def _numbers(tensor: Tensor) -> Reals:
    return tensor.detach().cpu().numpy().astype(np.float64)


def _weights(name: str, synapse: Synapse) -> tuple[Weights, Reals | None, int | None]:
    """Weights, and where a quantizer is their scale and bits."""
    bad = int(torch.count_nonzero(~torch.isfinite(synapse.weight)))
    if bad:
        # A grid would clip an infinity to its largest whole number.
        raise ModelError(f"{name}: found {bad} weights that are not finite, expected real numbers")
    if synapse.quantizer is None:
        with torch.no_grad():
            return _numbers(synapse.effective_weight()), None, None
    whole, scale = synapse.integers()
    weight = whole.detach().cpu().numpy().astype(np.int32)
    return weight, _numbers(scale).reshape(-1), synapse.quantizer.width.bits


def _bias(synapse: Synapse) -> Reals | None:
    return None if synapse.bias is None else _numbers(synapse.bias)


def _linear(name: str, module: layers.Linear, source: str) -> Linear:
    weight, scale, bits = _weights(name, module)
    return Linear(name, source, weight, _bias(module), scale, bits)


def _conv(name: str, module: layers.Conv2d | layers.Conv1d, source: str) -> Conv:
    weight, scale, bits = _weights(name, module)
    if isinstance(module.padding, str) or module.padding_mode != "zeros":
        raise UnsupportedError(
            f"{name}: found padding {module.padding!r} ({module.padding_mode}), expected numbers and zeros"
        )
    return Conv(
        name,
        source,
        weight if weight.ndim == 4 else weight[:, :, None, :],
        stride=_pair(module.stride, 1),
        padding=_pair(module.padding, 0),
        dilation=_pair(module.dilation, 1),
        groups=module.groups,
        bias=_bias(module),
        scale=scale,
        bits=bits,
    )


def _pair(values: tuple[int, ...], height: int) -> tuple[int, int]:
    return (values[0], values[1]) if len(values) == 2 else (height, values[0])


def _skip(name: str, module: layers.Skip, source: str) -> Scale:
    weight, scale, bits = _weights(name, module)
    return Scale(name, source, weight, scale, bits)


def _norm(name: str, module: layers.BatchNorm, source: str) -> BatchNorm:
    if module.running_mean is None or module.running_var is None:
        raise ModelError(f"{name}: found a batch norm without running statistics, expected them")
    gain = torch.rsqrt(module.running_var.double() + module.eps)
    if module.weight is not None:
        gain = gain * module.weight.double()
    offset = -module.running_mean.double() * gain
    if module.bias is not None:
        offset = offset + module.bias.double()
    return BatchNorm(name, source, _numbers(gain), _numbers(offset))


def _flatten(name: str, _: nn.Module, source: str) -> Flatten:
    return Flatten(name, source)


def _neuron(name: str, module: TorchNeuron, source: str) -> Neuron:
    return Neuron(name, source, module.float_neuron())


MAKERS: Mapping[type[nn.Module], Callable[[str, Any, str], Node]] = {
    layers.Linear: _linear,
    layers.Conv2d: _conv,
    layers.Conv1d: _conv,
    layers.Skip: _skip,
    layers.BatchNorm: _norm,
    layers.Flatten: _flatten,
    TorchNeuron: _neuron,
}
"""How a module with one source becomes a node."""

POOLS: Mapping[type[layers.Pool], PoolKind] = {
    layers.SumPool: PoolKind.SUM,
    layers.AvgPool: PoolKind.AVERAGE,
    layers.MaxPool: PoolKind.MAX,
}


def _pool(name: str, module: layers.Pool, source: str, flat: bool) -> Pool:
    if type(module) not in POOLS:
        raise UnsupportedError(
            f"{name}: found a {type(module).__name__}, expected one of {sorted(k.__name__ for k in POOLS)}"
        )
    return Pool(name, source, POOLS[type(module)], *module.window(flat))


def _recurrent(name: str, module: Recurrent, source: str) -> list[Node]:
    """The population's own synapses (delayed), their sum with the input, and the neurons."""
    neuron = f"{name}.neuron"
    own = replace(_linear(f"{name}.linear", module.linear, neuron), delay=module.delay)
    total = Add(f"{name}.sum", (source, own.name))
    return [own, total, Neuron(neuron, total.name, module.neuron.float_neuron())]
