"""Networks of snnTorch modules, walked directly, fire here as they fire there."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

snn = pytest.importorskip("snntorch")

from exporter.graph import by_name  # noqa: E402
from exporter.reference import run_float  # noqa: E402
from exporter.sources.modules import graph_from_modules  # noqa: E402
from runtime.errors import ModelError, UnsupportedError  # noqa: E402
from runtime.spec import Readout  # noqa: E402
from tests.parity.test_nir_snntorch import RUNS, UNSAYABLE, snntorch_net, spikes_there  # noqa: E402

STEPS, SAMPLES = 50, 40


def assert_same(net: nn.Module, expected: np.ndarray, x: torch.Tensor, **options: object) -> None:
    graph = graph_from_modules(net, n_steps=len(x), **options)  # type: ignore[arg-type]
    found = run_float(graph, x.numpy().astype(np.int32)).spikes[graph.output]
    assert expected.sum() > 100
    assert (found == expected).all(axis=(0, 2)).mean() >= 0.99
    assert (found == expected).mean() >= 0.9999


def events(*shape: int, rate: float = 0.2) -> torch.Tensor:
    torch.manual_seed(2)
    return (torch.rand(STEPS, SAMPLES, *shape) < rate).float()


@pytest.mark.parametrize(("kind", "reset", "delay"), RUNS)
def test_every_spike_is_the_producers_or_the_neuron_is_refused_by_name(kind, reset, delay):
    net = snntorch_net(kind, reset, delay=delay)
    if (kind, reset, delay) in UNSAYABLE:
        with pytest.raises(UnsupportedError, match=r"^1: found reset_mechanism"):
            graph_from_modules(net)
        return
    x = events(20)
    assert_same(net, spikes_there(net, x), x)


def test_a_convolutional_network_with_batch_norms_pools_and_factors_of_its_own():
    torch.manual_seed(3)
    net = nn.Sequential(
        nn.Conv2d(2, 6, 3, padding=1),
        nn.BatchNorm2d(6),
        snn.Leaky(beta=torch.linspace(0.5, 0.95, 6)[:, None, None], init_hidden=True, learn_beta=True),
        nn.MaxPool2d(2),
        nn.Dropout(0.5),
        nn.Conv2d(6, 4, 3, bias=False),
        snn.Leaky(beta=0.8, threshold=0.7, init_hidden=True, reset_mechanism="zero"),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(16, 5),
        snn.Leaky(beta=1.0, init_hidden=True, output=True, learn_threshold=True),
    )
    with torch.no_grad():
        for _ in range(5):
            net[1](net[0](torch.rand(8, 2, 12, 12)))
        for layer, factor in ((net[0], 3.0), (net[5], 3.0), (net[9], 4.0)):
            layer.weight.mul_(factor)
    net.eval()
    x = events(2, 12, 12, rate=0.3)
    assert_same(net, spikes_there(net, x), x, shape=(2, 12, 12))


class Tutorial(nn.Module):
    """The form of snnTorch's tutorials: a loop over the steps of one image."""

    def __init__(self) -> None:
        super().__init__()
        self.lif2 = snn.Leaky(beta=0.9)  # registered before what runs before it
        self.fc1 = nn.Linear(12, 16)
        self.lif1 = snn.Leaky(beta=0.9)
        self.fc2 = nn.Linear(16, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first, second = self.lif1.init_leaky(), self.lif2.init_leaky()
        spikes = []
        for _ in range(3):
            spike, first = self.lif1(self.fc1(x), first)
            spike, second = self.lif2(self.fc2(spike), second)
            spikes.append(spike)
        return torch.stack(spikes)


def test_a_module_with_a_forward_of_its_own_is_walked_in_the_order_of_its_calls():
    graph = graph_from_modules(Tutorial(), readout=Readout.MEMBRANE_SUM)
    assert list(by_name(graph)) == ["input", "fc1", "lif1", "fc2", "lif2"]
    assert (graph.output, graph.readout) == ("lif2", Readout.MEMBRANE_SUM)
    assert graph.meta["imported.from"] == "snntorch"


def not_finite() -> nn.Module:
    net = nn.Sequential(nn.Linear(3, 2), snn.Leaky(beta=0.9, init_hidden=True))
    with torch.no_grad():
        net[0].weight[0, 0] = torch.nan
    return net


class Unsteady(nn.Module):
    """A forward that one step of zeros does not suit."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise ValueError("no")


@pytest.mark.filterwarnings("ignore:Inhibition")
@pytest.mark.parametrize(
    ("net", "words"),
    [
        (lambda: nn.Sequential(nn.Linear(3, 2), nn.ReLU()), "1: found a ReLU, expected one of"),
        (lambda: nn.Sequential(nn.Linear(3, 2)), "0: found it last, expected a neuron"),
        (lambda: nn.Sequential(nn.Conv2d(1, 2, 3), snn.Leaky(beta=0.9)), "expected --shape"),
        (lambda: nn.Sequential(nn.Linear(3, 2), snn.Leaky(beta=0.9, inhibition=True)), "1: found inhibition"),
        (lambda: nn.Sequential(nn.Linear(3, 2), snn.Lapicque(beta=0.9)), "1: found a Lapicque"),
        (not_finite, "0: found weight that is empty or not finite"),
        (Unsteady, r"Unsteady: found ValueError \(no\) on a call with zeros of shape \(1, 3\)"),
        (lambda: nn.Sequential(nn.Flatten(2), nn.Linear(3, 2)), "expected a neuron at the end"),
    ],
)
def test_what_cannot_be_is_refused_by_name(net, words):
    with pytest.raises((UnsupportedError, ModelError), match=words):
        graph_from_modules(net())
