"""Guarded sweeps: they run neurons as the net does, only ever lower the residue, and keep every count."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn

from pruner import Calibrated, Calibration, Compression
from pruner.heard import Held, Slopes, Stepped
from pruner.hessian import Passes, layer_sites
from pruner.neuron_choice import chains
from pruner.recovery import Pair, doubts, gather, sweepable, write_back
from pruner.sweep import RegenerateBy, Rules, round_sweep, sweep
from pruner.topology import prunable_layers
from pruner.unit import Unit, decay_of
from runtime.spec import Coding, InputSpec, Readout, Reset
from tests.pruner.nets import N_STEPS, conv, lively, mlp, recurrent
from tests.pruner.test_trace import Events
from trainer.layers import Linear
from trainer.models import SpikingNet
from trainer.neuron import IF, LI, LIF, CubaLIF, Firing
from trainer.quant import WeightBits

RULES = Rules(swap=0.3)


def deep(seed=0, *, bias=True):
    """Three linear layers with biases and a silent readout."""
    torch.manual_seed(seed)
    body = nn.Sequential(
        Linear(9, 12, bias=bias), LIF(1), Linear(12, 10, bias=bias), LIF(2), Linear(10, 4, bias=bias), LI(2)
    )
    return lively(SpikingNet(body, InputSpec((9,), Coding.EVENTS, N_STEPS), Readout.MEMBRANE_SUM))


def halved(net, seed=0):
    """A copy with half of its weights masked at random: something to recover."""
    small = copy.deepcopy(net)
    draw = torch.Generator().manual_seed(seed)
    for layer in prunable_layers(small).values():
        mask = torch.rand(layer.weight.shape, generator=draw) < 0.5
        mask[:, 0] = True
        layer.set_mask(mask)
        with torch.no_grad():
            layer.weight.mul_(layer.mask)
    return small


def problem(net, small, population=0):
    sites = layer_sites(net, True)
    chain = chains(net)[population]
    importance = torch.ones(prunable_layers(net)[chain.consumer].weight.shape[0])
    samples = Events(net, 60)
    passes = Passes(samples, __import__("numpy").arange(60), 25)
    return chain, importance, gather(Pair(net, small, sites, passes), chain, importance)


@pytest.mark.parametrize(
    "neuron",
    [LIF(2), LIF(1, Firing(reset=Reset.VALUE)), IF(), CubaLIF(2), LIF(2, Firing(threshold=(0.5, 1.0, 2.0)))],
    ids=["lif", "reset-to-zero", "if", "cuba", "own-thresholds"],
)
def test_a_neuron_run_alone_spikes_as_it_does_in_its_population(neuron):
    torch.manual_seed(0)
    current = torch.randn(6, 20, 3) + 0.6
    together = neuron(current)
    assert 0 < float(together.sum()) < together.numel()
    for number in range(3):
        unit = Unit(neuron, number, torch.eye(6), 6)
        torch.testing.assert_close(unit.answer(current[:, :, number]), together[:, :, number])
    assert neuron.observers == []


def test_constant_input_held_or_stepped_gives_the_same_answers():
    torch.manual_seed(0)
    x, n_steps = torch.rand(5, 30), 4
    neuron = LIF(1)
    held, stepped = Held(x, n_steps), Stepped(x[:, None].repeat(1, n_steps, 1), decay_of(neuron, n_steps))
    index, weight = torch.tensor([0, 2, 3]), torch.tensor([0.5, 1.0, -0.3])
    current = held.current(index, weight)
    torch.testing.assert_close(current, stepped.current(index, weight))
    unit = Unit(neuron, 0, torch.ones(1, n_steps), n_steps)
    unit.answer(current)
    slopes, residue = unit.slopes(), torch.randn(1, 30)
    for a, b in zip(held.normal(index, slopes, residue), stepped.normal(index, slopes, residue), strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)


def test_the_normal_equations_are_those_of_the_surrogate_derivative():
    """Against autograd through the unrolled membrane with its resets held fixed."""
    torch.manual_seed(0)
    n_steps, samples = 4, 8
    x = (torch.rand(5, n_steps, samples) < 0.6).float()
    for reset in (Reset.SUBTRACT, Reset.VALUE):
        neuron = LIF(1, Firing(reset=reset))
        heard = Stepped(x, decay_of(neuron, n_steps))
        read = torch.tril(torch.ones(n_steps, n_steps)) * 0.5
        index = torch.arange(5)
        weight = torch.tensor([0.5, 0.9, -0.3, 0.4, 0.2], requires_grad=True)
        unit = Unit(neuron, 0, read, n_steps)
        with torch.no_grad():
            unit.answer(heard.current(index, weight))
        v, near = torch.zeros(samples), []
        for t in range(n_steps):
            u = 0.5 * v + weight @ x[:, t]
            spike = (u >= 1).float()
            slope = neuron.surrogate.gradient((u - 1).detach())
            near.append(slope * u)
            v = u * (1 - spike) if reset is Reset.VALUE else u - spike
        out = torch.einsum("rt,tb->rb", read, torch.stack(near)).flatten()
        jacobian = torch.stack([torch.autograd.grad(one, weight, retain_graph=True)[0] for one in out], 1)
        residue = torch.randn(n_steps, samples)
        moment, along = heard.normal(index, unit.slopes(), residue)
        torch.testing.assert_close(moment, jacobian @ jacobian.T, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(along, jacobian @ residue.flatten(), atol=1e-4, rtol=1e-4)


def test_with_slopes_of_one_the_step_is_the_plain_least_squares_refit():
    """The second moment of the traces alone: what pruning without criticality uses."""
    torch.manual_seed(0)
    x = torch.rand(4, 50)
    heard = Held(x, 1)
    ones = Slopes(torch.ones(1, 50), torch.ones(1, 50), torch.ones(1, 1))
    moment, along = heard.normal(torch.arange(4), ones, torch.randn(1, 50))
    torch.testing.assert_close(moment, x @ x.T)
    assert along.shape == (4,)


@pytest.mark.parametrize("make", [mlp, lambda: mlp(silent=False), deep, lambda: deep(bias=False)])
@pytest.mark.parametrize("by", list(RegenerateBy), ids=lambda by: by.value)
def test_a_sweep_never_raises_the_residue_nor_changes_the_number_of_weights(make, by):
    net = make()
    small = halved(net)
    for population in range(len(chains(net))):
        _, _, hidden = problem(net, small, population)
        count = hidden.mask.sum(1)
        losses = [hidden.loss]
        for number in range(3):
            sweep(hidden, replace(RULES, by=by), number)
            losses.append(hidden.loss)
        assert losses == sorted(losses, reverse=True)
        assert losses[-1] < losses[0]
        assert torch.equal(hidden.mask.sum(1), count)
        assert bool((hidden.weight[~hidden.mask] == 0).all())


def test_the_residue_that_is_kept_is_that_of_the_net_written_back():
    net = deep()
    small = halved(net)
    chain, importance, hidden = problem(net, small, 1)
    sweep(hidden, RULES, 1)
    hidden.refit_forward(1e-3)
    assert hidden.swapped > 0
    write_back(small, chain, hidden, importance)
    _, _, again = problem(net, small, 1)
    torch.testing.assert_close(again.residue, hidden.residue, atol=1e-3, rtol=1e-3)
    assert again.loss == pytest.approx(hidden.loss, rel=1e-3)


def test_samples_in_doubt_count_more_and_all_count_one_on_average():
    scores = torch.tensor([[3.0, 1.0, 9.0], [0.0, 1.1, 1.0]])
    found = doubts(scores)
    assert found[1] > found[0] > found[2] > 0
    assert float(found.square().mean()) == pytest.approx(1.0)


def test_groups_of_neurons_trade_inputs_together():
    net = deep()
    small = halved(net)
    layer = prunable_layers(small)["0"]
    with torch.no_grad():
        mask = layer.mask.view(6, 2, 9)[:, :1].repeat(1, 2, 1).view(12, 9)
        layer.set_mask(mask)
        layer.weight.mul_(layer.mask)
    _, _, hidden = problem(net, small)
    for number in range(5):
        sweep(hidden, replace(RULES, block=2, swap=0.5), number)
    assert hidden.swapped > 0
    pairs = hidden.mask.view(6, 2, -1)
    assert torch.equal(pairs[:, 0], pairs[:, 1])


@pytest.mark.parametrize("width", [WeightBits.INT8, WeightBits.INT4, WeightBits.INT2])
def test_the_rounding_sweep_leaves_whole_weights_and_a_true_residue(width):
    net = deep()
    small = halved(net)
    chain, importance, hidden = problem(net, small)
    scale = round_sweep(hidden, width, RULES).float()
    alive = hidden.mask[:, :9]
    whole = hidden.weight[:, :9] / scale[:, None].clamp_min(1e-30)
    torch.testing.assert_close(whole[alive], whole[alive].round(), atol=1e-4, rtol=0)
    assert float(whole[alive].max()) <= width.highest + 1e-3
    assert float(whole[alive].min()) >= width.lowest - 1e-3
    write_back(small, chain, hidden, importance)
    _, _, again = problem(net, small)
    assert again.loss == pytest.approx(hidden.loss, rel=1e-3)


def test_only_neurons_between_two_linear_layers_are_swept():
    assert all(sweepable(mlp(), chain) for chain in chains(mlp()))
    assert not any(sweepable(conv(), chain) for chain in chains(conv()))
    assert chains(recurrent()) == ()


def test_sweeps_bring_a_compressed_net_nearer_to_the_dense_one():
    calibration = Calibration(samples=60, batch_size=16)
    for seed in range(2):
        net = deep(seed)
        samples = Events(net, 60)
        calibrated = Calibrated(net, samples, calibration)
        x = torch.from_numpy(samples.x).transpose(0, 1)
        wanted = net.eval().scores(net(x)).detach()
        lost = []
        for count in (0, 4):
            small = calibrated.compress(Compression(0.5, sweeps=count)).net
            lost.append(float((small.scores(small(x)) - wanted).detach().norm()))
        assert lost[1] < lost[0]
