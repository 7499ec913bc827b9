"""Compression of whole nets: what it promises about masks, counts, grids and outputs."""

from __future__ import annotations

import copy
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from pruner import Calibrated, Calibration, Compression, compress
from pruner.granularity import Granularity
from pruner.hessian import Passes, Probe
from pruner.topology import prunable_layers
from runtime.errors import ConfigError, ModelError
from runtime.spec import Coding, InputSpec, Readout
from tests.pruner.nets import N_STEPS, conv, lively, mlp, recurrent
from tests.pruner.test_trace import Events
from trainer.layers import BatchNorm, Linear
from trainer.models import SpikingNet
from trainer.neuron import LI, LIF
from trainer.prepare import prepare

NETS = {"mlp": mlp, "spiking-readout": lambda: mlp(silent=False), "conv": conv, "recurrent": recurrent}
CALIBRATION = Calibration(samples=40, batch_size=16)


def samples(net):
    return Events(net, 40)


def living(net):
    return sum(int((layer.effective_weight() != 0).sum()) for layer in prunable_layers(net).values())


def total(net):
    return sum(layer.weight.numel() for layer in prunable_layers(net).values())


def drifted(net, other):
    """Squared difference of two nets' scores over the test samples, relative to those of ``net``."""
    x = torch.from_numpy(samples(net).x).transpose(0, 1)
    wanted, found = (one.scores(one(x)).detach().double() for one in (net.eval(), other.eval()))
    return float((found - wanted).square().sum() / wanted.square().sum())


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("sparsity", [0.0, 0.4, 0.75])
def test_exactly_the_asked_number_of_weights_lives(name, sparsity):
    net = NETS[name]()
    done = Calibrated(net, samples(net), CALIBRATION).compress(Compression(sparsity=sparsity))
    wanted = int((1.0 - sparsity) * total(net) + 1e-6)
    assert sum(done.living.values()) == wanted
    assert living(done.net) == wanted
    assert done.weight_sparsity == pytest.approx(1.0 - wanted / total(net))


def test_every_population_keeps_a_neuron_and_every_layer_a_weight():
    net = mlp()
    done = Calibrated(net, samples(net), CALIBRATION).compress(Compression(sparsity=0.95, fan_in=64))
    assert min(done.neurons.values()) >= 1
    assert min(done.living.values()) >= 1


@pytest.mark.parametrize("name", NETS)
def test_the_published_rival_meets_the_density_on_the_dense_inputs_alone(name):
    net = NETS[name]()
    calibrated = Calibrated(net, samples(net), CALIBRATION)
    done = calibrated.compress(Compression.sbc(0.6))
    assert living(done.net) == int(0.4 * total(net) + 1e-6)
    # the calibration's pass is all it needs
    assert done.sample_passes == 0


@pytest.mark.parametrize("name", NETS)
def test_without_sparsity_nothing_changes(name):
    net = NETS[name]()
    done = compress(net, samples(net), Compression(sparsity=0.0), CALIBRATION)
    for key, layer in prunable_layers(done).items():
        torch.testing.assert_close(layer.weight, prunable_layers(net)[key].weight, atol=2e-3, rtol=1e-2)


@pytest.mark.parametrize("name", NETS)
def test_masks_a_net_came_with_never_revive(name):
    net = NETS[name]()
    for layer in prunable_layers(net).values():
        mask = torch.rand(layer.weight.shape, generator=torch.Generator().manual_seed(1)) < 0.7
        mask.view(-1)[0] = True
        layer.set_mask(mask)
    done = compress(net, samples(net), Compression(sparsity=0.5), CALIBRATION)
    for key, layer in prunable_layers(done).items():
        before = prunable_layers(net)[key].mask
        assert not ((layer.effective_weight() != 0) & (before == 0)).any()
        assert not ((layer.mask != 0) & (before == 0)).any()


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("bits", [8, 4, 3, 2, "ternary"])
def test_weights_come_out_on_their_grid_and_stay_there(name, bits):
    net = NETS[name]()
    done = compress(net, samples(net), Compression(sparsity=0.4, bits=bits), CALIBRATION)
    for layer in prunable_layers(done).values():
        assert layer.quantizer is not None
        assert bool(layer.quantizer.frozen)
        whole, scale = layer.integers()
        width = layer.quantizer.width
        assert width.lowest <= int(whole.min()) <= int(whole.max()) <= width.highest
        shaped = scale.view(-1, *[1] * (layer.weight.dim() - 1))
        torch.testing.assert_close(layer.weight.detach(), whole * shaped, atol=1e-6, rtol=1e-5)
        assert not (whole[layer.mask == 0] != 0).any()


