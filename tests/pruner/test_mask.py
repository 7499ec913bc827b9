from pathlib import Path

import pytest
import torch
from torch import Tensor

from pruner.mask import MaskSet
from pruner.topology import driven_neurons, readout_layers
from runtime.errors import FormatError, ModelError
from tests.pruner.nets import conv, events, mlp, recurrent
from trainer.models import SpikingNet

OPTIMIZERS = {
    "adam": lambda p: torch.optim.Adam(p, lr=0.05, weight_decay=0.1, amsgrad=True),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.05, weight_decay=0.1),
    "sgd": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, weight_decay=0.1, nesterov=True),
}


def random_masks(masks: MaskSet, seed: int = 0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.rand(mask.shape, generator=generator) < 0.4 for name, mask in masks.masks.items()}


def train(net: SpikingNet, optimizer: torch.optim.Optimizer, masks: MaskSet, steps: int) -> None:
    for step in range(steps):
        optimizer.zero_grad()
        net(events(net, seed=step)).square().sum().backward()  # type: ignore[no-untyped-call]
        masks.zero()
        optimizer.step()
        masks.hold(optimizer)


@pytest.mark.parametrize("kind", sorted(OPTIMIZERS))
@pytest.mark.parametrize("build", [mlp, conv, recurrent])
def test_masks_never_resurrect_weights_gradients_or_moments(kind: str, build: type) -> None:
    net = build()
    optimizer = OPTIMIZERS[kind](net.parameters())
    masks = MaskSet(net)
    train(net, optimizer, masks, 5)
    chosen = random_masks(masks)
    masks.set(chosen)
    masks.hold(optimizer)
    for _ in range(4):
        train(net, optimizer, masks, 10)
        for name, layer in masks.layers.items():
            dead = ~chosen[name]
            assert layer.weight[dead].abs().sum() == 0
            assert layer.effective_weight()[dead].abs().sum() == 0
            assert layer.weight.grad is not None
            assert layer.weight.grad[dead].abs().sum() == 0
            moments = [m for m in optimizer.state[layer.weight].values() if m.shape == layer.weight.shape]
            assert moments
            assert all(m[dead].abs().sum() == 0 for m in moments)
            assert layer.weight[chosen[name]].abs().sum() > 0


def test_without_holding_moments_do_revive_a_weight() -> None:
    # the trap that the test above guards against must exist, or it proves nothing
    net = mlp()
    optimizer = torch.optim.Adam(net.parameters(), lr=0.05)
    masks = MaskSet(net)
    train(net, optimizer, masks, 5)
    masks.set(random_masks(masks))
    net(events(net)).square().sum().backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    assert any(layer.weight[~masks.masks[name]].abs().sum() > 0 for name, layer in masks.layers.items())


def test_a_regenerated_synapse_starts_without_a_past() -> None:
    net = mlp()
    optimizer = torch.optim.Adam(net.parameters(), lr=0.05)
    masks = MaskSet(net)
    train(net, optimizer, masks, 3)
    past = {"0": torch.zeros_like(masks.masks["0"])}
    masks.hold(optimizer, past)
    assert optimizer.state[masks.layers["0"].weight]["exp_avg"].abs().sum() == 0
    assert optimizer.state[masks.layers["2"].weight]["exp_avg"].abs().sum() > 0


def test_open_masks_leave_the_output_and_show_gradients_of_dead_synapses() -> None:
    net = mlp()
    masks = MaskSet(net)
    masks.set(random_masks(masks))
    closed = net(events(net))
    masks.open()
    opened = net(events(net))
    assert torch.equal(closed, opened)
    opened.sum().backward()
    layer = masks.layers["0"]
    assert layer.weight.grad is not None
    assert layer.weight.grad[~masks.masks["0"]].abs().sum() > 0
    masks.close()
    assert layer.weight.grad[~masks.masks["0"]].abs().sum() == 0


def test_density_counts_every_synapse() -> None:
    net = mlp()
    masks = MaskSet(net, frozenset({"2"}))
    assert (masks.total, masks.living(), masks.free) == (80, 80, ("0",))
    half = torch.zeros(8, 6)
    half[:4] = 1
    masks.set({"0": half})
    assert masks.living("0") == 24
    assert masks.density("0") == 0.5
    assert masks.density() == 56 / 80


def test_masks_already_in_the_network_are_taken_over() -> None:
    net = mlp()
    first = MaskSet(net)
    chosen = random_masks(first)
    first.set(chosen)
    second = MaskSet(net)
    assert all(torch.equal(second.masks[name], chosen[name]) for name in chosen)


def test_masks_survive_a_file(tmp_path: Path) -> None:
    masks = MaskSet(mlp())
    chosen = random_masks(masks)
    masks.set(chosen)
    masks.save(tmp_path / "masks.safetensors")
    other = MaskSet(mlp(seed=1))
    other.load(tmp_path / "masks.safetensors")
    assert all(torch.equal(other.masks[name], chosen[name]) for name in chosen)
    assert all(layer.weight[~chosen[name]].abs().sum() == 0 for name, layer in other.layers.items())


def test_masks_of_another_network_or_a_damaged_file_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "masks.safetensors"
    MaskSet(recurrent()).save(path)
    with pytest.raises(FormatError, match="expected"):
        MaskSet(mlp()).load(path)
    MaskSet(conv()).save(path)
    with pytest.raises(FormatError, match="expected"):
        MaskSet(mlp()).load(path)
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(FormatError, match="safetensors"):
        MaskSet(mlp()).load(path)
    with pytest.raises(FormatError, match=r"absent"):
        MaskSet(mlp()).load(tmp_path / "absent.safetensors")


def test_a_mask_of_the_wrong_shape_or_layer_changes_nothing() -> None:
    masks = MaskSet(mlp())
    for wrong in ({"9": torch.ones(8, 6)}, {"0": torch.zeros(8, 6), "2": torch.ones(4, 9)}):
        with pytest.raises(ModelError, match="mask of layer"):
            masks.set(wrong)
    assert masks.density() == 1.0


def test_an_unknown_protected_layer_is_refused() -> None:
    with pytest.raises(ModelError, match="fc9"):
        MaskSet(mlp(), frozenset({"fc9"}))


def test_each_layer_knows_the_neurons_it_drives() -> None:
    assert driven_neurons(mlp()) == {"0": ("1",), "2": ("3",)}
    assert driven_neurons(conv()) == {"0": ("1",), "2": ("4",), "5": ("6",)}
    assert driven_neurons(recurrent()) == {
        "0": ("1.neuron",),
        "1.linear": ("1.neuron",),
        "2": ("3",),
    }
    assert readout_layers(conv()) == {"5"}
