"""Named networks: their parameters are counted by hand, and each is built and exported."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

from exporter.lower import lower
from exporter.passes import simplify
from exporter.quantize import quantize
from exporter.reference import run
from exporter.sources.torch import graph_from_torch
from runtime.engine import Engine
from runtime.errors import ConfigError
from runtime.spec import Coding, InputSpec, Readout
from tests.builders.graphs import coded
from trainer.build import Recipe, from_recipe
from trainer.config import parse
from trainer.layers import BatchNorm
from trainer.models import SpikingNet
from trainer.networks import NETWORKS, NetworkConfig, Stem
from trainer.prepare import fold_batch_norm, prepare


def built(config: NetworkConfig, n_classes: int = 10) -> SpikingNet:
    spec = InputSpec((3, config.side, config.side), Coding.DIRECT, 2, bits=8, scale=1 / 255, constant=True)
    torch.manual_seed(0)
    return from_recipe(Recipe(config.layers(), None, n_classes), spec, Readout.MEMBRANE_SUM, ())


def weights(net: SpikingNet) -> int:
    return sum(p.numel() for name, p in net.named_parameters() if p.dim() > 1 and p.requires_grad)


def parameters(net: SpikingNet) -> int:
    return sum(p.numel() for p in net.parameters() if p.requires_grad)


def conv(before: int, after: int, kernel: int = 3) -> int:
    return before * after * kernel**2


VGG = [3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512]


def residual(stem: int, stages: list[tuple[int, int]]) -> int:
    """Weights of the blocks of a residual network: the first of a stage that changes width has a shortcut."""
    total, before = 0, stem
    for width, blocks in stages:
        total += conv(before, width) + conv(width, width) * (2 * blocks - 1)
        total += conv(before, width, 1) if before != width else 0
        before = width
    return total


EXPECTED = {
    "vgg16": sum(conv(a, b) for a, b in pairwise(VGG)) + 512 * 10,
    "resnet19": conv(3, 64) + residual(64, [(128, 3), (256, 3), (512, 2)]) + 512 * 256 + 256 * 10,
    "sew-resnet18": conv(3, 64) + residual(64, [(64, 2), (128, 2), (256, 2), (512, 2)]) + 512 * 10,
}
DOCUMENTED = {"vgg16": 14_715_584, "resnet19": 12_619_968, "sew-resnet18": 11_164_352}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_weights_are_those_counted_by_hand_and_documented(name: str) -> None:
    assert weights(built(NetworkConfig(name))) == EXPECTED[name] == DOCUMENTED[name]


def test_the_imagenet_form_has_the_parameters_of_resnet_18() -> None:
    net = built(NetworkConfig("sew-resnet18", side=32, stem=Stem.LARGE), n_classes=1000)
    # 11,689,512 in He et al.'s ResNet-18, whose last layer has a bias that ours has not
    assert parameters(net) == 11_689_512 - 1000


@pytest.mark.parametrize("name", NETWORKS)
def test_width_scales_every_hidden_layer(name: str) -> None:
    full, half = weights(built(NetworkConfig(name))), weights(built(NetworkConfig(name, width=0.5)))
    assert 0.24 < half / full < 0.27


@pytest.mark.parametrize("name", NETWORKS)
def test_a_tiny_one_is_exported_and_runs_as_the_reference_does(name: str) -> None:
    net = built(NetworkConfig(name, width=1 / 32))
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, BatchNorm):
                module.weight.fill_(2.0)
                module.bias.fill_(0.3)
    net.train()(torch.randint(0, 256, (2, 4, 3, 32, 32)).float())  # statistics for the batch norms
    prepare(fold_batch_norm(net), 8).eval()
    graph = quantize(simplify(graph_from_torch(net)))
    frames = np.ascontiguousarray(coded(graph, samples=2, seed=1))
    reference = run(graph, frames)
    result = Engine(lower(graph)).run(frames, trace=True)
    assert result.trace is not None
    for layer, spikes in reference.spikes.items():
        np.testing.assert_array_equal(result.trace.spikes[layer], spikes, layer)
        np.testing.assert_array_equal(result.trace.membranes[layer], reference.membranes[layer], layer)
    active = [layer for layer, spikes in reference.spikes.items() if spikes.any()]
    assert len(active) > len(reference.spikes) // 2


def test_a_configuration_names_a_network() -> None:
    config = parse('[network]\nname = "resnet19"\nwidth = 0.25\nneuron = {kind = "lif", shifts = 1}\n')
    assert config.layers == NetworkConfig("resnet19", 0.25, neuron={"kind": "lif", "shifts": 1}).layers()
    assert config.layers[0]["out"] == 16


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[network]\nname = "vgg17"\n', "network.name"),
        ('[network]\nname = "vgg16"\nwidth = 0\n', "network.width"),
        ('[network]\nname = "vgg16"\nside = 28\n', "a multiple of 32"),
        ('[network]\nname = "vgg16"\n[[layers]]\nkind = "flatten"\n', "beside it"),
        ('[network]\nname = "vgg16"\nneuron = {kind = "hh"}\n', "hh"),
        ("[network]\nwidth = 0.5\n", "network.name"),
    ],
)
def test_a_network_that_cannot_be_is_refused(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        parse(text)