@pytest.mark.parametrize("name", ["mlp", "conv", "recurrent"])
def test_compensation_stays_nearer_to_the_dense_scores_than_magnitude_pruning(name):
    lost = {"surgeon": 0.0, "magnitude": 0.0}
    for seed in range(4):
        net = NETS[name](seed)
        done = compress(net, samples(net), Compression(sparsity=0.5, fan_in=0), CALIBRATION)
        plain = copy.deepcopy(net)
        for key, layer in prunable_layers(plain).items():
            keep = int((prunable_layers(done)[key].mask != 0).sum())
            mask = torch.zeros(layer.weight.numel(), dtype=torch.bool)
            mask[layer.weight.detach().abs().flatten().argsort(descending=True)[:keep]] = True
            layer.set_mask(mask.view(layer.weight.shape))
        lost["surgeon"] += drifted(net, done)
        lost["magnitude"] += drifted(net, plain)
    assert lost["surgeon"] < lost["magnitude"]


def test_blocks_of_outputs_live_and_die_together():
    net = mlp()
    wish = Compression(sparsity=0.5, granularity=Granularity.BLOCK_4)
    done = compress(net, samples(net), wish, CALIBRATION)
    for layer in prunable_layers(done).values():
        grouped = (layer.mask != 0).view(-1, 4, layer.weight.shape[1])
        assert bool((grouped == grouped[:, :1]).all())
    assert total(net) * 0.5 - 4 < living(done) <= total(net) * 0.5


def test_rows_of_a_kernel_live_and_die_together():
    net = conv()
    wish = Compression(sparsity=0.5, granularity=Granularity.KERNEL_ROW, fan_in=0)
    done = compress(net, samples(net), wish, CALIBRATION)
    for name in ("0", "2"):
        mask = prunable_layers(done)[name].mask
        assert bool((mask == mask[..., :1]).all())
        assert 0 < float(mask.mean()) < 1
    assert total(net) * 0.5 - 3 < living(done) <= total(net) * 0.5


@pytest.mark.parametrize("name", ["mlp", "conv"])
def test_channels_go_with_all_they_hear_and_tell(name):
    net = NETS[name]()
    wish = Compression(sparsity=0.5 if name == "mlp" else 0.1, granularity=Granularity.CHANNEL)
    done = Calibrated(net, samples(net), CALIBRATION).compress(wish)
    assert living(done.net) <= (1 - wish.sparsity) * total(net)
    layers = prunable_layers(done.net)
    producer, consumer = {"mlp": ("0", "2"), "conv": ("2", "5")}[name]
    heard = (layers[producer].mask.flatten(1) != 0).any(1)
    whole = (layers[producer].mask.flatten(1) != 0).all(1)
    assert torch.equal(heard, whole)
    assert 0 < int(heard.sum()) < len(heard)
    told = (layers[consumer].mask != 0).any(0)
    assert torch.equal(told.view(len(heard), -1).any(1), heard)


def test_a_net_of_whole_channels_that_cannot_be_so_small_is_refused():
    net = mlp()
    wish = Compression(sparsity=0.9, granularity=Granularity.CHANNEL)
    with pytest.raises(ConfigError, match="expected at least the 10 of the smallest net of whole channels"):
        compress(net, samples(net), wish, CALIBRATION)


def test_the_same_wish_gives_the_same_bits_twice_and_after_other_wishes():
    net = conv()
    first = Calibrated(net, samples(net), CALIBRATION)
    first.compress(Compression(sparsity=0.8))
    one = first.compress(Compression(sparsity=0.5, bits=4)).net.state_dict()
    other = compress(net, samples(net), Compression(sparsity=0.5, bits=4), CALIBRATION).state_dict()
    assert one.keys() == other.keys()
    assert all(torch.equal(one[key], other[key]) for key in one)


