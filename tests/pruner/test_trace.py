"""Second moments of presynaptic traces, held against sums written out place by place."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from pruner.hessian import Passes, dense_moments, flat_weight, layer_sites, paired_moments
from pruner.topology import prunable_layers
from pruner.trace import Trace, View, columns, drives
from runtime.errors import UnsupportedError
from runtime.spec import Coding, InputSpec, Readout, SynapticOrder
from tests.pruner.nets import N_STEPS, conv, lively, mlp, recurrent
from trainer.coding import encode
from trainer.layers import Conv1d, Conv2d, Linear
from trainer.models import SpikingNet
from trainer.neuron import LI, LIF, CubaLIF


class Events:
    """Random raw samples that every test net can code."""

    def __init__(self, net, count=12, seed=0):
        draw = np.random.default_rng(seed)
        self.x = draw.integers(0, 2, (count, N_STEPS, *net.input.shape)).astype(np.int64)
        self.y = draw.integers(0, 3, count)


def passes(net, count=12, batch=5):
    return Passes(Events(net, count), np.arange(count), batch)


def sites_and_moments(net, decay=True):
    sites = layer_sites(net, decay)
    return sites, dense_moments(net, sites, passes(net))


def inputs_of(net, name):
    """What the layer hears over all samples: (steps, samples, ...)."""
    heard = []
    layer = prunable_layers(net)[name]
    handle = layer.register_forward_hook(lambda module, inputs, out: heard.append(inputs[0].detach()))
    samples = Events(net)
    net(encode(samples.x, net.input, np.arange(len(samples.x))))
    handle.remove()
    return heard[0].double()


def test_the_trace_is_what_a_weight_does_to_the_membrane():
    """Below threshold the membrane is linear: its change by a weight's unit step is the trace."""
    torch.manual_seed(0)
    for neuron in (LI(2), CubaLIF(2, synaptic_leak=1), CubaLIF(2, synaptic_order=SynapticOrder.OLD)):
        from dataclasses import replace

        neuron.firing = replace(neuron.firing, threshold=(1e9,))
        x = (torch.rand(6, 3, 1) < 0.5).float()
        seen = []
        neuron.observers.append(lambda u, s, seen=seen: seen.append(u))
        neuron(x)
        trace = Trace.of(neuron, View.ALL).filtered(x)
        torch.testing.assert_close(trace, seen[0])


def test_a_readout_of_sums_or_of_the_last_membrane_has_one_row_a_sample():
    x = torch.rand(4, 2, 3)
    every = Trace.of(LI(1), View.ALL).filtered(x)
    torch.testing.assert_close(Trace.of(LI(1), View.SUM).filtered(x), every.sum(0, keepdim=True))
    torch.testing.assert_close(Trace.of(LI(1), View.LAST).filtered(x), every[-1:])


def test_without_decay_the_moment_is_that_of_the_plain_inputs():
    """SBC's Hessian with the identity for its decay matrix is the surgeon's: the inputs' second moment."""
    net = mlp()
    sites, found = sites_and_moments(net, decay=False)
    x = inputs_of(net, "2").flatten(0, 1)
    torch.testing.assert_close(found["2"].moment[0], x.T @ x, atol=1e-6, rtol=0)
    assert found["2"].rows == len(x)
    assert sites["2"].trace.beta == 0.0


def test_with_decay_the_moment_is_that_of_the_decay_matrix_times_the_inputs():
    net = mlp(silent=False)
    _, found = sites_and_moments(net)
    x = inputs_of(net, "2")
    beta = net.neurons()["3"].decay.leak.beta
    steps = torch.arange(N_STEPS)
    lag = steps[:, None] - steps[None, :]
    matrix = torch.where(lag >= 0, beta ** lag.double(), 0.0)
    traces = torch.einsum("ts,sbi->tbi", matrix, x).flatten(0, 1)
    torch.testing.assert_close(found["2"].moment[0], traces.T @ traces, atol=1e-5, rtol=1e-6)


