"""Networks of SpikingJelly modules, walked directly, fire here as they fire there."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

neuron = pytest.importorskip("spikingjelly.activation_based.neuron")

from spikingjelly.activation_based import functional, layer  # noqa: E402

from exporter.reference import run_float  # noqa: E402
from exporter.sources.modules import graph_from_modules  # noqa: E402

STEPS, SAMPLES = 40, 30


def assert_same(net: nn.Module, x: torch.Tensor, **options: object) -> None:
    functional.reset_net(net)
    with torch.no_grad():
        expected = torch.stack([net(frame) for frame in x]).numpy().astype(np.int32)
    graph = graph_from_modules(net, n_steps=len(x), **options)  # type: ignore[arg-type]
    found = run_float(graph, x.numpy().astype(np.int32)).spikes[graph.output]
    assert expected.sum() > 100
    assert (found == expected).all(axis=(0, 2)).mean() >= 0.99
    assert (found == expected).mean() >= 0.9999


def events(*shape: int, rate: float = 0.2) -> torch.Tensor:
    torch.manual_seed(2)
    return (torch.rand(STEPS, SAMPLES, *shape) < rate).float()


@pytest.mark.parametrize("reset", [0.0, -0.25, None])
@pytest.mark.parametrize(
    "make",
    [
        lambda reset: neuron.IFNode(v_reset=reset),
        lambda reset: neuron.LIFNode(tau=2.0, v_reset=reset),
        lambda reset: neuron.LIFNode(tau=3.0, v_reset=reset, decay_input=False, v_threshold=0.8),
        lambda reset: neuron.ParametricLIFNode(init_tau=4.0, v_reset=reset),
    ],
    ids=["if", "lif", "lif without decay of its input", "parametric"],
)
def test_every_spike_is_the_producers(make, reset):
    torch.manual_seed(1)
    net = nn.Sequential(layer.Linear(20, 32), make(reset), layer.Linear(32, 8), make(reset))
    with torch.no_grad():
        net[0].weight.mul_(12)
        net[2].weight.mul_(20)
    assert_same(net.eval(), events(20))


def test_a_convolutional_network_with_batch_norm_and_pools():
    torch.manual_seed(3)
    net = nn.Sequential(
        layer.Conv2d(2, 6, 3, padding=1, bias=False),
        layer.BatchNorm2d(6),
        neuron.LIFNode(tau=2.0),
        layer.MaxPool2d(2),
        layer.Conv2d(6, 4, 3),
        neuron.IFNode(v_reset=None),
        layer.AvgPool2d(2),
        layer.Flatten(),
        layer.Dropout(0.3),
        layer.Linear(16, 5),
        neuron.IFNode(),
    )
    with torch.no_grad():
        for _ in range(5):
            net[1](net[0](torch.rand(8, 2, 12, 12)))
        for at, factor in ((0, 2.0), (4, 3.0), (9, 4.0)):
            net[at].weight.mul_(factor)
    assert_same(net.eval(), events(2, 12, 12, rate=0.3), shape=(2, 12, 12))
