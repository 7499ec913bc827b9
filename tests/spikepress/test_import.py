"""A NIR file becomes a run directory like any other, and a run becomes a NIR file."""

from __future__ import annotations

import json

import nir
import numpy as np
import pytest
from typer.testing import CliRunner

import spikepress as sp
from runtime import container
from runtime.errors import ConfigError, DataError, UnsupportedError
from spikepress.cli import app
from spikepress.importing import NirWords
from spikepress.nir_export import NirOptions


def leaky(n, beta):
    tau = np.full(n, 1e-4 / (1 - beta))
    return nir.LIF(tau, tau / 1e-4, np.zeros(n), np.ones(n))


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """20-32-8, factors 0.9 (off the grid of shifts) and 0.875 (on it)."""
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("nir") / "theirs.nir"
    first = nir.Affine(rng.normal(0, 0.5, (32, 20)), rng.normal(0, 0.1, 32))
    graph = nir.NIRGraph.from_list(
        first, leaky(32, 0.9), nir.Linear(rng.normal(0.1, 0.4, (8, 32))), leaky(8, 0.875)
    )
    nir.write(path, graph)
    return path


@pytest.fixture(scope="module")
def imported(file, tmp_path_factory):
    return sp.import_model(file, tmp_path_factory.mktemp("runs") / "theirs", n_steps=20)


def test_every_leg_of_an_imported_network_is_exact(imported):
    result = sp.verify(imported.output, samples=20)
    assert result.exact
    assert [leg.leg for leg in result.legs] == ["runtime", "onnx"]
    assert all(layer.rate > 0 for layer in result.activity)


def test_only_the_leak_that_moved_is_told_and_drift_is_counted(imported):
    (leak,) = imported.leaks
    assert leak.neuron == "lif"
    assert leak.leak.beta == 0.90625
    assert imported.drift.samples == 64
    assert any("0.9 became 0.90625" in sentence for sentence in imported.sentences)
    told = json.loads((imported.output / "import.json").read_text(encoding="utf-8"))
    assert told == json.loads(json.dumps(imported.as_json()))


def test_drift_is_measured_on_a_users_samples(file, tmp_path):
    x = (np.random.default_rng(1).random((5, 20, 20)) < 0.2).astype(np.int64)
    np.savez(tmp_path / "mine.npz", x=x, y=np.zeros(5, np.int64))
    found = sp.import_model(file, tmp_path / "run", n_steps=20, data=str(tmp_path / "mine.npz"))
    assert found.drift.samples == 5
    assert sp.run(found.output, data=str(tmp_path / "mine.npz")).samples == 5


def test_an_imported_network_can_be_exported_again(imported, tmp_path):
    before = (imported.output / "model.spk").read_bytes()
    sp.export(imported.output, targets=("spk",), output=tmp_path)
    assert (tmp_path / "model.spk").read_bytes() == before
    assert container.read(tmp_path / "model.spk").input.n_steps == 20


def test_what_nir_cannot_say_of_a_run_is_refused_and_measured_where_asked(small_run, tmp_path):
    with pytest.raises(UnsupportedError, match=">= threshold"):
        sp.export(small_run, targets=("nir",), output=tmp_path)
    assert not (tmp_path / "model.nir").exists()
    sp.export(small_run, targets=("nir",), output=tmp_path, nir=NirOptions(lossy=True))
    told = json.loads((tmp_path / "model-nir.json").read_text(encoding="utf-8"))
    assert told["differing"] > 0
    assert told["spikes"] > told["differing"] / 2
    assert told["measured_on"] == "test samples"
    assert 0 < told["differing_predictions"] <= told["samples"] == 64
    again = sp.import_model(
        tmp_path / "model.nir", tmp_path / "again", words=NirWords(reset="subtract", compare=">="), n_steps=4
    )
    assert again.leaks == ()


def test_the_command_prints_and_refuses(file, tmp_path):
    done = CliRunner().invoke(app, ["import", str(file), "-o", str(tmp_path / "run"), "--json"])
    assert done.exit_code == 0
    assert json.loads(done.output)["drift"]["samples"] == 64
    with pytest.raises(ConfigError, match="--reset"):
        sp.import_model(file, tmp_path / "none", words=NirWords(reset="soft"))
    with pytest.raises(DataError, match="no such file"):
        sp.import_model(tmp_path / "none.nir", tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_lossy_alone_means_nothing_and_is_refused(small_run):
    done = CliRunner().invoke(app, ["export", str(small_run), "--lossy"])
    assert isinstance(done.exception, ConfigError)
    assert "--target nir" in str(done.exception)


def test_a_trained_run_is_never_written_over(file, small_run):
    with pytest.raises(ConfigError, match="another folder"):
        sp.import_model(file, small_run)


def test_a_fine_tuning_is_offered_only_where_a_layer_strays_far(imported, tmp_path):
    (offer,) = imported.offer
    assert offer == imported.sentences[-1]
    assert offer.startswith("lif")
    assert "--trainable" in offer
    on_the_grid = tmp_path / "grid.nir"
    weight = np.random.default_rng(0).normal(0, 0.5, (32, 20))
    nir.write(on_the_grid, nir.NIRGraph.from_list(nir.Linear(weight), leaky(32, 0.875)))
    assert sp.import_model(on_the_grid, tmp_path / "run", n_steps=20, bits=8).offer == ()