@pytest.mark.parametrize(
    "layer",
    [
        Conv2d(2, 4, 3, padding=1, stride=2),
        Conv2d(4, 6, (2, 3), dilation=(1, 2), groups=2),
        Conv1d(4, 6, 3, stride=2, padding=1, groups=2),
    ],
    ids=["strided", "grouped-dilated", "one-dimensional"],
)
def test_im2col_columns_times_the_weight_are_the_convolution(layer):
    torch.manual_seed(0)
    shape = (layer.in_channels, 7) if isinstance(layer, Conv1d) else (layer.in_channels, 7, 6)
    x = torch.randn(3, *shape)
    out = layer.apply_weight(x, layer.weight, None)
    found = columns(layer, x)
    groups = layer.groups
    weight = layer.weight.flatten(1).view(groups, layer.out_channels // groups, -1)
    by_hand = torch.einsum("bpgi,goi->bpgo", found, weight).flatten(2)
    torch.testing.assert_close(by_hand, drives(layer, out), atol=1e-5, rtol=1e-5)


def test_the_moment_of_a_grouped_convolution_is_summed_over_positions_group_by_group():
    net = conv()
    _, found = sites_and_moments(net)
    x = inputs_of(net, "2")
    layer = prunable_layers(net)["2"]
    beta = net.neurons()["4"].decay.leak.beta
    trace, total = torch.zeros_like(x[0]), torch.zeros(2, 18, 18, dtype=torch.float64)
    for now in x:
        trace = beta * trace + now
        for row in range(0, 3, 2):
            for column in range(0, 3, 2):
                patch = trace[:, :, row : row + 3, column : column + 3]
                for group in range(2):
                    flat = patch[:, 2 * group : 2 * group + 2].flatten(1)
                    total[group] += flat.T @ flat
    assert layer.stride == (2, 2)
    torch.testing.assert_close(found["2"].moment, total, atol=1e-4, rtol=1e-6)


def test_a_recurrent_layer_hears_its_own_spikes_one_step_late():
    net = recurrent()
    spikes = []
    net.neurons()["1.neuron"].observers.append(lambda u, s: spikes.append(s.double()))
    samples = Events(net)
    net(encode(samples.x, net.input, np.arange(len(samples.x))))
    net.neurons()["1.neuron"].observers.clear()
    _, found = sites_and_moments(net)
    beta, trace = net.neurons()["1.neuron"].decay.leak.beta, torch.zeros_like(spikes[0][0])
    total = torch.zeros(7, 7, dtype=torch.float64)
    for late in [torch.zeros_like(spikes[0][0]), *spikes[0][:-1]]:
        trace = beta * trace + late
        total += trace.T @ trace
    torch.testing.assert_close(found["1.linear"].moment[0], total, atol=1e-5, rtol=1e-6)


def test_the_cross_moment_of_a_net_with_itself_is_its_weights_times_the_moment():
    for net in (mlp(), conv(), recurrent()):
        sites = layer_sites(net, True)
        for name, site in sites.items():
            found = paired_moments(net, net, site, passes(net))
            weight = flat_weight(prunable_layers(net)[name]).chunk(len(found.moment))
            expected = torch.cat([w @ m for w, m in zip(weight, found.moment, strict=True)])
            torch.testing.assert_close(found.cross, expected, atol=1e-3, rtol=1e-4)


def test_a_bias_enters_with_the_trace_of_a_constant():
    torch.manual_seed(0)
    body = nn.Sequential(Linear(6, 8, bias=True), LIF(1), Linear(8, 3), LI(1))
    net = lively(SpikingNet(body, InputSpec((6,), Coding.EVENTS, N_STEPS), Readout.MEMBRANE_SUM))
    _, found = sites_and_moments(net)
    ones = sum(sum(0.5**k for k in range(t + 1)) ** 2 for t in range(N_STEPS)) * 12
    assert float(found["0"].moment[0, -1, -1]) == pytest.approx(ones)


def test_a_layer_that_drives_nothing_is_refused_by_name():
    net = mlp()
    net.body.add_module("idle", nn.Identity())
    net.body.idle.extra = Linear(2, 2)
    with pytest.raises(UnsupportedError, match=r"idle.extra: found 0 populations"):
        layer_sites(net, True)
