"""An imported network goes on as a trained one: the same spikes, then pruned and quantized like ours."""

from __future__ import annotations

import numpy as np
import pytest
from typer.testing import CliRunner

import spikepress as sp
from exporter.graph import Add, Conv, Flatten, Graph, Input, Linear, Neuron
from exporter.reference import run_float
from exporter.sources.torch import graph_from_torch
from runtime.errors import ConfigError, UnsupportedError
from runtime.spec import Coding, Compare, Fire, FloatNeuron, InputSpec, Leak, Readout, Reset, ResetTiming
from spikepress.cli import app
from spikepress.trainable import Feeding, make_trainable
from trainer import checkpoint

STEPS = 6


def net(recurrent: bool = False) -> Graph:
    """64-20-10 on rate coded digits, as another tool would have it."""
    rng = np.random.default_rng(2)
    first = FloatNeuron(
        leak=Leak((3,)),
        threshold=tuple(rng.uniform(0.6, 1.2, 20)),
        compare=Compare.GREATER,
        reset_timing=ResetTiming.NEXT_STEP,
    )
    silent = FloatNeuron(leak=Leak((4,)), fire=Fire.SILENT, reset=Reset.NONE)
    into = "into" if not recurrent else "into.sum"
    nodes = [
        Input("input", InputSpec((64,), Coding.EVENTS, STEPS)),
        Linear("into", "input", rng.normal(0, 0.15, (20, 64)), rng.normal(0, 0.1, 20)),
        Neuron("middle", into, first),
        Linear("out", "middle", rng.normal(0, 0.3, (10, 20))),
        Neuron("end", "out", silent),
    ]
    if recurrent:
        own = Linear("own", "middle", rng.normal(0, 0.2, (20, 20)), delay=1)
        nodes[2:2] = [own, Add("into.sum", ("into", "own"))]
    return Graph(tuple(nodes), "end", Readout.MEMBRANE_SUM)


CONFIGURED = Feeding("digits", coding="rate", n_steps=STEPS, epochs=1)


@pytest.fixture(autouse=True)
def flat_digits(tmp_path, monkeypatch):
    """Digits of one axis, as a network of fully connected layers from elsewhere takes them."""
    code = """
from dataclasses import replace
from trainer.datasets import Samples, SplitOptions, Splits, load
from trainer.datasets.registry import Entry

def flat(data_dir, options):
    found = load("digits")
    parts = [Samples(p.x.reshape(len(p), -1), p.y) for p in (found.train, found.validation, found.test)]
    return Splits(*parts, replace(found.info, sample_shape=(64,)))

DIGITS = Entry(SplitOptions, flat)
"""
    (tmp_path / "flat_digits.py").write_text(code, encoding="utf-8")
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("recurrent", [False, True])
def test_the_trained_network_fires_as_the_graph_did(recurrent, tmp_path):
    graph = net(recurrent)
    feeding = Feeding("flat_digits:DIGITS", "rate", STEPS, epochs=1)
    outcome, leaks = make_trainable(graph, tmp_path / "run", feeding)
    assert leaks == ()
    assert outcome.stage == "dense"
    again = graph_from_torch(checkpoint.load(tmp_path / "run" / "dense.safetensors").eval())
    coded = (np.random.default_rng(3).random((STEPS, 30, 64)) < 0.4).astype(np.int32)
    before, after = run_float(graph, coded), run_float(again, coded)
    assert before.spikes["middle"].mean() > 0.02
    name = next(node.name for node in again.nodes if isinstance(node, Neuron))
    assert np.mean(before.spikes["middle"] != after.spikes[name]) < 1e-3
    assert np.allclose(before.scores, after.scores, atol=1e-2)


LIF = FloatNeuron(leak=Leak((2,)), threshold=(0.5,), compare=Compare.GREATER)


