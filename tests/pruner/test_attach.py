"""Pruning in loops and modules of other makers: the same scores and masks as in the same net of ours."""

from __future__ import annotations

import copy
import importlib
from collections.abc import Callable
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import pruner
from pruner import Attached, Membrane, PruneConfig, Pruning
from pruner.attach import ModuleSubject
from pruner.criticality import as_is
from pruner.meters import Meters
from pruner.topology import prunable_layers
from pruner.wiring import trace
from runtime.errors import ConfigError, ModelError
from runtime.spec import Coding, Compare, InputSpec, Leak, Readout, Reset, ResetTiming
from tests.pruner.nets import N_STEPS, events
from trainer.callbacks import State
from trainer.config import Config
from trainer.layers import Conv2d, Flatten, Linear
from trainer.models import SpikingNet
from trainer.neuron import LIF, Firing
from trainer.surrogate import Surrogate, SurrogateShape

STEPS = 40
PLAN = PruneConfig(
    sparsity=0.8,
    events=6,
    end=0.8,
    regenerate=0.4,
    gather_steps=3,
    criterion="criticality-activity",
    regenerate_by="criticality-gradient",
)
ROUNDING = 1e-6
"""Scores are means of single-precision membranes, summed step by step there and at once here."""


def library(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        pytest.skip(f"{name} is not installed ({error})")


class SnnTorchNet(nn.Module):
    """6 - 8 - 4 as snnTorch's tutorials write it, over (steps, batch, 6)."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        snn = library("snntorch")
        self.fc1, self.fc2 = nn.Linear(6, 8, bias=False), nn.Linear(8, 4, bias=False)
        self.lif1, self.lif2 = (snn.Leaky(beta=0.5, **options) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        mem1 = mem2 = torch.zeros(())
        out = []
        for now in x:
            s1, mem1 = self.lif1(self.fc1(now), _state(mem1, (len(now), 8)))
            s2, mem2 = self.lif2(self.fc2(s1), _state(mem2, (len(now), 4)))
            out.append(s2)
        return torch.stack(out)


def _state(mem: Tensor, shape: tuple[int, int]) -> Tensor:
    return mem if mem.dim() else torch.zeros(shape)


class JellyNet(nn.Module):
    """A convolution, a flatten and a linear layer of SpikingJelly, in single or multi-step mode."""

    def __init__(self, mode: str, v_reset: float | None) -> None:
        super().__init__()
        library("spikingjelly.activation_based.functional")
        neuron = library("spikingjelly.activation_based.neuron")
        layer = library("spikingjelly.activation_based.layer")
        surrogate = library("spikingjelly.activation_based.surrogate")

        def lif() -> nn.Module:
            node: nn.Module = neuron.LIFNode(
                tau=2.0,
                decay_input=False,
                v_reset=v_reset,
                detach_reset=True,
                surrogate_function=surrogate.ATan(alpha=2.0),
                step_mode=mode,
            )
            return node

        self.mode = mode
        self.body = nn.Sequential(
            layer.Conv2d(2, 4, 3, padding=1, bias=False, step_mode=mode),
            lif(),
            layer.Flatten(step_mode=mode),
            layer.Linear(36, 3, bias=False, step_mode=mode),
            lif(),
        )

    def forward(self, x: Tensor) -> Tensor:
        functional = library("spikingjelly.activation_based.functional")
        functional.reset_net(self)
        out: Tensor = self.body(x) if self.mode == "m" else torch.stack([self.body(now) for now in x])
        return out


def ours(firing: Firing, *, conv: bool) -> SpikingNet:
    neurons = [LIF(Leak((1,)), firing) for _ in range(2)]
    if conv:
        body = nn.Sequential(Conv2d(2, 4, 3, padding=1), neurons[0], Flatten(), Linear(36, 3), neurons[1])
        return SpikingNet(body, InputSpec((2, 3, 3), Coding.EVENTS, N_STEPS), Readout.COUNT)
    body = nn.Sequential(Linear(6, 8), neurons[0], Linear(8, 4), neurons[1])
    return SpikingNet(body, InputSpec((6,), Coding.EVENTS, N_STEPS), Readout.COUNT)


DELAYED = Firing(compare=Compare.GREATER, reset_timing=ResetTiming.NEXT_STEP)
CASES: dict[str, tuple[Callable[[], nn.Module], Firing, bool]] = {
    "snntorch, reset in the next step": (SnnTorchNet, DELAYED, False),
    # by subtraction, snnTorch's takes off another threshold a step later where the residue is above it
    "snntorch, reset in the same step": (
        lambda: SnnTorchNet(reset_delay=False, reset_mechanism="zero"),
        Firing(compare=Compare.GREATER, reset=Reset.VALUE, detach_reset=False),
        False,
    ),
    "spikingjelly, single step, subtract": (lambda: JellyNet("s", None), Firing(), True),
    "spikingjelly, multi step, to zero": (lambda: JellyNet("m", 0.0), Firing(reset=Reset.VALUE), True),
    "ours in a plain module": (lambda: ours(Firing(), conv=True).body, Firing(), True),
}


def twins(case: str) -> tuple[nn.Module, SpikingNet]:
    """The same net by another maker and by us, with weights on which a step's sums are exact."""
    build, firing, conv = CASES[case]
    torch.manual_seed(3)
    theirs, mine = build(), ours(firing, conv=conv)
    weights = [p for name, p in theirs.named_parameters() if name.endswith("weight")]
    own = [p for name, p in mine.named_parameters() if name.endswith("weight")]
    assert [w.shape for w in weights] == [w.shape for w in own]
    with torch.no_grad():
        for theirs_weight, mine_weight in zip(weights, own, strict=True):
            grid = torch.round(theirs_weight * 3 * 64) / 64
            theirs_weight.copy_(grid)
            mine_weight.copy_(grid)
    return theirs, mine


def train(net: nn.Module, mine: SpikingNet, config: PruneConfig = PLAN, **options: Any) -> Attached:
    """A plain loop; the line that attaches is all that pruning adds to it."""
    optimizer = torch.optim.Adam(net.parameters(), lr=0.02, weight_decay=0.01)
    attached = pruner.attach(net, optimizer, events(mine), config, steps=STEPS, **options)
    for step in range(STEPS):
        net.train()
        optimizer.zero_grad()
        loss(net(events(mine, seed=step))).backward()
        optimizer.step()
    return attached


def loss(out: Tensor) -> Tensor:
    """Never at its minimum: gradients that vanish would leave rankings to rounding."""
    return (out - 0.5 - torch.linspace(0.1, 0.9, out.shape[-1])).square().mean()


def train_ours(net: SpikingNet, config: PruneConfig = PLAN) -> Pruning:
    """The same loop around the callback that our own training uses."""
    pruning = Pruning(config)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.02, weight_decay=0.01)
    state = State(net, optimizer, Config(layers=({"type": "linear"},)), total_steps=STEPS, total_epochs=1)
    pruning.start(state)
    for state.step in range(STEPS):
        net.train()
        optimizer.zero_grad()
        loss(net(events(net, seed=state.step))).backward()
        pruning.after_backward(state)
        optimizer.step()
        pruning.after_step(state)
    return pruning


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("shape", [None, SurrogateShape.TRIANGLE])
def test_scores_equal_those_of_the_same_net_of_ours(case: str, shape: SurrogateShape | None) -> None:
    theirs, mine = twins(case)
    wiring = trace(theirs, events(mine))
    gauges = ModuleSubject(theirs, wiring).gauges(shape, 2.0)
    meters = Meters(mine, shape, 2.0)
    for seed in range(3):
        theirs.train()(events(mine, seed=seed))
        mine.train()(events(mine, seed=seed))
    for theirs_name, own_name in zip(wiring.layers, prunable_layers(mine), strict=True):
        found, wanted = gauges.criticality(theirs_name, as_is), meters.criticality(own_name, as_is)
        assert wanted is not None
        torch.testing.assert_close(found, wanted, rtol=ROUNDING, atol=ROUNDING)
        assert wanted.std() > 0
        rates = gauges.rate(theirs_name), meters.rate(own_name)
        torch.testing.assert_close(*rates, rtol=ROUNDING, atol=ROUNDING)


