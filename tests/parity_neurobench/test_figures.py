"""``report --neurobench`` beside the published package, which hooks a torch twin of each integer graph."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from torch import nn

from exporter.graph import Conv, Flatten, Graph, Input, Linear, Neuron, Pool, PoolKind, Scale
from exporter.reference import run
from exporter.wiring import input_of
from runtime.spec import Coding, Fire, InputSpec, IntegerNeuron, Leak, Readout, Reset, StateWidth
from spikepress.neurobench import neurobench
from tests.parity_neurobench.test_synaptic_operations import load_neurobench

N_STEPS, N_SAMPLES, SEEDS = 4, 7, range(12)


@pytest.fixture(scope="module")
def package():
    return load_neurobench()


def neuron(name, source, *, graded=False, silent=False, bias=(0,)):
    fire = Fire.SILENT if silent else Fire.GRADED if graded else Fire.BINARY
    limits = (1 << 12,) if graded else (900,)
    return Neuron(
        name,
        source,
        IntegerNeuron(
            leak=Leak((2,)),
            fire=fire,
            payload_bits=3 if graded else 1,
            reset=Reset.NONE if silent else Reset.SUBTRACT,
            width=StateWidth.INT32,
            v_min=-(1 << 24),
            v_max=1 << 24,
            frac_bits=4,
            threshold_q=limits,
            reset_q=limits,
            bias_q=bias,
            start_q=(0,),
        ),
    )


def weights(random, *shape):
    found = random.integers(-127, 128, shape) * (random.random(shape) < random.uniform(0.2, 0.7))
    return {"weight": found.astype(np.int32), "scale": np.ones(shape[0]), "bits": 8, "shift": 4}


def net(seed):
    """A convolution with stride, padding and groups, a pool, a recurrent layer and a readout; by seed its
    input is of events or analog, its payloads binary or graded, its biases there or not."""
    random = np.random.default_rng(seed)
    groups, stride, padding, analog = 1 + seed % 2, 1 + seed // 2 % 2, seed % 2, seed % 3 == 2
    coding = Coding.DIRECT if analog else Coding.EVENTS
    spec = InputSpec((2, 9, 8), coding, N_STEPS, bits=4 if analog else 1, constant=analog)
    side = [(n + 2 * padding - 3) // stride + 1 for n in (9, 8)]
    hidden = 4 * (side[0] // 2) * (side[1] // 2)
    bias = tuple(int(b) for b in random.integers(1, 90, 6)) if seed % 2 else (0,)
    pad, step = (padding, padding), (stride, stride)
    nodes = (
        Input("in", spec),
        Conv(
            "conv",
            "in",
            **weights(random, 4, 2 // groups, 3, 3),
            stride=step,
            padding=pad,
            groups=groups,
        ),
        neuron("maps", "conv", graded=seed % 4 == 3),
        Pool("pool", "maps", PoolKind.SUM, (2, 2), (2, 2)),
        Flatten("flat", "pool"),
        Linear("lin", "flat", **weights(random, 6, hidden)),
        neuron("mid", "lin", bias=bias),
        Linear("again", "mid", **weights(random, 5, 6), delay=seed % 2),
        neuron("out", "again", silent=True),
    )
    graph = Graph(nodes, "out", Readout.MEMBRANE_SUM)
    shape = (N_STEPS, N_SAMPLES, *spec.shape)
    if analog:
        coded = np.broadcast_to(random.integers(0, 16, shape[1:]), shape)
    else:
        coded = random.random(shape) < 0.4
    return graph, coded.astype(np.int32)


def spiking_module():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import snntorch

    class Replayed(snntorch.SpikingNeuron):
        """A spiking neuron, in NeuroBench's eyes, that says what the reference said."""

        def __init__(self, spikes, membranes, biases):
            nn.Module.__init__(self)
            self.spikes, self.membranes, self.init_hidden, self.output = spikes, membranes, False, False
            self.mem, self.t = None, 0
            if any(biases):
                self.bias = nn.Parameter(torch.zeros(len(biases)))

        def forward(self, _):
            self.mem = self.membranes[self.t]
            self.t += 1
            return self.spikes[self.t - 1], self.mem

    return Replayed


