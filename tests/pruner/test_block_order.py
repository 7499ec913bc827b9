"""Neurons that hear the same inputs share a block, and the net stays what it was."""

from __future__ import annotations

import torch
from torch import nn

from pruner import Calibrated, Calibration, Compression
from pruner.block_order import arranged
from pruner.granularity import Granularity
from pruner.living import cut_dead
from pruner.topology import prunable_layers
from runtime.spec import Coding, InputSpec, Readout
from tests.pruner.nets import lively
from tests.pruner.test_trace import Events
from trainer.layers import Linear
from trainer.models import SpikingNet
from trainer.neuron import LI, LIF

BLOCK = 4


def interleaved() -> SpikingNet:
    """12 - 16 - 4: every fourth neuron hears the same three inputs."""
    torch.manual_seed(0)
    body = nn.Sequential(Linear(12, 16, True), LIF(1), Linear(16, 4), LI(2))
    net = lively(SpikingNet(body, InputSpec((12,), Coding.EVENTS, 3), Readout.MEMBRANE_SUM)).eval()
    with torch.no_grad():
        field = torch.arange(12)[None] // 3 == torch.arange(16)[:, None] % 4
        prunable_layers(net)["0"].weight.mul_(field)
    net.neurons()["1"].firing = type(net.neurons()["1"].firing)(
        threshold=tuple(0.5 + 0.05 * number for number in range(16))
    )
    return net


def loads(net: SpikingNet) -> dict[str, torch.Tensor]:
    return {"0": torch.ones(13, dtype=torch.float64)}


def test_neurons_with_the_same_inputs_become_neighbours() -> None:
    net = arranged(interleaved(), loads(interleaved()), BLOCK)
    heard = (prunable_layers(net)["0"].weight != 0).view(4, BLOCK, 12)
    assert torch.equal(heard, heard[:, :1].expand_as(heard))


def test_the_net_says_what_it_said() -> None:
    net = interleaved()
    x = torch.from_numpy(Events(net, 40).x).transpose(0, 1)
    other = arranged(net, loads(net), BLOCK)
    assert not torch.equal(prunable_layers(net)["0"].weight, prunable_layers(other)["0"].weight)
    assert net(x).any()
    torch.testing.assert_close(net.scores(net(x)), other.scores(other(x)))


def test_blocks_take_whole_inputs_and_no_weight_goes_to_a_neuron_that_is_not_heard() -> None:
    net = interleaved()
    wish = Compression(sparsity=0.6, granularity=Granularity.BLOCK_4, sweeps=0)
    calibrated = Calibrated(net, Events(net, 40), Calibration(samples=40, batch_size=16))
    done = calibrated.compress(wish)
    mask = prunable_layers(done.net)["0"].mask.view(4, BLOCK, 12)
    assert torch.equal(mask, mask[:, :1].expand_as(mask))
    before = sum(done.living.values())
    cut_dead(done.net)
    assert sum(int((layer.mask != 0).sum()) for layer in prunable_layers(done.net).values()) == before
    assert done.sample_passes >= calibrated.sample_passes, "the calibration in the new order is counted"