@pytest.mark.parametrize("case", CASES)
def test_a_whole_run_ends_in_the_masks_of_the_same_net_of_ours(case: str) -> None:
    theirs, mine = twins(case)
    attached = train(theirs, mine)
    pruning = train_ours(mine)
    for found, wanted in zip(attached.masks.masks.values(), pruning.masks.masks.values(), strict=True):
        assert torch.equal(found, wanted)
    assert [e.living for e in attached.events] == [e.living for e in pruning.events]
    assert attached.masks.density() == pytest.approx(0.2, abs=0.01)


class Residual(nn.Module):
    """A convolution, batch norm, a block with a shortcut, pooling, and an own neuron before the readout."""

    def __init__(self) -> None:
        super().__init__()
        snn = library("snntorch")
        self.first, self.norm = nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.lif1, self.lif2 = snn.Leaky(beta=0.5, init_hidden=True), snn.Leaky(beta=0.5, init_hidden=True)
        self.body, self.shortcut = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 1)
        self.pool, self.fc, self.own, self.out = nn.AvgPool2d(3), nn.Linear(4, 6), Own(), nn.Linear(6, 3)
        self.frozen = nn.Linear(3, 3).requires_grad_(False)
        self.unused = nn.Linear(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        for lif in (self.lif1, self.lif2):
            lif.reset_mem()
        out = []
        for now in x:
            s = self.lif1(self.norm(self.first(now)))
            s = self.lif2(self.body(s) + self.shortcut(s))
            out.append(self.frozen(self.out(self.own(self.fc(self.pool(s).flatten(1))))))
        return torch.stack(out)


class Own(nn.Module):
    """A user's neuron without memory, which keeps its membrane before reset in ``u``."""

    def forward(self, x: Tensor) -> Tensor:
        self.u = x
        return (x > 0.2).float() + torch.sigmoid(x) - torch.sigmoid(x).detach()


def images(steps: int = 3) -> Tensor:
    return (torch.rand(steps, 4, 2, 3, 3, generator=torch.Generator().manual_seed(1)) < 0.5).float()


def test_tracing_walks_through_norms_sums_and_pools_and_stops_at_neurons() -> None:
    net = Residual()
    state = copy.deepcopy(net.state_dict())
    wiring = trace(net, images(), {"fc": Membrane("own", "u", threshold=0.2)})
    assert wiring.driven == {
        "first": ("lif1",),
        "body": ("lif2",),
        "shortcut": ("lif2",),
        "fc": ("own",),
        "out": (),
    }
    assert all(torch.equal(value, state[name]) for name, value in net.state_dict().items())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())