def torch_layer(node):
    if isinstance(node, Linear):
        layer = nn.Linear(node.weight.shape[1], node.weight.shape[0], bias=False)
    else:
        sides = (node.weight.shape[1] * node.groups, len(node.weight))
        options = {"stride": node.stride, "padding": node.padding, "groups": node.groups, "bias": False}
        layer = nn.Conv2d(*sides, node.weight.shape[2:], **options)
    layer.weight.data = torch.from_numpy(node.weight).float()
    return layer


class Twin(nn.Module):
    """The graph as torch modules in its own order; torch pools sum as the graph's do."""

    def __init__(self, graph, coded):
        super().__init__()
        trace = run(graph, coded)
        replayed = spiking_module()
        self.coded = torch.from_numpy(coded).float()
        self.nodes, self.trace, self.spikes = graph.nodes[1:], trace, {}
        self.parts = nn.ModuleDict()
        for node in self.nodes:
            if isinstance(node, Neuron):
                spikes, membranes = (torch.from_numpy(x[node.name]) for x in (trace.spikes, trace.membranes))
                self.parts[node.name] = replayed(spikes.float(), membranes.float(), node.model.bias_q)
            elif isinstance(node, Linear | Conv):
                self.parts[node.name] = torch_layer(node)

    def forward(self, batch):
        before = {}
        for t in range(N_STEPS):
            x = {"in": self.coded[t]}
            for node in self.nodes:
                seen = x[node.source]
                if isinstance(node, Linear) and node.delay:
                    seen = before.get(node.source, torch.zeros_like(seen))
                x[node.name] = self.output(node, seen)
            before = x
        return batch

    def output(self, node, seen):
        if isinstance(node, Pool):
            return nn.functional.avg_pool2d(seen, node.kernel, node.stride, divisor_override=1)
        if isinstance(node, Flatten):
            return seen.flatten(1)
        if isinstance(node, Neuron):
            return self.parts[node.name](seen)[0].reshape(seen.shape)
        return self.parts[node.name](seen)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_figure_is_the_packages(seed, package):
    from neurobench.metrics.static import ConnectionSparsity, Footprint, ParameterCount
    from neurobench.metrics.workload import ActivationSparsity, MembraneUpdates, SynapticOperations

    torch_model, _ = package
    graph, coded = net(seed)
    twin = Twin(graph, coded)
    for spikes in twin.trace.spikes.values():
        assert np.count_nonzero(spikes) < spikes.size
    ours = neurobench(graph, coded)
    model = torch_model(twin)
    static = {one.__name__: one()(model) for one in (ConnectionSparsity, Footprint, ParameterCount)}
    model.add_activation_module(type(twin.parts["out"]))
    model.register_hooks()
    batch = torch.zeros(N_SAMPLES, 1)
    with torch.no_grad():
        said = model(batch)
    metrics = (ActivationSparsity, MembraneUpdates, SynapticOperations)
    theirs = {one.__name__: one()(model, said, (batch, batch)) for one in metrics}
    model.cleanup_hooks()

    assert {name: ours[name] for name in static} == static
    assert set(ours) == {*static, *theirs}
    for name in ("ActivationSparsity", "MembraneUpdates"):
        assert ours[name] == pytest.approx(theirs[name], rel=1e-12)
    assert ours["SynapticOperations"] == pytest.approx(theirs["SynapticOperations"], rel=1e-12)


def test_the_nets_count_both_kinds_of_operation():
    found = [neurobench(*net(seed))["SynapticOperations"] for seed in SEEDS]
    assert all(one["Effective_ACs"] > 0 for one in found)
    assert sum(one["Effective_MACs"] > 0 for one in found) >= 4
    assert all(one["Effective_MACs"] + one["Effective_ACs"] < one["Dense"] for one in found)


def test_batches_are_averages_over_samples():
    graph, coded = net(1)
    parts = [neurobench(graph, coded[:, k : k + 1])["MembraneUpdates"] for k in range(N_SAMPLES)]
    assert neurobench(graph, coded, batch=3)["MembraneUpdates"] == pytest.approx(np.mean(parts))


def test_scales_on_skips_are_no_layer():
    graph, coded = net(0)
    scale = Scale("by", "mid", np.ones(6, np.int32), np.ones(6), 8)
    with_scale = Graph((*graph.nodes[:-2], scale, *graph.nodes[-2:]), graph.output, graph.readout)
    assert input_of(with_scale).spec == input_of(graph).spec
    assert neurobench(with_scale, coded) == neurobench(graph, coded)
