"""The pruning benchmark's file, plan and page, without training anything."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from benchmarks.pruning import settings_of
from benchmarks.pruning_page import page
from benchmarks.pruning_plan import BARS, PRESETS, Case, begins_untrained, compression, rules, tuning
from benchmarks.pruning_rows import add_row, key_of, read_rows
from pruner import PruneConfig
from pruner.registry import METHODS


def row(method="sweeps", seed=0, **changed):
    values = {
        "method": method,
        "granularity": "weight",
        "sparsity": 0.97,
        "bits": None,
        "epochs": 0,
        "seconds": 10.0,
        "sample_passes": 1000,
        "seed": seed,
        "accuracy_dense": 0.99,
        "accuracy": 0.98,
        "nnz": 100,
        "bytes": 2000,
        "effective_acs": 5.0,
        "input_adds": 7.0,
    }
    return {**values, **changed}


def test_a_row_replaces_the_one_with_its_key_and_others_stay(tmp_path):
    path = tmp_path / "rows.json"
    assert read_rows(path) == []
    for one in (row(), row(seed=1), row(accuracy=0.5)):
        add_row(path, one, {"preset": "full"})
    found = {key_of(one): one["accuracy"] for one in read_rows(path)}
    assert sorted(found.values()) == [0.5, 0.98]


def test_rows_added_at_once_are_all_kept(tmp_path):
    path = tmp_path / "rows.json"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda seed: add_row(path, row(seed=seed), {}), range(24)))
    assert {one["seed"] for one in read_rows(path)} == set(range(24))


def test_the_quick_preset_has_every_method_at_every_sparsity():
    quick = PRESETS["quick"]
    for sparsity in (0.90, 0.95, 0.97):
        names = {case.method for case in quick.cases if case.sparsity == sparsity}
        assert names >= {*METHODS, "sbc", "second-order", "sweeps", "one-shot-magnitude"}
    assert {case.epochs for case in quick.cases} == {0, 2}
    assert len(quick.seeds) == 2
    assert len({case.key(0) for case in quick.cases}) == len(quick.cases)


def test_every_bar_is_measured_by_the_full_preset():
    cases = PRESETS["full"].cases
    assert all(bar.case in cases for bar in BARS)
    assert len(PRESETS["full"].seeds) == 5
    assert all(compression(bar.case).sparsity == bar.case.sparsity for bar in BARS)


def test_the_page_gives_means_spreads_and_what_was_not_measured(tmp_path):
    path = tmp_path / "rows.json"
    for one in (row(accuracy=0.986), row(seed=1, accuracy=0.988), row("sbc", accuracy=0.97)):
        add_row(path, one, {"preset": "full", "torch": "9.9"})
    text = page(json.loads(path.read_text()), PRESETS["full"])
    assert "97% sparse, weight, 0 epochs: at most 0.5 points | 0.30 ± 0.14 points | 2 |" in text
    assert "not measured | 0 |" in text
    assert text.index("| sweeps | 2 |") < text.index("| sbc | 1 |")
    assert "| 0 | 97 % | weight | real | sweeps | sbc | 1.60 | 1 | 1 |" in text
    assert "torch 9.9" in text


@pytest.mark.parametrize("preset", PRESETS)
def test_every_case_has_the_fields_of_a_row(preset):
    for case in PRESETS[preset].cases:
        assert len(case.key(0)) == len(key_of(row()))


@pytest.mark.parametrize("name", ["nmnist", "cifar10"])
def test_other_data_sets_train_every_method_alike_from_their_own_configuration(name):
    preset = PRESETS[name]
    assert len(preset.seeds) == 3
    assert {case.sparsity for case in preset.cases} >= {0.90, 0.95, 0.98}
    assert {tuning(preset, case) for case in preset.cases} == {preset.training}
    settings = settings_of(preset, 2)
    assert settings.config.data.name == name
    assert settings.config.train.seed == 2
    assert settings.config.train.epochs > 0
    assert len({case.key(0) for case in preset.cases}) == len(preset.cases)


def test_the_convolutional_case_has_at_least_ten_layers_of_weights():
    kinds = [layer["kind"] for layer in settings_of(PRESETS["cifar10"], 0).config.layers]
    assert kinds.count("conv2d") == 10
    assert "linear" in kinds


def test_iterative_magnitude_makes_each_dense_training_a_level():
    table = rules(Case("iterative-magnitude", 0.97, epochs=195), 15)
    steps = PruneConfig.from_table(table).plan().steps(195)
    assert len(steps) == 12
    assert all(abs(step + 1 - 15 * level) <= 1 for level, step in enumerate(steps, start=1))
    plain = {"method": "iterative-magnitude", "sparsity": 0.97}
    assert rules(Case("iterative-magnitude", 0.97, epochs=2), 15) == plain
    whole = Case("iterative-magnitude, readout whole", 0.97, epochs=2)
    assert rules(whole, 15) == {**plain, "protect_readout": True}
    assert begins_untrained(whole)
    assert not begins_untrained(Case("magnitude, readout whole", 0.97, epochs=2))


def test_the_page_of_another_data_set_has_its_remarks_and_no_bars_and_holds_criticality_against_its_controls(
    tmp_path,
):
    path = tmp_path / "rows.json"
    for name, right in (("second-order", 0.9), ("criticality", 0.8), ("magnitude", 0.7), ("lamp", 0.6)):
        add_row(path, row(name, accuracy=right, epochs=1), {"preset": "cifar10"})
    text = page(json.loads(path.read_text()), PRESETS["cifar10"])
    assert PRESETS["cifar10"].remarks[0] in text
    assert "asked for" not in text
    assert "Dense nets: 99.00 % on test samples, n = 1." in text
    assert "| second-order | lamp | 30.00 | 1 | 1 |" in text
    assert "| criticality | magnitude | 10.00 | 1 | 1 |" in text
    assert "| criticality | lamp |" not in text
