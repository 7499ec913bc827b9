"""Sweeps: the runs asked for, each done once, dense networks shared, errors kept apart; and their tables."""

from __future__ import annotations

import csv
import io
import json
import statistics
import tomllib
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import spikepress as sp
from runtime.errors import ConfigError, DataError
from spikepress.cli import app
from spikepress.grid import cells, read_seeds, read_values
from spikepress.settings import with_value
from spikepress.sweeping import sweep
from spikepress.tables import figure, table
from tests.spikepress.conftest import CONFIG

SMALL = (
    CONFIG.replace("epochs = 3", "epochs = 1")
    .replace("epochs = 2", "epochs = 1")
    .replace("out = 24", "out = 8")
)
VALUES = {"prune.criterion": ('"magnitude"', '"random"')}


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two criteria, two seeds; tests must not change it."""
    folder = tmp_path_factory.mktemp("sweep")
    (folder / "small.toml").write_text(SMALL, encoding="utf-8")
    found = sweep(folder / "small.toml", folder / "out", values=VALUES, seeds=(0, 1))
    assert found.complete
    return folder


def times(root: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in root.rglob("*.safetensors")}


def test_every_combination_runs_with_every_seed(swept: Path) -> None:
    out = swept / "out"
    rows = json.loads((out / "sweep.json").read_text())["runs"]
    assert [(row["setting"]["prune.criterion"], row["seed"]) for row in rows] == [
        ('"magnitude"', 0),
        ('"magnitude"', 1),
        ('"random"', 0),
        ('"random"', 1),
    ]
    for row in rows:
        assert set(row["outcomes"]) == {"dense", "pruned", "pruned-quantized"}
        written = tomllib.loads((Path(row["folder"]) / "config.toml").read_text())
        assert written["train"]["seed"] == row["seed"]
        assert json.dumps(written["prune"]["criterion"]) == row["setting"]["prune.criterion"]


def test_runs_that_differ_only_in_pruning_share_their_dense_network(swept: Path) -> None:
    out = swept / "out"
    for seed in (0, 1):
        first, second = (out / f"prune.criterion={name}" / f"seed{seed}" for name in ("magnitude", "random"))
        name = "dense.safetensors"
        assert (first / name).read_bytes() == (second / name).read_bytes()
        assert (first / "log.jsonl").read_text().count('"dense"') == 1
        assert '"dense"' not in (second / "log.jsonl").read_text()
    seeds = [(out / "prune.criterion=magnitude" / f"seed{seed}" / name).read_bytes() for seed in (0, 1)]
    assert seeds[0] != seeds[1]


def test_a_complete_sweep_does_nothing_again_and_a_broken_one_only_what_is_missing(swept: Path) -> None:
    before = times(swept / "out")
    again = sweep(swept / "small.toml", swept / "out", values=VALUES, seeds=(0, 1))
    assert again.complete
    assert times(swept / "out") == before
    lost = swept / "out" / "prune.criterion=random" / "seed1"
    stages = json.loads((lost / "stages.json").read_text())
    (lost / "stages.json").write_text(json.dumps({"dense": stages["dense"], "pruned": stages["pruned"]}))
    (lost / "pruned-quantized.safetensors").unlink()
    taken_up = sweep(swept / "small.toml", swept / "out", values=VALUES, seeds=(0, 1))
    after = times(swept / "out")
    assert {path for path in after if after[path] != before[path]} == {lost / "pruned-quantized.safetensors"}
    assert taken_up.runs[3].outcomes["pruned-quantized"]["accuracy"] == stages["pruned-quantized"]["accuracy"]


def test_a_run_that_stops_is_told_and_leaves_the_others(tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text(SMALL, encoding="utf-8")
    # 200 events do not fit the stage's steps, which only the stage can tell
    found = sweep(
        tmp_path / "small.toml", tmp_path / "out", values={"prune.events": ("4", "200")}, until="prune"
    )
    assert not found.complete
    assert [run.error is None for run in found.runs] == [True, False]
    assert "prune.events" in str(found.runs[1].error)
    assert "1 of 2 runs" in found.sentence


@pytest.mark.long
def test_two_processes_do_what_one_does(swept: Path, tmp_path: Path) -> None:
    found = sweep(swept / "small.toml", tmp_path / "out", values=VALUES, until="prune", jobs=2)
    assert found.complete
    for name in ("magnitude", "random"):
        file = f"prune.criterion={name}/seed0/pruned.safetensors"
        assert (tmp_path / "out" / file).read_bytes() == (swept / "out" / file).read_bytes()


def test_a_sweep_up_to_the_runtime_counts_operations(swept: Path, tmp_path: Path) -> None:
    found = sweep(swept / "small.toml", tmp_path / "out", until="run")
    assert found.complete
    shown = table(tmp_path / "out", metrics=("accuracy", "effective_acs"), stage="runtime")
    assert shown.rows[0].label == "as-configured"
    assert shown.rows[0].figures["effective_acs"].mean > 0


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"prune.criterion": ('"magic"',)}, "prune.criterion"),
        ({"train.speed": ("1",)}, "train.speed"),
        ({"prune.sparsity": ("0.9", "0.9")}, "twice"),
    ],
)
def test_what_cannot_run_is_refused_before_anything_is_written(
    values: dict[str, tuple[str, ...]], words: str, tmp_path: Path
) -> None:
    (tmp_path / "small.toml").write_text(SMALL, encoding="utf-8")
    with pytest.raises(ConfigError, match=words):
        sweep(tmp_path / "small.toml", tmp_path / "out", values=values)
    assert not (tmp_path / "out").exists()


def test_seeds_and_values_are_read_as_people_write_them() -> None:
    assert read_seeds("0..4") == (0, 1, 2, 3, 4)
    assert read_seeds("3, 7..8") == (3, 7, 8)
    assert read_values(["prune.sparsity=0.9,0.95", "prune.criterion=magnitude,random"]) == {
        "prune.sparsity": ("0.9", "0.95"),
        "prune.criterion": ('"magnitude"', '"random"'),
    }
    assert read_values(["prune.protect=[],['1', '3']"])["prune.protect"] == ("[]", "['1', '3']")
    assert read_values(['quantize.bits="8","4"'])["quantize.bits"] == ('"8"', '"4"')


@pytest.mark.parametrize("text", ["", "4..1", "a", "1-3"])
def test_seeds_that_cannot_be_read_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--seeds"):
        read_seeds(text)


@pytest.mark.parametrize("options", [["sparsity=0.9"], ["prune.sparsity"], ["a.b=1", "a.b=2"], ["a.b="]])
def test_settings_that_cannot_be_read_are_refused(options: list[str]) -> None:
    with pytest.raises(ConfigError, match="--set"):
        read_values(options)


def test_a_value_is_set_in_its_own_table_only() -> None:
    text = '[prune]\nsparsity = 0.5\n\n[[layers]]\nkind = "flatten"\n[train]\nepochs = 3 # few'
    for section, name, value in (
        ("prune", "sparsity", "0.9"),
        ("train", "epochs", "7"),
        ("quantize", "bits", '"4"'),
    ):
        changed = tomllib.loads(with_value(text, section, name, value))
        wanted = tomllib.loads(text)
        wanted.setdefault(section, {})[name] = tomllib.loads(f"x = {value}")["x"]
        assert changed == wanted


def test_cells_come_in_the_order_asked_for() -> None:
    made = cells("[train]\n", {"train.lr": ("1", "2"), "prune.events": ("3",)}, (5, 6))
    assert [cell.folder for cell in made] == [
        f"train.lr={lr},prune.events=3/seed{seed}" for lr in (1, 2) for seed in (5, 6)
    ]


# ---- tables ----------------------------------------------------------------------------------------


def run_directory(folder: Path, seed: int, accuracy: float) -> None:
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text(f"{SMALL}".replace("[train]", f"[train]\nseed = {seed}"))
    outcome = {"accuracy": accuracy, "weight_sparsity": 0.9, "stage": "pruned"}
    (folder / "stages.json").write_text(json.dumps({"dense": {"accuracy": 0.5}, "pruned": outcome}))


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    for name, accuracies in {"magnitude": (0.90, 0.92, 0.91), "ours_x": (0.93, 0.93, 0.95)}.items():
        for seed, accuracy in enumerate(accuracies):
            run_directory(tmp_path / name / f"seed{seed}", seed, accuracy)
    run_directory(tmp_path / "alone", 1, 0.8)
    return tmp_path


def test_means_deviations_and_paired_differences_are_those_of_the_seeds(runs: Path) -> None:
    shown = table(runs, against="magn")
    assert (shown.stage, shown.against) == ("pruned", "magnitude")
    rows = {row.label: row for row in shown.rows}
    ours = rows["ours_x"]
    assert ours.figures["accuracy"] == figure([0.93, 0.93, 0.95])
    assert ours.figures["accuracy"].std == pytest.approx(statistics.stdev([0.93, 0.93, 0.95]))
    difference = ours.differences["accuracy"]
    assert difference.mean == pytest.approx(statistics.fmean([0.03, 0.01, 0.04]))
    assert difference.std == pytest.approx(statistics.stdev([0.03, 0.01, 0.04]))
    # one common seed: a difference, no deviation
    assert rows["alone"].differences["accuracy"].n == 1
    assert rows["alone"].differences["accuracy"].mean == pytest.approx(-0.12)
    assert rows["alone"].differences["accuracy"].std is None
    assert rows["magnitude"].differences == {}


def test_markdown_is_for_people(runs: Path) -> None:
    lines = table(runs, against="magnitude").as_text("md").splitlines()
    assert lines[0].split(" | ")[:3] == ["| setting", "n", "accuracy (%)"]
    assert "| ours_x | 3 | 93.67 ± 1.15 | 90.00 ± 0.00 | +2.67 ± 1.53 | +0.00 ± 0.00 | 3 |" in lines
    assert "| alone | 1 | 80.00 | 90.00 | -12.00 | +0.00 | 1 |" in lines
    assert lines[-1].endswith("against magnitude.")


def test_csv_holds_the_plain_numbers(runs: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(table(runs, against="magnitude").as_text("csv"))))
    (ours,) = [row for row in rows if row["setting"] == "ours_x"]
    assert float(ours["accuracy_mean"]) == statistics.fmean([0.93, 0.93, 0.95])
    assert float(ours["difference_accuracy_mean"]) == pytest.approx(0.08 / 3)
    assert [row["difference_accuracy_n"] for row in rows] == ["1", "", "3"]


def test_latex_escapes_what_latex_reads(runs: Path) -> None:
    text = table(runs, against="magnitude").as_text("latex")
    assert r"ours\_x & 3 & 93.67 $\pm$ 1.15" in text
    assert r"accuracy (\%)" in text
    assert text.count("\\\\\n") == 4
    assert "_" not in text.replace(r"\_", "")


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"against": "nothing"}, ConfigError, "0 rows"),
        ({"against": "a"}, ConfigError, "2 rows"),
        ({"stage": "runtime"}, DataError, "expected runtime"),
        ({"metrics": ("beauty",)}, DataError, "beauty"),
    ],
)
def test_tables_that_cannot_be_made_are_refused(
    runs: Path, options: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        table(runs, **options)


def test_a_seed_that_stands_twice_is_refused(runs: Path) -> None:
    run_directory(runs / "magnitude" / "seed9", 1, 0.5)
    with pytest.raises(DataError, match="twice"):
        table(runs)


def test_no_runs_are_refused(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(DataError, match="expected"):
            table(folder)


def test_the_commands_do_what_the_functions_do(swept: Path) -> None:
    runner = CliRunner()
    options = ["--set", "prune.criterion=magnitude,random", "--seeds", "0..1", "--output", str(swept / "out")]
    done = runner.invoke(app, ["sweep", str(swept / "small.toml"), *options])
    assert done.exit_code == 0, done.output
    assert "4 of 4 runs" in done.output
    shown = runner.invoke(app, ["table", str(swept / "out"), "--json", "--against", "magnitude"])
    assert json.loads(shown.output) == json.loads(
        json.dumps(sp.table(swept / "out", against="magnitude").as_json())
    )
    plain = runner.invoke(app, ["table", str(swept / "out"), "--format", "csv"])
    assert plain.output == sp.table(swept / "out").as_text("csv")
    rows = sp.table(swept / "out").rows
    assert [row.label for row in rows] == ["prune.criterion=magnitude", "prune.criterion=random"]
    assert all(row.seeds == (0, 1) for row in rows)
