"""A bias that a synaptic current filters becomes the spikes of one neuron: the same currents in integers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from exporter.graph import Graph, Input, Linear, Neuron, by_name
from exporter.lower import lower
from exporter.passes import bias_unit, drop_dead, simplify
from exporter.passes.bias_unit import UNIT
from exporter.quantize import quantize
from exporter.reference import run, run_float
from runtime.engine import Engine
from runtime.errors import UnsupportedError
from runtime.spec import Coding, FloatNeuron, InputSpec, Leak, Readout

STEPS = 30


def net(recurrent: bool = False) -> tuple[Graph, np.ndarray]:
    rng = np.random.default_rng(4)
    cuba = FloatNeuron(leak=Leak((3,)), synaptic_leak=Leak((2,)), threshold=(1.0,))
    hidden = rng.normal(0, 0.4, (16, 12))
    nodes = [
        Input("input", InputSpec((12,), Coding.EVENTS, STEPS)),
        Linear("first", "input", hidden, rng.uniform(-0.1, 0.1, 16)),
        Neuron("middle", "first", cuba),
        Linear("second", "middle", rng.normal(0, 0.5, (5, 16)), rng.uniform(-0.1, 0.1, 5)),
        Neuron("out", "second", replace(cuba, synaptic_leak=None)),
    ]
    if recurrent:
        nodes[4:] = [Neuron("out", "second", cuba)]
    return Graph(tuple(nodes), "out", Readout.COUNT), (rng.random((STEPS, 20, 12)) < 0.3).astype(np.int32)


@pytest.mark.parametrize("both", [False, True])
def test_the_same_spikes_come_with_and_without(both: bool) -> None:
    graph, coded = net(both)
    with pytest.raises(UnsupportedError, match="filter through its synaptic current"):
        quantize(simplify(graph))
    moved = bias_unit(graph)
    before, after = run_float(graph, coded), run_float(moved, coded)
    for name, spikes in before.spikes.items():
        assert np.array_equal(spikes, after.spikes[name])
    assert (after.spikes[UNIT] == 1).all()
    left = [n.name for n in moved.nodes if isinstance(n, Linear) and n.bias is not None]
    assert left == ([] if both else ["second"])

    whole = drop_dead(quantize(moved))
    expected, found = run(whole, coded), Engine(lower(whole)).run(coded, trace=True).trace
    assert found is not None
    assert (expected.spikes[UNIT] == 1).all()
    for name, spikes in expected.spikes.items():
        assert np.array_equal(spikes, found.spikes[name])
    differing = np.mean(expected.spikes["middle"] != before.spikes["middle"])
    assert differing < 0.02


def test_a_graph_without_such_biases_stays_as_it_is() -> None:
    graph, _ = net()
    plain = tuple(replace(n, bias=None) if isinstance(n, Linear) else n for n in graph.nodes)
    assert bias_unit(replace(graph, nodes=plain)).nodes == plain
    assert UNIT not in by_name(replace(graph, nodes=plain))
