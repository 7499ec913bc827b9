"""Passes change the form of a network, never what it does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.graph import BatchNorm, Conv, Graph, Linear, Neuron, Node, Pool, PoolKind, by_name
from exporter.lower import lower
from exporter.passes import PASSES, drop_dead, fold_norm, fold_pool, simplify
from exporter.reference import run, run_float
from exporter.wiring import neurons, synapses
from runtime.errors import UnsupportedError
from runtime.spec import IntegerNeuron
from tests.builders.graphs import CASES, coded, conv_net, current_pool_net, whole


def with_norm(graph: Graph, after: str, gain: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Graph:
    """The graph with a batch norm between ``after`` and its readers."""
    norm = BatchNorm("bn", after, gain, np.linspace(-0.2, 0.3, len(gain)))
    nodes: list[Node] = []
    for node in graph.nodes:
        reads = getattr(node, "source", None) == after
        nodes.append(replace(node, source="bn") if reads else node)  # type: ignore[call-arg]
        if node.name == after:
            nodes.append(norm)
    return replace(graph, nodes=tuple(nodes))


def assert_close(first: Graph, second: Graph, seed: int = 0) -> None:
    frames = coded(first, seed=seed)
    a, b = run_float(first, frames), run_float(second, frames)
    for name in a.spikes:
        np.testing.assert_array_equal(a.spikes[name], b.spikes[name])
        np.testing.assert_allclose(a.membranes[name], b.membranes[name], atol=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_a_batch_norm_folds_into_its_convolution_sign_and_all(seed: int) -> None:
    graph = with_norm(conv_net(np.random.default_rng(seed)), "c1", np.array([0.7, -1.3, 2.0, 0.1]))
    folded = fold_norm(graph)
    assert not any(isinstance(node, BatchNorm) for node in folded.nodes)
    assert_close(graph, folded, seed)


def test_a_batch_norm_after_a_max_pool_folds_when_no_gain_turns_the_sign() -> None:
    graph = with_norm(current_pool_net(np.random.default_rng(1)), "pool", np.array([0.7, 1.3, 2.0]))
    assert_close(graph, fold_norm(graph))
    turned = with_norm(current_pool_net(np.random.default_rng(1)), "pool", np.array([0.7, -1.3, 2.0]))
    with pytest.raises(UnsupportedError, match="bn: found a batch norm after Pool 'pool'"):
        fold_norm(turned)


def test_a_batch_norm_of_spikes_before_a_padded_convolution_is_refused() -> None:
    graph = with_norm(conv_net(np.random.default_rng(1)), "n1", np.ones(4))
    with pytest.raises(UnsupportedError, match="bn: found a batch norm after Neuron 'n1'"):
        fold_norm(graph)


def test_an_average_pool_becomes_a_sum_and_a_smaller_scale() -> None:
    graph = conv_net(np.random.default_rng(2))
    folded = fold_pool(graph)
    assert [n.kind for n in folded.nodes if isinstance(n, Pool)] == [PoolKind.SUM]
    assert_close(graph, folded)


def test_integer_weights_keep_their_integers_when_things_fold_into_them() -> None:
    graph = with_norm(conv_net(np.random.default_rng(3)), "c2", np.array([0.7, -1.3, 2.0, 0.1, 1.0, 0.5]))
    rounded = tuple(_rounded(node) for node in graph.nodes)
    graph = replace(graph, nodes=rounded)
    folded = simplify(graph)
    before, after = by_name(graph)["c2"], by_name(folded)["c2"]
    assert isinstance(before, Conv)
    assert isinstance(after, Conv)
    np.testing.assert_array_equal(np.abs(before.weight), np.abs(after.weight))
    assert_close(graph, folded)


def _rounded(node: Node) -> Node:
    if not isinstance(node, Linear | Conv):
        return node
    weight = np.rint(node.weight * 20).clip(-127, 127).astype(np.int32)
    return replace(node, weight=weight, scale=np.full(len(weight), 0.05), bits=8)


def deadened(graph: Graph, seed: int) -> Graph:
    """The graph with some rows and some columns of every table at 0."""
    rng = np.random.default_rng(seed)
    changed: dict[str, Node] = {}
    for synapse in synapses(graph):
        weight = synapse.weight.copy()
        weight[rng.random(len(weight)) < 0.3] = 0
        if weight.ndim > 1:
            weight[:, rng.random(weight.shape[1]) < 0.3] = 0
        changed[synapse.name] = replace(synapse, weight=weight)
    return replace(graph, nodes=tuple(changed.get(node.name, node) for node in graph.nodes))


@settings(max_examples=40, deadline=None)
@given(case=st.sampled_from(sorted(CASES)), seed=st.integers(0, 100))
def test_dropping_the_dead_leaves_the_living_alone(case: str, seed: int) -> None:
    graph = deadened(whole(case, seed % 2), seed)
    smaller = drop_dead(graph)
    frames = coded(graph, seed=seed)
    before, after = run(graph, frames), run(smaller, frames)
    np.testing.assert_array_equal(before.scores, after.scores)
    for neuron in neurons(smaller):
        kept = slice(None) if neuron.kept is None else neuron.kept
        np.testing.assert_array_equal(before.spikes[neuron.name][..., kept], after.spikes[neuron.name])
        np.testing.assert_array_equal(before.membranes[neuron.name][..., kept], after.membranes[neuron.name])
    assert lower(smaller)


@pytest.mark.parametrize("case", ["linear", "gate", "current pool"])
def test_dead_neurons_go_and_the_map_says_who_stayed(case: str) -> None:
    graph = deadened(whole(case), 1)
    smaller = drop_dead(graph)
    first = neurons(smaller)[0]
    assert first.kept is not None
    assert 0 < len(first.kept) < run(graph, coded(graph)).spikes[first.name].shape[-1]
    assert neurons(smaller)[-1].kept is None


def test_death_spreads_to_a_fixed_point() -> None:
    graph = whole("spike sum")
    chain = whole("linear")
    assert drop_dead(chain) is chain
    nodes = by_name(chain)
    last = nodes["fc2"]
    assert isinstance(last, Linear)
    deaf = replace(last, weight=np.where(np.arange(14) < 13, 0, last.weight).astype(np.int32))
    unheard = replace(chain, nodes=tuple(deaf if n.name == "fc2" else n for n in chain.nodes))
    (hidden, _) = neurons(drop_dead(unheard))
    assert hidden.kept is not None
    assert hidden.kept.tolist() == [13]
    assert drop_dead(graph) is graph


def test_a_threshold_out_of_reach_kills() -> None:
    chain = whole("linear")

    def raised(node: Node) -> Node:
        if not isinstance(node, Neuron) or node.name != "hidden":
            return node
        assert isinstance(node.model, IntegerNeuron)
        threshold = list(node.model.threshold_q)
        threshold[3] = 30000
        return replace(node, model=replace(node.model, threshold_q=tuple(threshold)))

    changed = replace(chain, nodes=tuple(raised(node) for node in chain.nodes))
    kept = neurons(drop_dead(changed))[0].kept
    assert kept is not None
    assert kept.tolist() == [n for n in range(14) if n != 3]


def test_every_pass_says_what_it_needs_and_guarantees() -> None:
    for name, run_pass in PASSES.items():
        text = run_pass.__doc__ or ""
        assert "Needs:" in text, name
        assert "Guarantees:" in text, name
        assert "Changes:" in text, name
