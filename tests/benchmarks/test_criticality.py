"""The measures of the criticality benchmark, on cases with known answers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from benchmarks.criticality import (
    Firing,
    accuracy_without,
    entropy,
    information,
    loss_without,
    new_net,
    partial,
    rank_correlation,
    settings,
    spread,
)
from benchmarks.criticality_pictures import standalone
from spikepress.plots import Plot, PlotKind, Series
from spikepress.svg import draw
from trainer.models import SpikingNet


def firing(samples: int = 40, neurons: int = 256) -> Firing:
    draw_ = torch.Generator().manual_seed(0)
    spikes = (torch.rand(8, samples, neurons, generator=draw_) < 0.2).float()
    return Firing(torch.zeros_like(spikes), spikes, torch.arange(samples) % 10)


def scores(net: SpikingNet, spikes: torch.Tensor) -> torch.Tensor:
    """By the layers themselves, one neuron silenced at a time."""
    with torch.no_grad():
        out: torch.Tensor = net.scores(net.body.get_submodule("3")(net.body.get_submodule("2")(spikes)))
    return out.double()


def test_entropy_is_a_bit_at_a_half_and_nothing_at_the_ends() -> None:
    found = entropy(torch.tensor([0.0, 0.5, 1.0, 0.11]))
    torch.testing.assert_close(found[:3], torch.tensor([0.0, 1.0, 0.0]).double(), atol=1e-9, rtol=0)
    assert float(found[3]) == pytest.approx(0.4999, abs=1e-3)


def test_a_count_that_tells_the_class_has_all_its_information_and_noise_has_none() -> None:
    y = torch.arange(400) % 4
    spikes = torch.zeros(8, 400, 2)
    for label in range(4):
        spikes[:label, y == label, 0] = 1.0
    found = information(Firing(spikes, spikes, y))
    torch.testing.assert_close(found, torch.tensor([2.0, 0.0]).double())


def test_the_loss_without_a_neuron_is_that_of_the_net_with_it_silenced() -> None:
    net, seen = new_net(settings(0, 1, 1e-3)), firing()
    found = loss_without(net, seen)
    base = F.cross_entropy(scores(net, seen.spikes), seen.y)
    for neuron in (0, 17, 255):
        spikes = seen.spikes.clone()
        spikes[:, :, neuron] = 0.0
        rise = F.cross_entropy(scores(net, spikes), seen.y) - base
        torch.testing.assert_close(found[neuron], rise, atol=1e-5, rtol=1e-4)


def test_accuracy_without_neurons_is_that_of_the_net_with_them_silenced() -> None:
    net, seen = new_net(settings(0, 1, 1e-3)), firing(samples=200)
    silent = np.arange(0, 256, 3)
    spikes = seen.spikes.clone()
    spikes[:, :, silent] = 0.0
    wanted = (scores(net, spikes).argmax(1) == seen.y).double().mean()
    assert accuracy_without(net, seen, silent) == pytest.approx(float(wanted), abs=0.006)


def test_ranks_ignore_the_scale_and_share_ties() -> None:
    a = np.array([1.0, 2.0, 2.0, 50.0])
    assert rank_correlation(a, a**3) == pytest.approx(1.0)
    assert rank_correlation(a, -a) == pytest.approx(-1.0)
    # ranks 1, 2.5, 2.5, 4 beside 1, 2, 3, 4
    assert rank_correlation(a, np.array([1.0, 2.0, 3.0, 4.0])) == pytest.approx(0.9487, abs=1e-4)


def test_a_partial_correlation_takes_out_what_both_share() -> None:
    draw_ = np.random.default_rng(0)
    shared, own = draw_.normal(size=4_000), draw_.normal(size=(2, 4_000))
    a, b = shared + 0.3 * own[0], shared + 0.3 * own[1]
    assert rank_correlation(a, b) > 0.8
    assert abs(partial(a, b, shared)) < 0.05


def test_classes_far_apart_spread_more() -> None:
    seen = firing(samples=200)
    apart = seen.spikes.clone()
    for label in range(10):
        apart[:, seen.y == label, label] = 1.0
    assert spread(Firing(seen.u, apart, seen.y)) > spread(seen)


def test_a_picture_of_its_own_is_complete_and_small() -> None:
    plot = Plot("x", "t", PlotKind.GROUPED, "", "y", (Series("s", (("a", 1.0), ("b", 2.0))),))
    svg = standalone(draw(plot))
    assert svg.startswith('<svg xmlns="http://www.w3.org/2000/svg" width="640" viewBox=')
    assert "<style>" in svg
    assert "data-" not in svg
