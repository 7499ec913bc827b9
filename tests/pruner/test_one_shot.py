import pytest
import torch
from torch import Tensor, nn

from pruner.config import PruneConfig
from pruner.one_shot import one_shot
from pruner.registry import CRITERIA
from runtime.errors import ConfigError
from runtime.spec import Coding, InputSpec, Readout
from tests.pruner.nets import N_STEPS, events, lively, mlp
from trainer.layers import BatchNorm, Linear
from trainer.models import SpikingNet
from trainer.neuron import LI, LIF


def loss(out: Tensor, y: Tensor) -> Tensor:
    return (out.sum(0) - y).square().mean()


def batches(net: SpikingNet, count: int = 3) -> list[tuple[Tensor, Tensor]]:
    return [(events(net, seed=seed), torch.zeros(16, 4)) for seed in range(count)]


@pytest.mark.parametrize("criterion", sorted(CRITERIA))
def test_one_pruning_meets_the_density_and_leaves_the_survivors_as_they_were(criterion: str) -> None:
    net, twin = mlp(), mlp()
    config = PruneConfig.from_table({"criterion": criterion, "allocation": "uniform", "sparsity": 0.7})
    masks = one_shot(net, config, batches(net), loss)
    assert masks.living() == 24
    for name, layer in masks.layers.items():
        before = twin.body.get_submodule(name).weight
        assert torch.equal(layer.weight, before * masks.masks[name])
    assert not net._forward_pre_hooks


def test_the_regenerated_share_keeps_its_old_weights() -> None:
    net, twin = mlp(), mlp()
    table = {"sparsity": 0.5, "regenerate": 0.4, "regenerate_by": "criticality"}
    chosen = one_shot(net, PruneConfig.from_table(table), batches(net), loss)
    plain = one_shot(twin, PruneConfig.from_table({**table, "regenerate": 0.0}), batches(twin), loss)
    assert chosen.living() == plain.living() == 40
    moved = sum(int((chosen.masks[name] & ~plain.masks[name]).sum()) for name in plain.masks)
    assert 0 < moved <= 16
    assert all((layer.weight != 0).equal(chosen.masks[name]) for name, layer in chosen.layers.items())


def test_running_statistics_and_the_mode_stay() -> None:
    torch.manual_seed(0)
    body = nn.Sequential(Linear(6, 8), BatchNorm(8), LIF(1), Linear(8, 4), LI(2))
    net = lively(SpikingNet(body, InputSpec((6,), Coding.EVENTS, N_STEPS), Readout.MEMBRANE_SUM)).eval()
    before = {name: value.clone() for name, value in net.named_buffers()}
    one_shot(net, PruneConfig(sparsity=0.5), batches(net), loss)
    assert not net.training
    assert all(torch.equal(dict(net.named_buffers())[name], value) for name, value in before.items())


def test_what_needs_training_or_samples_is_refused() -> None:
    net = mlp()
    with pytest.raises(ConfigError, match="one shot"):
        one_shot(net, PruneConfig.from_table({"method": "stds"}), batches(net), loss)
    with pytest.raises(ConfigError, match="no batch"):
        one_shot(net, PruneConfig(), [], loss)