def test_a_frozen_layer_at_the_end_leaves_the_trained_one_the_readout() -> None:
    assert trace(Residual(), images()).readouts == {"out"}


def test_an_own_neuron_is_read_where_it_is_named() -> None:
    net = Residual()
    named = {"fc": Membrane("own", "u", threshold=0.2, surrogate=Surrogate(SurrogateShape.RECTANGLE, 1.0))}
    gauges = ModuleSubject(net, trace(net, images(), named)).gauges(None, 1.0)
    net.train()(images(steps=1))
    wanted = ((net.own.u.double() - 0.2).abs() / 0.2 < 1.0).double().mean(0) / 2.0
    found = gauges.criticality("fc", as_is)
    assert found is not None
    torch.testing.assert_close(found, wanted)
    assert wanted.std() > 0


def test_a_recurrent_neurons_own_layer_drives_it() -> None:
    snn = library("snntorch")

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(5, 4)
            self.lif = snn.RLeaky(beta=0.5, linear_features=4)

        def forward(self, x: Tensor) -> Tensor:
            s, mem = torch.zeros(2, 4), torch.zeros(2, 4)
            for now in x:
                s, mem = self.lif(self.fc(now), s, mem)
            return s

    driven = trace(Net(), torch.rand(3, 2, 5)).driven
    assert driven == {"fc": ("lif",), "lif.recurrent": ("lif",)}


def test_nothing_stays_in_the_module_after_the_last_event() -> None:
    for case in CASES:
        theirs, mine = twins(case)
        before = {name: set(m.__dict__) for name, m in theirs.named_modules()}
        keys = list(theirs.state_dict())
        train(theirs, mine)
        assert [key for key in theirs.state_dict() if not key.endswith("mask")] == keys
        for name, module in theirs.named_modules():
            # what snnTorch itself keeps after a call
            assert set(module.__dict__) - before[name] <= {"reset"}
            assert not module._forward_pre_hooks
        assert "SeenSurrogate" not in repr(theirs)


