"""The log's look at a net: counted operations, criticality and costs, against sums made by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pruner.criticality import criticality
from pruner.ledger import Ledger
from pruner.sounding import sound
from pruner.topology import prunable_layers
from tests.pruner.nets import conv, mlp, recurrent
from tests.pruner.test_trace import Events
from trainer.coding import encode


def spikes_of(net, samples):
    """Spikes and membranes of every population, and the coded input."""
    seen = {}
    for name, neuron in net.neurons().items():
        neuron.observers.append(lambda u, s, name=name: seen.__setitem__(name, (u, s)))
    x = encode(samples.x, net.input, np.arange(len(samples.x)))
    with torch.no_grad():
        net.eval()(x)
    for neuron in net.neurons().values():
        neuron.observers.clear()
    return x, seen


def test_operations_are_events_times_living_synapses():
    net = mlp()
    for layer in prunable_layers(net).values():
        layer.set_mask(torch.rand(layer.weight.shape, generator=torch.Generator().manual_seed(0)) < 0.6)
    samples = Events(net)
    x, seen = spikes_of(net, samples)
    layers = prunable_layers(net)
    expected = 0.0
    for name, events in (("0", x), ("2", seen["1"][1])):
        fan_out = (layers[name].effective_weight() != 0).sum(0)
        expected += float((events.sum((0, 1)) * fan_out).sum())
    assert sound(net, samples).synops == pytest.approx(expected / len(samples.x))


def test_a_convolution_counts_targets_inside_the_map_only():
    net = conv()
    for layer in prunable_layers(net).values():
        layer.set_mask(torch.ones_like(layer.weight))
    samples = Events(net, 3)
    x, seen = spikes_of(net, samples)
    places = torch.zeros(5, 5)
    for row in range(5):
        for column in range(5):
            places[row, column] = (
                4
                * len({*range(row - 1, row + 2)} & {*range(5)})
                * len({*range(column - 1, column + 2)} & {*range(5)})
            )
    first = float((x.sum((0, 1, 2)) * places).sum())
    second = torch.zeros(5, 5)
    for row in (0, 2):
        for column in (0, 2):
            second[row : row + 3, column : column + 3] += 2
    after = float((seen["1"][1].sum((0, 1, 2)) * second).sum()) + 3 * float(seen["4"][1].sum())
    assert sound(net, samples).synops == pytest.approx((first + after) / 3)


def test_criticality_is_that_of_the_neurons_own_surrogate():
    for net in (mlp(), recurrent()):
        samples = Events(net)
        _, seen = spikes_of(net, samples)
        for name, spread in sound(net, samples).criticality.items():
            neuron = net.neurons()[name]
            values = criticality(seen[name][0], torch.tensor(neuron.firing.threshold), neuron.surrogate)
            assert spread.mean == pytest.approx(float(values.mean()))
            assert spread.lowest == pytest.approx(float(values.min()))
            assert spread.highest == pytest.approx(float(values.max()))


def test_the_net_is_left_as_it_was():
    net = mlp().train()
    sound(net, Events(net))
    assert net.training
    assert all(not neuron.observers for neuron in net.neurons().values())


def test_passes_are_counted_across_a_resume():
    first = Ledger()
    first.begin(10, 0)
    first.reach(4)
    first.look(7)
    assert first.spent.sample_passes == 5 * 20 + 7
    second = Ledger()
    second.recall({"seconds": 3.0, "sample_passes": first.spent.sample_passes})
    second.begin(10, 5)
    assert second.spent.sample_passes == 107
    second.reach(5)
    assert second.spent.sample_passes == 127
    assert second.spent.seconds >= 3.0
