"""Named networks as layer tables: VGG-16, ResNet-19 and SEW-ResNet-18, at any width.

The tables are those of ``[[layers]]``, so that a named network is built, saved, pruned and exported
like any other. ``docs/networks.md`` gives the source of each and its parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from trainer.tables import require

Table = dict[str, object]


class Stem(Enum):
    """How a residual network begins: one 3x3 convolution, or 7x7 with stride 2 and a max pool (ImageNet)."""

    SMALL = "small"
    LARGE = "large"


@dataclass(frozen=True)
class NetworkConfig:
    """``[network]``: a network by name, in place of ``[[layers]]``."""

    name: str
    width: float = 1.0
    """Factor on the channels of every hidden layer."""
    side: int = 32
    """Height and width of the input."""
    stem: Stem = Stem.SMALL
    """Of SEW-ResNet-18 only."""
    neuron: Mapping[str, object] = field(default_factory=lambda: {"kind": "lif", "shifts": 2})
    """Table of every hidden neuron."""
    output: Mapping[str, object] = field(default_factory=lambda: {"kind": "li", "shifts": 3})
    """Table of the output population; ``train.readout`` must suit it."""

    def __post_init__(self) -> None:
        require(self.name in NETWORKS, "network.name", self.name, f"one of {', '.join(NETWORKS)}")
        require(self.width > 0, "network.width", self.width, "a number above 0")
        step = NETWORKS[self.name].divides(self)
        require(self.side > 0 and self.side % step == 0, "network.side", self.side, f"a multiple of {step}")

    def channels(self, full: int) -> int:
        """A layer's channels at this width."""
        return max(1, round(full * self.width))

    def layers(self) -> tuple[Table, ...]:
        """The layer tables."""
        return tuple(NETWORKS[self.name].layers(self))


def vgg16(config: NetworkConfig) -> list[Table]:
    """Configuration D of Simonyan and Zisserman, ICLR 2015, with batch norm and one classifying layer."""
    tables: list[Table] = []
    for width, convolutions in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(convolutions):
            tables += [*_conv(config, width), dict(config.neuron)]
        tables.append({"kind": "max_pool", "kernel": 2})
    return [*tables, *_classifier(config)]


def resnet19(config: NetworkConfig) -> list[Table]:
    """Currents meet before the neuron; the layout of Kim et al., ECCV 2022, which narrows the stem of Zheng
    et al., AAAI 2021, from 128 to 64 channels and strides in all three stages."""
    tables = [*_conv(config, 64), dict(config.neuron)]
    before = 64
    for width, blocks in ((128, 3), (256, 3), (512, 2)):
        for block in range(blocks):
            tables += [_current_block(config, before, width, 2 if block == 0 else 1), dict(config.neuron)]
            before = width
    tables.append({"kind": "avg_pool", "kernel": config.side // 8})
    hidden: list[Table] = [{"kind": "flatten"}, {"kind": "linear", "out": config.channels(256)}]
    return [*tables, *hidden, dict(config.neuron), {"kind": "linear"}, dict(config.output)]


def sew_resnet18(config: NetworkConfig) -> list[Table]:
    """Spikes are added after the neuron; Fang et al., NeurIPS 2021, connection ADD."""
    large = config.stem is Stem.LARGE
    tables = [*_conv(config, 64, 7 if large else 3, 2 if large else 1), dict(config.neuron)]
    if large:
        tables.append({"kind": "max_pool", "kernel": 3, "stride": 2, "padding": 1})
    before = 64
    for width in (64, 128, 256, 512):
        for block in range(2):
            tables.append(_spike_block(config, before, width, 2 if block == 0 and width > 64 else 1))
            before = width
    tables.append({"kind": "avg_pool", "kernel": config.side // (32 if large else 8)})
    return [*tables, *_classifier(config)]


def _conv(config: NetworkConfig, out: int, kernel: int = 3, stride: int = 1) -> list[Table]:
    conv: Table = {"kind": "conv2d", "out": config.channels(out), "kernel": kernel, "stride": stride}
    return [{**conv, "padding": kernel // 2}, {"kind": "batch_norm"}]


def _current_block(config: NetworkConfig, before: int, width: int, stride: int) -> Table:
    body = [*_conv(config, width, 3, stride), dict(config.neuron), *_conv(config, width)]
    changes = stride != 1 or before != width
    shortcut = _conv(config, width, 1, stride) if changes else [{"kind": "skip"}]
    return {"kind": "residual", "body": body, "shortcut": shortcut}


def _spike_block(config: NetworkConfig, before: int, width: int, stride: int) -> Table:
    body = [*_conv(config, width, 3, stride), dict(config.neuron), *_conv(config, width), dict(config.neuron)]
    block: Table = {"kind": "residual", "body": body}
    if stride != 1 or before != width:
        block["shortcut"] = [*_conv(config, width, 1, stride), dict(config.neuron)]
    return block


def _classifier(config: NetworkConfig) -> Sequence[Table]:
    return [{"kind": "flatten"}, {"kind": "linear"}, dict(config.output)]


@dataclass(frozen=True)
class Network:
    """How a named network is made, and what the side of its input must divide by."""

    layers: Callable[[NetworkConfig], list[Table]]
    divides: Callable[[NetworkConfig], int]


NETWORKS: dict[str, Network] = {
    "vgg16": Network(vgg16, lambda config: 32),
    "resnet19": Network(resnet19, lambda config: 8),
    "sew-resnet18": Network(sew_resnet18, lambda config: 32 if config.stem is Stem.LARGE else 8),
}
