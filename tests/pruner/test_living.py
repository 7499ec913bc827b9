"""Dead chains and nets of what lives: the same scores, and training finds its way back."""

import copy

import pytest
import torch
from torch import nn

from pruner.living import Living, cut_dead
from pruner.topology import prunable_layers
from runtime.spec import Coding, InputSpec, Readout
from tests.pruner.nets import lively
from trainer.layers import BatchNorm, Linear
from trainer.models import SpikingNet
from trainer.neuron import LI, LIF


def deep(*, norm: bool = False, bias: bool = False) -> SpikingNet:
    """6 - 5 - 4 - 3, event input."""
    torch.manual_seed(0)
    middle: list[nn.Module] = [Linear(5, 4, bias), *([BatchNorm(4)] if norm else []), LIF(1)]
    body = nn.Sequential(Linear(6, 5, bias), LIF(1), *middle, Linear(4, 3), LI(2))
    return lively(SpikingNet(body, InputSpec((6,), Coding.EVENTS, 3), Readout.MEMBRANE_SUM)).eval()


def cut(net: SpikingNet, name: str, rows: slice | int, columns: slice | int) -> None:
    layer = prunable_layers(net)[name]
    mask = torch.ones_like(layer.weight) if layer.mask is None else layer.mask.clone()
    mask[rows, columns] = 0
    layer.set_mask(mask)


def inputs() -> torch.Tensor:
    return (torch.rand(3, 64, 6, generator=torch.Generator().manual_seed(1)) < 0.5).float()


def test_a_chain_of_dead_neurons_goes_to_its_last_link() -> None:
    net = deep()
    # nothing hears neurons 1 to 3 of the second layer, and neuron 2 of the first feeds only these
    cut(net, "4", slice(None), slice(1, 4))
    cut(net, "2", 0, 2)
    before = net(inputs())
    assert before.any()
    alive = cut_dead(net)
    assert alive["1"].tolist() == [True, True, False, True, True]
    assert alive["3"].tolist() == [True, False, False, False]
    assert not prunable_layers(net)["0"].mask[2].any()
    assert torch.equal(net(inputs()), before)


def test_a_neuron_without_inputs_goes_unless_a_bias_drives_it() -> None:
    plain, biased = deep(), deep(bias=True)
    for net in (plain, biased):
        cut(net, "0", 3, slice(None))
    assert cut_dead(plain)["1"].tolist() == [True, True, True, False, True]
    assert cut_dead(biased)["1"].all()


def test_a_batch_norm_drives_channels_that_have_no_weights() -> None:
    net = deep(norm=True)
    cut(net, "2", 1, slice(None))
    assert cut_dead(net)["4"].all()
    assert not Living.of(net).kept


@pytest.mark.parametrize("bias", [False, True])
def test_what_lives_scores_as_the_whole_net_and_its_training_comes_back(bias: bool) -> None:
    net = deep(bias=bias)
    cut(net, "2", slice(None), 4)
    cut(net, "4", slice(None), 0)
    first = copy.deepcopy(prunable_layers(net)["0"].weight)
    living = Living.of(net)
    small = prunable_layers(living.net)
    assert small["0"].weight.shape == (4, 6)
    assert small["2"].weight.shape == (3, 4)
    assert torch.allclose(living.net(inputs()), net(inputs()), atol=1e-6)
    with torch.no_grad():
        for layer in small.values():
            layer.weight.mul_(1.5)
    cut(living.net, "0", 0, 0)
    living.put_back()
    whole = prunable_layers(net)["0"]
    assert torch.allclose(net(inputs()), living.net(inputs()), atol=1e-5)
    assert torch.allclose(whole.weight[:4, 1:], 1.5 * first[:4, 1:])
    assert whole.mask[0, 0] == 0
    assert not whole.mask[4].any()


def test_thresholds_of_their_own_go_with_their_neurons() -> None:
    net = deep()
    lif = net.neurons()["1"]
    lif.firing = type(lif.firing)(threshold=(1.0, 2.0, 3.0, 4.0, 5.0))
    cut(net, "2", slice(None), 1)
    living = Living.of(net)
    assert living.net.neurons()["1"].firing.threshold == (1.0, 3.0, 4.0, 5.0)
    assert torch.equal(living.net(inputs()), net(inputs()))