def branching(kind: str) -> Graph:
    """Convolutions on 8x8 digits with two branches: of spikes, of currents, or one inside another."""
    rng = np.random.default_rng(4)

    def conv(name: str, source: str, inputs: int, side: int) -> Conv:
        weight = rng.normal(0.1, 0.3, (4, inputs, side, side))
        return Conv(name, source, weight, bias=rng.normal(0, 0.1, 4), padding=(side // 2, side // 2))

    nodes = [Input("input", InputSpec((1, 8, 8), Coding.EVENTS, STEPS)), conv("c0", "input", 1, 3)]
    nodes += [Neuron("n0", "c0", LIF), conv("c1", "n0", 4, 3)]
    if kind == "spikes":
        nodes += [Neuron("n1", "c1", LIF), Add("both", ("n0", "n1"))]
    elif kind == "currents":
        nodes += [Neuron("n1", "c1", LIF), conv("c2", "n1", 4, 3), conv("short", "n0", 4, 1)]
        nodes += [Add("both", ("short", "c2")), Neuron("n2", "both", LIF)]
    else:
        nodes += [Neuron("n1", "c1", LIF), conv("c2", "n1", 4, 1), Neuron("n2", "c2", LIF)]
        nodes += [Add("inner", ("n2", "n1")), Add("both", ("inner", "n0"))]
    last = nodes[-1].name
    nodes += [Flatten("flat", last), Linear("out", "flat", rng.normal(0, 0.1, (10, 256)))]
    return Graph((*nodes, Neuron("end", "out", LIF)), "end", Readout.COUNT)


@pytest.mark.parametrize("kind", ["spikes", "currents", "nested"])
def test_branches_that_meet_become_residual_layers(kind, tmp_path):
    graph = branching(kind)
    make_trainable(graph, tmp_path / "run", Feeding("digits", "rate", STEPS, epochs=1))
    again = graph_from_torch(checkpoint.load(tmp_path / "run" / "dense.safetensors").eval())
    coded = (np.random.default_rng(3).random((STEPS, 30, 1, 8, 8)) < 0.4).astype(np.int32)
    before, after = run_float(graph, coded).spikes["end"], run_float(again, coded).spikes[again.output]
    assert 0.02 < before.mean() < 0.98
    assert np.mean(before != after) < 1e-3
    sp.prune(tmp_path / "run", sparsity=0.5)
    sp.quantize(tmp_path / "run")
    sp.export(tmp_path / "run")
    assert sp.verify(tmp_path / "run", samples=10).exact


def test_it_is_pruned_quantized_and_exact(tmp_path):
    graph = net()
    feeding = Feeding("flat_digits:DIGITS", "rate", STEPS, epochs=25)
    dense, _ = make_trainable(graph, tmp_path / "run", feeding)
    pruned = sp.prune(tmp_path / "run", sparsity=0.5)
    assert pruned.weight_sparsity >= 0.5
    quantized = sp.quantize(tmp_path / "run")
    assert quantized.accuracy > dense.accuracy + 0.1, "it came with weights drawn at random"
    sp.export(tmp_path / "run")
    assert sp.verify(tmp_path / "run", samples=10).exact


def test_what_the_trainer_has_no_layer_for_is_refused_and_leaves_nothing(tmp_path):
    graph = net()
    skips = [Linear(name, "input", np.zeros((10, 64))) for name in ("skip", "more")]
    end = Neuron("end", "all", graph.nodes[-1].model)
    three = Graph((*graph.nodes[:-1], *skips, Add("all", ("out", "skip", "more")), end), "end", graph.readout)
    with pytest.raises(UnsupportedError, match="input: found 3 branches"):
        make_trainable(three, tmp_path / "run", CONFIGURED)
    lone = Graph((*graph.nodes[:-1], Add("all", ("out", "out")), end), "end", graph.readout)
    with pytest.raises(UnsupportedError, match="out: found branches to all and all"):
        make_trainable(lone, tmp_path / "run", CONFIGURED)
    small = Input("input", InputSpec((32,), Coding.EVENTS, STEPS))
    other = Graph((small, Linear("out", "input", np.ones((10, 32))), graph.nodes[-1]), "end", graph.readout)
    with pytest.raises(ConfigError, match="found steps of shape"):
        make_trainable(other, tmp_path / "run", CONFIGURED)
    assert not (tmp_path / "run").exists()


def test_the_command_asks_for_data(tmp_path):
    done = CliRunner().invoke(app, ["import", "none.nir", "--trainable", "-o", str(tmp_path / "run")])
    assert done.exception is not None