def test_dead_weights_stay_dead_against_weight_decay_and_moments() -> None:
    theirs, mine = twins("snntorch, reset in the next step")
    attached = train(theirs, mine)
    for name, layer in attached.masks.layers.items():
        assert layer.weight[~attached.masks.masks[name]].abs().sum() == 0
        assert layer.weight[attached.masks.masks[name]].abs().min() > 0


def test_released_weights_may_grow_again() -> None:
    theirs, mine = twins("snntorch, reset in the next step")
    attached = train(theirs, mine)
    attached.remove()
    optimizer = torch.optim.SGD(theirs.parameters(), lr=0.1)
    loss(theirs(events(mine))).backward()
    optimizer.step()
    assert any(
        bool((layer.weight.detach()[~attached.masks.masks[name]] != 0).any())
        for name, layer in attached.masks.layers.items()
    )


def test_the_readout_can_be_protected() -> None:
    theirs, mine = twins("snntorch, reset in the next step")
    attached = train(theirs, mine, replace(PLAN, sparsity=0.5, protect_readout=True))
    assert attached.masks.protected == {"fc2"}
    assert attached.masks.density("fc2") == 1.0


def test_a_spiking_net_of_ours_is_attached_as_it_is() -> None:
    mine, other = ours(Firing(), conv=True), ours(Firing(), conv=True)
    other.load_state_dict(mine.state_dict())
    attached, pruning = train(other, mine), train_ours(mine)
    for name, mask in pruning.masks.masks.items():
        assert torch.equal(attached.masks.masks[name], mask)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sample": torch.rand(2, 5)}, "sample: found"),
        ({"membranes": {"0": Membrane("lif9")}}, "neuron 'lif9'"),
        ({"membranes": {"0": Membrane("1")}}, "not recognised"),
        ({"membranes": {"nine": Membrane("1", "u")}}, "layer 'nine'"),
        ({}, "found no spiking neuron"),
        ({"membranes": {"0": Membrane("1", "absent")}}, "absent"),
    ],
)
def test_what_cannot_be_pruned_is_named(change: dict[str, Any], words: str) -> None:
    net = nn.Sequential(nn.Linear(6, 8), nn.Sigmoid(), nn.Linear(8, 4))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    options: dict[str, Any] = {"sample": torch.rand(2, 6), **change}

    def run() -> None:
        pruner.attach(net, optimizer, options.pop("sample"), PLAN, steps=STEPS, **options)
        net(torch.rand(2, 6))

    with pytest.raises(ModelError, match=words):
        run()


def test_shared_computed_and_absent_weights_are_refused() -> None:
    tied = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    tied[1].weight = tied[0].weight
    computed = nn.Sequential(torch.nn.utils.parametrizations.weight_norm(nn.Linear(4, 4)))
    for net, words in ((tied, "its own"), (computed, "computed"), (nn.ReLU(), "no trained")):
        with pytest.raises(ModelError, match=words):
            trace(net, torch.rand(2, 4))


def test_a_plan_longer_than_the_run_is_refused() -> None:
    theirs, mine = twins("snntorch, reset in the next step")
    optimizer = torch.optim.SGD(theirs.parameters(), lr=0.1)
    with pytest.raises(ConfigError, match=r"prune\.events"):
        pruner.attach(theirs, optimizer, events(mine), PLAN, steps=3)


@pytest.mark.parametrize("search", ["grad-r", "stds"])
def test_masks_are_searched_in_foreign_modules_too(search: str) -> None:
    theirs, mine = twins("snntorch, reset in the next step")
    attached = train(theirs, mine, PruneConfig(sparsity=0.8, events=6, search=search))
    assert attached.masks.density() == pytest.approx(0.2, abs=0.01)


def test_a_search_that_must_know_the_layers_is_refused() -> None:
    theirs, mine = twins("snntorch, reset in the next step")
    with pytest.raises(ModelError, match="upr"):
        train(theirs, mine, PruneConfig(sparsity=0.8, events=6, search="upr"))
