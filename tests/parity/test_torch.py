"""The net that trained, on whole numbers, does what the reference does with the graph made from it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from exporter.graph import Conv, Graph, Linear, Neuron, Scale
from exporter.lower import lower
from exporter.passes import simplify
from exporter.quantize import quantize
from exporter.reference import run, run_float
from exporter.sources.torch import graph_from_torch
from runtime.engine import Engine
from runtime.errors import ModelError
from runtime.spec import IntegerNeuron
from tests.builders.graphs import coded
from tests.builders.nets import NETS
from trainer import integer
from trainer.models import SpikingNet
from trainer.prepare import fold_batch_norm, prepare

torch.set_num_threads(1)


def attached(net: SpikingNet, graph: Graph) -> SpikingNet:
    """The net with the graph's integer neurons, shifts and weights in it."""
    models = {n.name: n.model for n in graph.nodes if isinstance(n, Neuron)}
    whole = {name: model for name, model in models.items() if isinstance(model, IntegerNeuron)}
    shifts = {n.name: n.shift for n in graph.nodes if isinstance(n, Linear | Conv | Scale)}
    return integer.attach(net, whole, shifts)


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("bits", [8, 4, "ternary"])
def test_the_quantized_net_does_what_the_reference_and_the_engine_do(name: str, bits: int | str) -> None:
    net = prepare(fold_batch_norm(NETS[name]()), bits).eval()
    graph = quantize(simplify(graph_from_torch(net)))
    frames = np.ascontiguousarray(coded(graph, samples=12, seed=2))
    reference = run(graph, frames)
    spikes, membranes = integer.run(attached(net, graph), frames.reshape(*frames.shape[:2], *net.input.shape))
    result = Engine(lower(graph)).run(frames, trace=True)
    assert result.trace is not None
    assert spikes.keys() == reference.spikes.keys()
    for layer in reference.spikes:
        np.testing.assert_array_equal(spikes[layer].numpy(), reference.spikes[layer], layer)
        np.testing.assert_array_equal(membranes[layer].numpy(), reference.membranes[layer], layer)
        np.testing.assert_array_equal(result.trace.spikes[layer], reference.spikes[layer], layer)
        np.testing.assert_array_equal(result.trace.membranes[layer], reference.membranes[layer], layer)
    assert sum(int(s.sum()) for s in reference.spikes.values()) > 0


@pytest.mark.parametrize("name", NETS)
def test_the_graph_of_a_net_means_what_the_net_does_in_reals(name: str) -> None:
    net = NETS[name]().eval()
    graph = graph_from_torch(net)
    frames = np.ascontiguousarray(coded(graph, samples=6, seed=3))
    with torch.no_grad():
        out = net(torch.tensor(frames.reshape(*frames.shape[:2], *net.input.shape)))
    found = run_float(graph, frames)
    silent = not found.spikes[graph.output].any()
    expected = found.membranes[graph.output] if silent else found.spikes[graph.output]
    # The net computes in float32: a membrane may pass a threshold by a rounding and end elsewhere.
    differing = ~np.isclose(out.flatten(2).numpy(), expected, atol=1e-4)
    assert differing.mean() <= 0.01


def test_names_are_the_paths_of_the_modules() -> None:
    graph = graph_from_torch(NETS["recurrent"]())
    names = [node.name for node in graph.nodes]
    assert names[:5] == ["input", "0", "1.linear", "1.sum", "1.neuron"]
    modules = dict(NETS["recurrent"]().body.named_modules())
    assert {"0", "1.linear", "1.neuron", "2", "3"} <= set(names) & set(modules)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused_by_name(value: float) -> None:
    net = prepare(NETS["mlp"](), 8).eval()
    with torch.no_grad():
        net.body[2].weight[0, 0] = value  # type: ignore[index]
    with pytest.raises(ModelError, match="2: found 1 weights that are not finite"):
        graph_from_torch(net)
