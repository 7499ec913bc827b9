"""Pruning without training through the front door: one command, exact in every leg, budgets kept."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from pruner import Calibrated, Calibration, Compression
from runtime.errors import ConfigError, DataError, ModelError
from spikepress.budget import Budget, check_heard, cost_of, within
from spikepress.cli import app
from spikepress.pipeline import compress, train
from spikepress.prune_plot import plot
from spikepress.recovering import Recovery, check_budget
from tests.pruner.nets import mlp
from tests.pruner.test_trace import Events

CONFIG = """
[data]
name = "digits"

[input]
coding = "direct"
n_steps = 4

[[layers]]
kind = "flatten"

[[layers]]
kind = "linear"
out = 40

[[layers]]
kind = "batch_norm"

[[layers]]
kind = "lif"
shifts = 1

[[layers]]
kind = "linear"

[[layers]]
kind = "li"
shifts = 3

[train]
epochs = 6
lr = 0.01
readout = "membrane_sum"
threads = 1

[compress]
sparsity = 0.7
bits = 4
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    (folder / "config.toml").write_text(CONFIG, encoding="utf-8")
    outcome = train(folder / "config.toml", folder / "run")
    return folder / "run", outcome


def test_one_command_prunes_quantizes_exports_and_is_exact_in_every_leg(trained):
    run, dense = trained
    result = CliRunner().invoke(app, ["prune", str(run), "--post-training", "--json"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["verification"]["exact"]
    assert {leg["leg"] for leg in found["verification"]["legs"]} == {"torch", "runtime", "onnx"}
    assert found["compressed"]["weight_sparsity"] == pytest.approx(0.7, abs=0.01)
    assert dense.accuracy - found["compressed"]["accuracy"] < 0.06
    assert found["file_bytes"] == (run / "model.spk").stat().st_size


def test_the_log_of_it_is_redrawn_against_sparsity_bytes_operations_and_cost(trained):
    run, _ = trained
    compress(run)
    events = [json.loads(line) for line in (run / "prune.jsonl").read_text().splitlines()]
    assert [event["weight_sparsity"] for event in events] == pytest.approx([0.0, 0.7], abs=0.01)
    assert events[1]["synops"] < events[0]["synops"]
    assert events[1]["sample_passes"] > 0
    assert 0.5 < events[1]["metric"] <= 1.0
    assert events[1]["criticality"]["3"]["mean"] > 0
    result = CliRunner().invoke(app, ["prune", str(run), "--plot", "--json"])
    assert result.exit_code == 0
    page = Path(json.loads(result.stdout)["page"]).read_text(encoding="utf-8")
    for axis in ("weight-sparsity", "stored-bytes", "synops", "sample-passes", "seconds"):
        assert page.count(f'data-plot="metric-vs-{axis}"') == 2


def test_a_run_that_was_never_pruned_has_no_curve(tmp_path):
    with pytest.raises(DataError, match=r"found no prune.jsonl, expected it from `spikepress prune`"):
        plot(tmp_path)


def test_options_of_the_other_kind_of_pruning_are_refused(trained):
    run, _ = trained
    for options in (["--bits", "3"], ["--bytes", "2000"], ["--epochs", "1"], ["--post-training", "--resume"]):
        result = CliRunner().invoke(app, ["prune", str(run), *options])
        assert isinstance(result.exception, ConfigError)


def test_epochs_after_it_win_accuracy_back_on_the_same_masks_and_every_leg_is_exact(trained):
    run, _ = trained
    options = ["prune", str(run), "--post-training", "--sparsity", "0.93", "--json"]
    plain, taught = (
        json.loads(CliRunner().invoke(app, [*options, "--epochs", epochs]).stdout) for epochs in ("0", "3")
    )
    assert taught["verification"]["exact"]
    sparsities = [found["compressed"]["weight_sparsity"] for found in (plain, taught)]
    assert sparsities == pytest.approx([0.93, 0.93], abs=0.01)
    better = taught["compressed"]["validation_accuracy"] - plain["compressed"]["validation_accuracy"]
    assert better > 0.02
    assert taught["compressed"]["sample_passes"] > plain["compressed"]["sample_passes"] + 3 * 3 * 1000


def test_training_that_leaves_its_budget_is_refused():
    source, samples = calibrated()
    done = source.compress(Compression(0.5, 8, sweeps=0))
    how = Recovery(1, SimpleNamespace(), SimpleNamespace(validation=samples))
    check_budget(done, Budget(sparsity=0.5), how)
    with pytest.raises(ModelError, match=r"training moved over its budget \(--synops: found 1, expected"):
        check_budget(done, Budget(most_synops=1.0), how)


def test_a_network_whose_readout_hears_nothing_is_refused_by_name():
    net = mlp()
    check_heard(net, Events(net, 40))
    net.body[0].set_mask(torch.zeros_like(net.body[0].weight))
    with pytest.raises(ModelError, match="2: found no spike that reaches the readout"):
        check_heard(net, Events(net, 40))


def calibrated(count=40):
    net = mlp()
    samples = Events(net, count)
    return Calibrated(net, samples, Calibration(samples=count)), samples


def test_a_byte_budget_is_kept_and_a_larger_one_keeps_more_weights():
    source, samples = calibrated()
    wish = Compression(bits=8, sweeps=1)
    least, full = (
        cost_of(source.compress(Compression(share, 8, sweeps=0)).net, samples).stored_bytes
        for share in (0.97, 0.0)
    )
    limits = [round(least + part * (full - least)) for part in (0.3, 0.8)]
    tight, loose = (within(source, wish, Budget(most_bytes=limit), samples) for limit in limits)
    assert cost_of(tight.net, samples).stored_bytes <= limits[0]
    assert cost_of(loose.net, samples).stored_bytes <= limits[1]
    assert sum(tight.living.values()) < sum(loose.living.values())


def test_several_budgets_are_kept_at_once():
    source, samples = calibrated()
    full = cost_of(source.compress(Compression(0.0, 8, sweeps=0)).net, samples)
    budget = Budget(sparsity=0.3, most_bytes=full.stored_bytes - 20, most_synops=0.4 * full.synops)
    done = within(source, Compression(bits=8, sweeps=1), budget, samples)
    assert done.weight_sparsity >= 0.3
    assert cost_of(done.net, samples).over(budget) is None


def test_an_impossible_budget_is_refused_with_the_smallest_that_is_possible():
    source, samples = calibrated()
    wish = Compression(bits=8, sweeps=0)
    with pytest.raises(ConfigError, match="prune --bytes: found 10, expected at least ") as refused:
        within(source, wish, Budget(most_bytes=10), samples)
    least = int(str(refused.value).split("at least ")[1].split(",")[0])
    kept = within(source, wish, Budget(most_bytes=least), samples)
    assert cost_of(kept.net, samples).stored_bytes <= least


@pytest.mark.parametrize(("key", "value"), [("most_bytes", 0), ("most_synops", -1.0), ("sparsity", 1.0)])
def test_budgets_that_are_none_are_refused_by_name(key, value):
    with pytest.raises(ConfigError, match="prune --"):
        Budget(**{key: value})


def test_the_cost_counts_what_the_engine_adds():
    source, samples = calibrated()
    net = source.compress(Compression(0.5, 8, sweeps=0)).net
    few = SimpleNamespace(x=samples.x[:1], y=np.zeros(1))
    assert cost_of(net, few).synops == int(cost_of(net, few).synops)
