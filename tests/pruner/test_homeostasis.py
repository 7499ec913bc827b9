"""Threshold re-centring: rates come back to the dense net's, and nothing else is touched."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from pruner import Calibrated, Calibration, Compression
from pruner.hessian import Passes
from pruner.homeostasis import centrable, recentre
from pruner.topology import prunable_layers
from tests.pruner.nets import conv, mlp, recurrent
from tests.pruner.test_trace import Events
from trainer import checkpoint


def weakened(net, factor=0.6):
    """A copy whose synapses are all smaller: it fires less."""
    small = copy.deepcopy(net)
    with torch.no_grad():
        for layer in prunable_layers(small).values():
            layer.weight.mul_(factor)
    return small.eval()


def passes(net, count=60):
    return Passes(Events(net, count), np.arange(count), 25)


@pytest.mark.parametrize("make", [mlp, lambda: mlp(silent=False), conv])
def test_rates_come_back_to_those_of_the_dense_net(make):
    net = make().eval()
    small = weakened(net)
    found = recentre(net, small, passes(net))
    assert found.keys() == set(centrable(net))
    for one in found.values():
        assert abs(one.after - one.wanted) <= abs(one.before - one.wanted)
    first = next(iter(found.values()))
    assert first.before < 0.9 * first.wanted
    assert first.after == pytest.approx(first.wanted, rel=0.1)


def test_a_net_that_is_the_dense_one_keeps_its_thresholds():
    net = mlp().eval()
    same = copy.deepcopy(net)
    recentre(net, same, passes(net))
    for name in centrable(net):
        assert set(same.neurons()[name].firing.threshold) == set(net.neurons()[name].firing.threshold)


def test_populations_that_hear_themselves_and_silent_ones_are_left_alone():
    assert centrable(recurrent()) == ()
    assert centrable(mlp()) == ("1",)


def test_compression_recentres_before_it_rounds_and_a_checkpoint_keeps_it(tmp_path):
    net = mlp()
    samples = Events(net, 60)
    calibrated = Calibrated(net, samples, Calibration(samples=60))
    wish = Compression(sparsity=0.6, bits=8, sweeps=0, recentre=True)
    done = calibrated.compress(wish)
    thresholds = done.net.neurons()["1"].firing.threshold
    assert len(thresholds) == 8
    assert len(set(thresholds)) > 1
    plain = calibrated.compress(Compression(sparsity=0.6, bits=8, sweeps=0))
    assert done.sample_passes > plain.sample_passes
    assert set(plain.net.neurons()["1"].firing.threshold) == {1.0}
    checkpoint.save(tmp_path / "net.safetensors", done.net)
    again = checkpoint.load(tmp_path / "net.safetensors", mlp())
    assert again.neurons()["1"].firing.threshold == thresholds
    x = torch.from_numpy(samples.x).transpose(0, 1)
    assert torch.equal(again.eval()(x), done.net.eval()(x))
