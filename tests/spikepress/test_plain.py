"""The packages by their plain functions: a NIR file, the reference and the engine."""

from __future__ import annotations

import nir
import numpy as np
import pytest

import exporter
import runtime
from exporter.lower import lower
from exporter.passes import simplify
from exporter.quantize import quantize
from exporter.shift_leaks import shift_leaks
from runtime.errors import ConfigError, DataError


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("plain") / "net.nir"
    tau = np.full(8, 8e-4)
    neuron = nir.LIF(tau, tau / 1e-4, np.zeros(8), np.ones(8))
    nir.write(path, nir.NIRGraph.from_list(nir.Linear(rng.normal(0, 0.6, (8, 12))), neuron))
    return path


def test_a_file_is_read_interpreted_and_run(file):
    spikes = (np.random.default_rng(1).random((40, 12)) < 0.4).astype(np.int32)
    graph = exporter.load_nir(file, dt=1e-4, reset="subtract", compare=">=")
    real = exporter.interpret(graph, spikes)
    assert real.shape == (40, 8)
    assert 0.02 < real.mean() < 0.9
    whole = quantize(shift_leaks(simplify(graph))[0])
    expected = exporter.interpret(whole, spikes)
    found = runtime.run(lower(whole), spikes)
    assert np.array_equal(found.spikes, expected)
    assert found.counts.effective_acs > 0
    assert np.mean(expected != real) < 0.05
    several = runtime.run(lower(whole), np.stack([spikes, 0 * spikes], axis=1))
    assert np.array_equal(several.spikes[:, 0], expected)
    assert np.array_equal(several.spikes, exporter.interpret(whole, np.stack([spikes, 0 * spikes], axis=1)))


def test_the_words_change_what_a_spike_is(file):
    spikes = (np.random.default_rng(1).random((40, 12)) < 0.4).astype(np.int32)
    subtract, value = (
        exporter.interpret(exporter.load_nir(file, reset=r), spikes) for r in ("subtract", "value")
    )
    assert not np.array_equal(subtract, value)
    with pytest.raises(ConfigError, match="load_nir reset: found 'soft', expected one of"):
        exporter.load_nir(file, reset="soft")


@pytest.mark.parametrize("shape", [(40,), (40, 5), (40, 2, 13), (1, 40, 2, 12)])
def test_another_shape_is_refused(file, shape):
    graph = exporter.load_nir(file)
    program = lower(quantize(shift_leaks(simplify(graph))[0]))
    for refused in (lambda x: exporter.interpret(graph, x), lambda x: runtime.run(program, x)):
        with pytest.raises(DataError, match="expected"):
            refused(np.zeros(shape, np.int32))