def test_the_given_net_is_left_as_it_was():
    net = mlp()
    before = copy.deepcopy(net.state_dict())
    compress(net, samples(net), Compression(sparsity=0.6, bits=3), CALIBRATION)
    assert all(torch.equal(before[key], value) for key, value in net.state_dict().items())
    assert all(parameter.grad is None for parameter in net.parameters())


def test_batch_norms_are_folded_first():
    torch.manual_seed(0)
    body = nn.Sequential(Linear(6, 8), BatchNorm(8), LIF(1), Linear(8, 3), LI(1))
    net = lively(SpikingNet(body, InputSpec((6,), Coding.EVENTS, N_STEPS), Readout.MEMBRANE_SUM))
    done = compress(net, samples(net), Compression(sparsity=0.5), CALIBRATION)
    assert done.folded
    assert not any(isinstance(module, BatchNorm) for module in done.modules())
    assert any(isinstance(module, BatchNorm) for module in net.modules())


def test_a_sparsity_that_leaves_no_weight_for_a_layer_is_refused():
    net = mlp()
    with pytest.raises(ConfigError, match=r"leaves 1 of 80 weights, expected at least one for each of 2"):
        compress(net, samples(net), Compression(sparsity=0.98), CALIBRATION)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_net_with_values_that_are_not_finite_is_refused_by_name(value):
    net = mlp()
    with torch.no_grad():
        net.body[0].weight[0, 0] = value
    with pytest.raises(ModelError, match=r"found values in body\.0\.weight that are not finite"):
        Calibrated(net, samples(net))


def test_a_quantized_net_is_refused():
    net = prepare(mlp(), 8)
    with pytest.raises(ModelError, match="found a net with quantized weights"):
        compress(net, samples(net), Compression(), CALIBRATION)


@pytest.mark.parametrize(
    ("key", "value"),
    [("sparsity", 1.0), ("readout", 0.0), ("fan_in", -1), ("round_share", 1.0)],
)
def test_values_that_cannot_work_are_refused_by_name(key, value):
    with pytest.raises(ConfigError, match=f"compress.{key}: found"):
        Compression(**{key: value})


def test_sample_passes_are_counted():
    net = mlp()
    calibrated = Calibrated(net, samples(net), CALIBRATION)
    done = calibrated.compress(Compression(sparsity=0.5))
    # moments: one pass; importances: one forward, one backward; refit of layer two: both nets once
    assert calibrated.sample_passes == 3 * 40
    plain = calibrated.compress(Compression(sparsity=0.5, sweeps=0))
    assert plain.sample_passes == 2 * 40
    # a sweep runs each neuron before and after, and back once; its inputs and goals take a pass of each net
    assert done.sample_passes == (2 + 2 + 4 * 3) * 40
    assert np.isfinite(done.seconds)


def additions(net, heard):
    """Synaptic operations of all layers on the samples, the input's included."""
    spent = 0.0
    for name, layer in prunable_layers(net).items():
        probe = Probe(net, name)
        with probe.watching(), torch.no_grad():
            for x in Passes(heard, np.arange(40), 40).batches(net):
                net(x)
        spent += float(((probe.x != 0).double().sum((0, 1)) * (layer.effective_weight() != 0).sum(0)).sum())
    return spent


def test_a_price_on_additions_keeps_as_many_weights_that_are_heard_less_often():
    heard = SimpleNamespace(x=samples(mlp()).x.copy(), y=samples(mlp()).y)
    heard.x[8:, :, :3] = 0
    calibrated = Calibrated(mlp(), heard, CALIBRATION)
    plain, priced = (
        calibrated.compress(Compression(0.4, price=price, sweeps=0, fan_in=0)).net for price in (0.0, 1.0)
    )
    assert living(plain) == living(priced)
    assert additions(priced, heard) < 0.97 * additions(plain, heard)
