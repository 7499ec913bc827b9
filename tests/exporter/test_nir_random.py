"""Random NIR graphs of every node: what is read fires as the equations say, on the way out and back too."""

from __future__ import annotations

import nir
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.graph import Graph
from exporter.lower import lower
from exporter.passes import simplify
from exporter.quantize import quantize
from exporter.reference import run, run_float
from exporter.shift_leaks import shift_leaks
from exporter.sources.nir import graph_from_nir, load_nir
from exporter.sources.nir_neurons import Conventions
from exporter.targets.nir import export, to_nir
from exporter.wiring import input_of
from runtime.engine import Engine
from tests.builders.nir_interpreter import spikes_of
from tests.builders.nir_nets import random_nir

STEPS, SAMPLES = 12, 3


def hold_in_real_units(seed: int) -> int:
    """Holds a graph, and what it becomes when exported and read again, against its equations. Its spikes."""
    rng = np.random.default_rng(seed)
    found, how = random_nir(rng)
    shape = found.nodes["input"].input_type["input"]
    frames = (rng.random((STEPS, SAMPLES, *shape)) < 0.4).astype(np.int32)
    expected = spikes_of(found, frames, how)
    graph = graph_from_nir(found, how)
    again = graph_from_nir(to_nir(graph, dt=how.dt, lossy=True), how)
    for one in (graph, again):
        spikes = run_float(one, frames.reshape(STEPS, SAMPLES, *input_of(one).spec.shape)).spikes
        assert set(spikes) == set(expected)
        for name in expected:
            np.testing.assert_array_equal(spikes[name], expected[name], err_msg=name)
    return sum(int(one.sum()) for one in expected.values())


def hold_in_integers(seed: int, *, compiled: bool) -> None:
    """Holds the integers of a graph against those of its file, and the engine against the reference."""
    rng = np.random.default_rng(seed)
    found, how = random_nir(rng, mixed=False)
    graph = graph_from_nir(found, how)
    whole = integers(graph)
    frames = (rng.random((STEPS, SAMPLES, *input_of(graph).spec.shape)) < 0.4).astype(np.int32)
    first = run(whole, frames)
    second = run(integers(graph_from_nir(to_nir(graph, dt=how.dt, lossy=True), how)), frames)
    for name, spikes in first.spikes.items():
        np.testing.assert_array_equal(second.spikes[name], spikes)
    if compiled:
        np.testing.assert_array_equal(Engine(lower(whole)).run(frames).scores, first.scores)


def integers(graph: Graph) -> Graph:
    return quantize(shift_leaks(simplify(graph))[0])


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=100, deadline=None)
def test_random_graphs_fire_as_their_equations_say(seed):
    hold_in_real_units(seed)


@pytest.mark.long
@given(st.integers(0, 2**32 - 1))
@settings(max_examples=1000, deadline=None)
def test_a_thousand_random_graphs_fire_as_their_equations_say(seed):
    hold_in_real_units(seed)


def test_random_graphs_do_fire():
    assert sum(hold_in_real_units(seed) > 20 for seed in range(20)) > 12


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_random_graphs_are_the_same_integers_after_a_file(seed):
    hold_in_integers(seed, compiled=False)


@pytest.mark.parametrize("seed", range(6))
def test_random_graphs_run_in_the_engine_as_in_the_reference(seed):
    hold_in_integers(seed, compiled=True)


@pytest.mark.long
@given(st.integers(0, 2**32 - 1))
@settings(max_examples=500, deadline=None)
def test_five_hundred_random_graphs_run_in_the_engine_as_in_the_reference(seed):
    hold_in_integers(seed, compiled=True)


@pytest.mark.parametrize("seed", range(8))
def test_a_random_graph_passes_through_a_file(seed, tmp_path):
    rng = np.random.default_rng(seed)
    found, how = random_nir(rng)
    nir.write(tmp_path / "theirs.nir", found, compression=None)
    graph = load_nir(tmp_path / "theirs.nir", how)
    export(graph, tmp_path / "ours.nir", dt=how.dt, lossy=True)
    again = load_nir(tmp_path / "ours.nir", how)
    frames = (rng.random((STEPS, SAMPLES, *input_of(graph).spec.shape)) < 0.4).astype(np.int32)
    first, second = run_float(graph, frames), run_float(again, frames)
    for name, spikes in first.spikes.items():
        np.testing.assert_array_equal(second.spikes[name], spikes)


@pytest.mark.parametrize(("dt", "step_us"), [(1e-4, 100), (1e-3, 1000), (1.0, 1_000_000), (1e-9, 1)])
def test_a_step_lasts_what_dt_says(dt, step_us):
    rng = np.random.default_rng(1)
    lif = nir.LIF(np.full(2, 2 * dt), np.ones(2), np.zeros(2), np.ones(2))
    found = nir.NIRGraph.from_list(nir.Linear(rng.normal(size=(2, 3))), lif)
    assert input_of(graph_from_nir(found, Conventions(dt))).spec.step_us == step_us
