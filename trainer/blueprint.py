"""The layers a configuration can name, each a frozen dataclass that builds its module."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, is_dataclass
from typing import Any, Protocol

import torch
from torch import nn

from runtime.errors import ConfigError, ModelError
from runtime.plugins import known_or_own
from runtime.spec import Compare, Fire, Leak, Reset, ResetTiming, SynapticOrder
from trainer.layers import (
    AvgPool,
    BatchNorm,
    Conv1d,
    Conv2d,
    Flatten,
    Linear,
    MaxPool,
    Pair,
    Pool,
    Skip,
    SumPool,
)
from trainer.models import Residual
from trainer.neuron import IF, LI, LIF, CubaLIF, Firing, Neuron
from trainer.recurrent import Recurrent
from trainer.surrogate import Surrogate, SurrogateShape
from trainer.tables import read_table, require, shown

Shape = tuple[int, ...]


class Blueprint(Protocol):
    """One entry of ``[[layers]]``."""

    def build(self, shape: Shape, n_classes: int) -> nn.Module:
        """The module for an input of ``shape`` (without steps and batch)."""
        ...


def one_or_two(sizes: tuple[int, ...], key: str) -> Pair:
    """A size given once, or as [height, width]."""
    require(len(sizes) in (1, 2), key, list(sizes), "one number or [height, width]")
    return sizes[0] if len(sizes) == 1 else (sizes[0], sizes[1])


@dataclass(frozen=True)
class LinearLayer:
    """``out`` 0 stands for the number of classes."""

    out: int = 0
    bias: bool = False

    def build(self, shape: Shape, n_classes: int) -> nn.Module:
        require(len(shape) == 1, "linear", f"input of shape {shape}", "one axis (a flatten before it)")
        require(self.out >= 0, "linear.out", self.out, "0 (the number of classes) or more")
        return Linear(shape[0], self.out or n_classes, self.bias)


@dataclass(frozen=True)
class ConvLayer:
    """Sizes are one number or [height, width]."""

    out: int
    kernel: tuple[int, ...] = (3,)
    stride: tuple[int, ...] = (1,)
    padding: tuple[int, ...] = (0,)
    dilation: tuple[int, ...] = (1,)
    groups: int = 1
    bias: bool = False

    def build(self, shape: Shape, n_classes: int) -> nn.Module:
        require(len(shape) == 3, "conv2d", f"input of shape {shape}", "channels, height, width")
        return Conv2d(
            shape[0],
            self.out,
            one_or_two(self.kernel, "conv2d.kernel"),
            one_or_two(self.stride, "conv2d.stride"),
            one_or_two(self.padding, "conv2d.padding"),
            one_or_two(self.dilation, "conv2d.dilation"),
            groups=self.groups,
            bias=self.bias,
        )


@dataclass(frozen=True)
class Conv1dLayer:
    """Convolution over (channels, length)."""

    out: int
    kernel: int = 3
    stride: int = 1
    padding: int = 0
    dilation: int = 1
    groups: int = 1
    bias: bool = False

    def build(self, shape: Shape, n_classes: int) -> nn.Module:
        require(len(shape) == 2, "conv1d", f"input of shape {shape}", "channels, length")
        sizes = (self.kernel, self.stride, self.padding, self.dilation)
        return Conv1d(shape[0], self.out, *sizes, groups=self.groups, bias=self.bias)


@dataclass(frozen=True)
class BatchNormLayer:
    """Directly after a linear or convolution layer."""

    momentum: float = 0.1
    frozen: bool = False
    """Keep the running statistics and use them in training too."""

    def build(self, shape: Shape, n_classes: int) -> nn.Module:
        norm = BatchNorm(shape[0], momentum=self.momentum)
        norm.frozen = self.frozen
        return norm


@dataclass(frozen=True)
class PoolLayer:
    """Without ``stride`` the windows do not overlap."""

    kernel: tuple[int, ...] = (2,)
    stride: tuple[int, ...] | None = None
    padding: tuple[int, ...] = (0,)

    pool = Pool

    def build(self, shape: Shape, n_classes: int) -> nn.Module:
        stride = None if self.stride is None else one_or_two(self.stride, "pool.stride")
        kernel, padding = one_or_two(self.kernel, "pool.kernel"), one_or_two(self.padding, "pool.padding")
        return self.pool(kernel, stride, padding)


class AvgPoolLayer(PoolLayer):
    """Means of spikes; see ``PoolLayer``."""

    pool = AvgPool


class SumPoolLayer(PoolLayer):
    """Sums of spikes; see ``PoolLayer``."""

    pool = SumPool


class MaxPoolLayer(PoolLayer):
    """Maxima of spikes or currents; see ``PoolLayer``."""

    pool = MaxPool


@dataclass(frozen=True)
class FlattenLayer:
    """All axes to one."""

    def build(self, shape: Shape, n_classes: int) -> nn.Module:
        return Flatten()


@dataclass(frozen=True)
class SkipLayer:
    """One weight per channel: how spikes reach a sum of currents."""

    weight: float = 1.0
    learn: bool = False

    def build(self, shape: Shape, n_classes: int) -> nn.Module:
        return Skip(shape[0], self.weight, self.learn)


@dataclass(frozen=True)
class NeuronLayer:
    """What all neurons take. ``shifts``: the leak is 1 - 2^-k for each shift k, none is no leak."""

    shifts: tuple[int, ...] = (2,)
    learn_leak: bool = False
    threshold: tuple[float, ...] = (1.0,)
    fire: Fire = Fire.BINARY
    payload_bits: int = 1
    compare: Compare = Compare.GREATER_EQUAL
    reset: Reset = Reset.SUBTRACT
    reset_timing: ResetTiming = ResetTiming.SAME_STEP
    reset_value: tuple[float, ...] = (0.0,)
    detach_reset: bool = True
    surrogate: SurrogateShape = SurrogateShape.ARCTAN
    width: float = 1.0 / math.pi
    bias: bool = False
    start: float = 0.0
    v_leak: float = 0.0

    def build(self, shape: Shape, n_classes: int) -> nn.Module:
        return self.neuron(shape)

    def neuron(self, shape: Shape) -> Neuron:
        return LIF(
            Leak(self.shifts),
            self.firing(),
            surrogate=self.stand_in(),
            learn_leak=self.learn_leak,
            bias_channels=self.bias_channels(shape),
            v_leak=self.v_leak,
            start=self.start,
        )

    def firing(self) -> Firing:
        return Firing(
            self.threshold,
            self.fire,
            self.payload_bits,
            self.compare,
            self.reset,
            self.reset_timing,
            self.reset_value,
            self.detach_reset,
        )

    def stand_in(self) -> Surrogate:
        return Surrogate(self.surrogate, self.width)

    def bias_channels(self, shape: Shape) -> int:
        return shape[0] if self.bias else 0


class IFLayer(NeuronLayer):
    """``shifts`` and ``learn_leak`` play no part."""

    def neuron(self, shape: Shape) -> Neuron:
        channels = self.bias_channels(shape)
        return IF(self.firing(), surrogate=self.stand_in(), bias_channels=channels, start=self.start)


@dataclass(frozen=True)
class CubaLayer(NeuronLayer):
    """A leaky synaptic current before the membrane."""

    synaptic_shifts: tuple[int, ...] = (1,)
    synaptic_order: SynapticOrder = SynapticOrder.NEW

    def neuron(self, shape: Shape) -> Neuron:
        return CubaLIF(
            Leak(self.shifts),
            self.firing(),
            synaptic_leak=Leak(self.synaptic_shifts),
            synaptic_order=self.synaptic_order,
            surrogate=self.stand_in(),
            learn_leak=self.learn_leak,
            bias_channels=self.bias_channels(shape),
        )


@dataclass(frozen=True)
class LILayer:
    """The readout that never fires."""

    shifts: tuple[int, ...] = (2,)
    learn_leak: bool = False
    bias: bool = False
    start: float = 0.0

    def build(self, shape: Shape, n_classes: int) -> nn.Module:
        channels = shape[0] if self.bias else 0
        return LI(Leak(self.shifts), learn_leak=self.learn_leak, bias_channels=channels, start=self.start)


@dataclass(frozen=True)
class RecurrentLayer:
    """A population that hears itself; ``neuron`` is the table of its neuron, with a ``kind``."""

    neuron: Mapping[str, object] = field(default_factory=lambda: {"kind": "lif"})
    delay: int = 1
    bias: bool = False

    def build(self, shape: Shape, n_classes: int) -> nn.Module:
        require(len(shape) == 1, "recurrent", f"input of shape {shape}", "one axis")
        blueprint = read_layer(self.neuron, "recurrent.neuron")
        if not isinstance(blueprint, NeuronLayer):
            raise ConfigError(f"recurrent.neuron: found {shown(self.neuron)}, expected if, lif or cuba_lif")
        return Recurrent(Linear(shape[0], shape[0], self.bias), blueprint.neuron(shape), self.delay)


@dataclass(frozen=True)
class ResidualLayer:
    """The sum of two chains of layers; without ``shortcut`` the input itself is added."""

    body: tuple[Mapping[str, object], ...]
    shortcut: tuple[Mapping[str, object], ...] = ()

    def build(self, shape: Shape, n_classes: int) -> nn.Module:
        body = build_layers(read_layers(self.body, "residual.body"), shape, n_classes)
        if not self.shortcut:
            return Residual(body)
        chain = read_layers(self.shortcut, "residual.shortcut")
        return Residual(body, build_layers(chain, shape, n_classes))


LAYERS: dict[str, type[Blueprint]] = {
    "linear": LinearLayer,
    "conv1d": Conv1dLayer,
    "conv2d": ConvLayer,
    "batch_norm": BatchNormLayer,
    "avg_pool": AvgPoolLayer,
    "sum_pool": SumPoolLayer,
    "max_pool": MaxPoolLayer,
    "flatten": FlattenLayer,
    "skip": SkipLayer,
    "if": IFLayer,
    "lif": NeuronLayer,
    "cuba_lif": CubaLayer,
    "li": LILayer,
    "recurrent": RecurrentLayer,
    "residual": ResidualLayer,
}


def read_layer(table: object, where: str) -> Blueprint:
    """The blueprint of one table, by its ``kind``, one of ours or ``module:Class``; raises ConfigError."""
    if not isinstance(table, Mapping):
        raise ConfigError(f"{where}: found {shown(table)}, expected a table with a kind")
    kind = table.get("kind")
    if not isinstance(kind, str):
        raise ConfigError(f"{where}.kind: found {shown(kind)}, expected one of {', '.join(LAYERS)}")
    layer: Any = known_or_own("layer", f"{where}.kind", kind, LAYERS)
    if not (isinstance(layer, type) and is_dataclass(layer) and callable(getattr(layer, "build", None))):
        raise ConfigError(f"{where}.kind: found no layer at {kind}, expected a dataclass with build")
    options = {key: value for key, value in table.items() if key != "kind"}
    made: Any = read_table(layer, options, f"{where} ({kind})")
    blueprint: Blueprint = made
    return blueprint


def read_layers(tables: Sequence[object], where: str) -> list[Blueprint]:
    return [read_layer(table, f"{where}[{index}]") for index, table in enumerate(tables)]


def build_layers(layers: Sequence[Blueprint], shape: Shape, n_classes: int) -> nn.Sequential:
    """The layers one after the other, shapes found by running zeros through them.

    Raises:
        ConfigError: a layer does not fit the shape before it, or refuses its options.
    """
    modules: list[nn.Module] = []
    for index, layer in enumerate(layers):
        try:
            module = layer.build(shape, n_classes)
            shape = _shape_after(module, shape)
        except (ModelError, ValueError, RuntimeError) as error:
            kind = type(layer).__name__
            reason = " ".join(str(error).split())
            raise ConfigError(
                f"layers[{index}] ({kind}): found input of shape {shape} and {reason}, "
                "expected options that fit"
            ) from error
        modules.append(module)
    return nn.Sequential(*modules)


def _shape_after(module: nn.Module, shape: Shape) -> Shape:
    training = module.training
    module.eval()
    with torch.no_grad():
        out = module(torch.zeros(1, 1, *shape))
    module.train(training)
    return tuple(out.shape[2:])
