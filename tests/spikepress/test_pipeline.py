"""The stages of a run, its settings, its report and its timing, on one small trained network."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import spikepress as sp
from runtime.errors import ConfigError, DataError, ModelError
from spikepress.page import report_json
from spikepress.rundir import RunDirectory, read_json, read_log
from spikepress.settings import built_in_configs, config_text, parse_settings, with_seed
from tests.spikepress.conftest import CONFIG
from tests.spikepress.test_page import assert_page_shows_its_json
from trainer.teacher import Teacher

ROOT = Path(__file__).parent.parent.parent


def test_every_stage_leaves_its_checkpoint_and_outcome(small_run):
    run = RunDirectory(small_run)
    stages = read_json(run.stages)
    assert list(stages) == ["dense", "pruned", "pruned-quantized"]
    assert all(run.checkpoint(stage).exists() for stage in stages)
    assert stages["pruned"]["weight_sparsity"] >= 0.6
    assert stages["dense"]["accuracy"] > 0.5
    for file in (run.program, run.onnx, run.traced_onnx, run.graph, run.whole_graph, run.float_graph):
        assert file.stat().st_size > 0
    assert not [path for path in small_run.iterdir() if path.name.startswith(".")]


def test_the_log_holds_one_line_an_epoch_with_its_weight_sparsity(small_run):
    records = [r for r in read_log(small_run / "log.jsonl") if r["stage"] == "pruned"]
    assert [r["epoch"] for r in records] == [1, 2]
    assert records[-1]["weight_sparsity"] >= 0.6


def test_the_runtime_is_as_accurate_as_the_quantized_module(small_run):
    outcome = sp.run(small_run)
    assert outcome.accuracy == read_json(RunDirectory(small_run).stages)["pruned-quantized"]["accuracy"]
    assert 0 < outcome.figures["effective_acs"] < outcome.figures["dense_synops"]
    assert outcome.weight_sparsity >= 0.6


def test_exporting_again_gives_the_same_bytes(small_run, tmp_path):
    sp.export(small_run, output=tmp_path)
    for name in ("model.spk", "model.onnx", "graph.npz"):
        assert (tmp_path / name).read_bytes() == (small_run / name).read_bytes()


def test_the_same_seed_gives_the_same_artefact(small_run, tmp_path):
    (tmp_path / "small.toml").write_text(CONFIG, encoding="utf-8")
    sp.train(tmp_path / "small.toml", tmp_path / "run")
    sp.prune(tmp_path / "run")
    sp.quantize(tmp_path / "run")
    sp.export(tmp_path / "run", targets=("spk",))
    assert (tmp_path / "run" / "model.spk").read_bytes() == (small_run / "model.spk").read_bytes()


def test_a_run_takes_samples_from_a_file(small_run, tmp_path):
    rng = np.random.default_rng(3)
    np.savez(tmp_path / "mine.npz", x=rng.integers(0, 17, (5, 1, 8, 8)), y=np.arange(5))
    assert sp.run(small_run, data=str(tmp_path / "mine.npz")).samples == 5
    np.savez(tmp_path / "real.npz", x=rng.random((5, 1, 8, 8)), y=np.arange(5))
    with pytest.raises(DataError, match="expected integers"):
        sp.run(small_run, data=str(tmp_path / "real.npz"))


def test_the_report_of_a_real_run_shows_its_json(small_run, tmp_path):
    page = tmp_path / "page.html"
    report = sp.report(small_run, output=page, samples=50)
    assert_page_shows_its_json(page.read_text(encoding="utf-8"))
    plots = {plot.id for plot in report.plots}
    assert plots == {
        "accuracy-vs-sparsity",
        "flash-by-layer",
        "flash-map",
        "ram-by-layer",
        "ram-map",
        "ram-plan",
        "size-vs-bounds",
        "synops-by-layer",
        "raster",
        "accuracy-per-step",
        "synops-per-step",
        "rates-by-layer",
        "drift-by-layer",
        "energy",
    }
    numbers = report_json(report)["numbers"]
    assert numbers["samples"] == 50
    assert len(numbers["energy_nanojoule_estimated"]) == 3


def test_flash_in_the_report_is_the_files_length_less_its_header(small_run, tmp_path):
    from runtime.container import file_header_bytes

    content = (small_run / "model.spk").read_bytes()
    report = sp.report(small_run, output=tmp_path / "page.html", samples=5)
    assert report.numbers["flash_bytes"] == len(content) - file_header_bytes(content)
    (plot,) = (plot for plot in report.plots if plot.id == "flash-by-layer")
    plotted = sum(y for series in plot.series for _, y in series.points)
    assert plotted == report.numbers["flash_bytes"] + report.numbers["code_bytes_estimated"]


def test_bench_names_every_contestant_and_the_machine(small_run):
    timing = sp.bench(small_run, samples=10)
    names = [contestant.name for contestant in timing.contestants]
    assert names == ["spikepress, flash", "spikepress, speed", "onnxruntime", "torch"]
    assert all(0 < c.p50_us <= c.p99_us for c in timing.contestants)
    assert len({c.correct for c in timing.contestants[:3]}) == 1
    assert len(timing.layers) == 2
    assert timing.machine["torch"]
    json.dumps(timing.as_json())


def test_info_describes_the_artefact(small_run):
    card = sp.info(small_run / "model.spk")
    assert card["file_bytes"] == (small_run / "model.spk").stat().st_size
    assert [p["kind"] for p in card["populations"]] == ["input", "neuron", "neuron"]
    assert card["meta"]["dataset"] == "digits"


def test_a_file_alone_still_runs_and_reports(small_run, tmp_path):
    shutil.copy(small_run / "model.spk", tmp_path / "alone.spk")
    assert sp.run(tmp_path / "alone.spk", data="digits", samples=20).samples == 20
    report = sp.report(tmp_path / "alone.spk", data="digits", samples=20, output=tmp_path / "page.html")
    assert {"flash-by-layer", "raster"} <= {plot.id for plot in report.plots}
    with pytest.raises(DataError, match="--data"):
        sp.run(tmp_path / "alone.spk")


def test_the_seed_is_written_into_the_configuration():
    starts = ("[train]\nepochs = 2\nseed = 1\n[prune]\n", "[train]\n\n[prune]\nseed = 4\n", "[data]\n")
    for start in starts:
        text = f'{start}\n[[layers]]\nkind = "flatten"\n'
        assert parse_settings(with_seed(text, 7), Path(), "test").config.train.seed == 7
    kept = with_seed("[train]\n\n[prune]\nseed = 4\n", 7)
    assert "seed = 4" in kept


def test_an_impossible_schedule_is_refused_before_training(tmp_path):
    for wrong in ("sparsity = 1.5", "begin = 0.9\nend = 0.1", 'criterion = "luck"', "no_such = 1"):
        text = CONFIG.replace("[prune]\n", f"[prune]\n{wrong}\n").replace("sparsity = 0.6\n", "")
        (tmp_path / "wrong.toml").write_text(text, encoding="utf-8")
        with pytest.raises(ConfigError, match=r"prune\."):
            sp.train(tmp_path / "wrong.toml", tmp_path / "run")
        assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", built_in_configs())
def test_every_built_in_configuration_can_be_read(name):
    parse_settings(*config_text(name), name)


def test_the_packaged_digits_are_those_of_the_documentation():
    """The demo prints what the benchmark measured on the configuration that the demo runs."""
    assert "digits" in built_in_configs()
    pairs = [
        (ROOT / "configs" / "digits.toml", ROOT / "spikepress" / "configs" / "digits.toml"),
        (ROOT / "docs" / "results" / "digits.json", ROOT / "spikepress" / "results" / "digits.json"),
    ]
    for original, packaged in pairs:
        assert packaged.read_text(encoding="utf-8") == original.read_text(encoding="utf-8")


def test_resuming_a_finished_run_changes_nothing(small_run, tmp_path):
    shutil.copytree(small_run, tmp_path / "run")
    sp.train("ignored, the run has its own", tmp_path / "run", resume=True)
    sp.prune(tmp_path / "run", resume=True)
    sp.quantize(tmp_path / "run", resume=True)
    sp.export(tmp_path / "run")
    for name in ("model.spk", "log.jsonl", "dense.safetensors"):
        assert (tmp_path / "run" / name).read_bytes() == (small_run / name).read_bytes()


def test_a_run_that_was_cut_short_ends_as_one_that_was_not(small_run, tmp_path):
    class CutError(Exception):
        pass

    def cut(stage, share):
        if share > 0.5:
            raise CutError

    (tmp_path / "small.toml").write_text(CONFIG, encoding="utf-8")
    with pytest.raises(CutError):
        sp.train(tmp_path / "small.toml", tmp_path / "run", notify=cut)
    outcome = sp.train(tmp_path / "small.toml", tmp_path / "run", resume=True)
    assert outcome.stage == "dense"
    name = "dense.safetensors"
    assert (tmp_path / "run" / name).read_bytes() == (small_run / name).read_bytes()


MISSING = ("torch", "onnx", "onnxruntime", "sklearn", "safetensors", "jinja2")


def with_base_install_only(*arguments):
    """The command in an interpreter to which every optional package is missing."""
    lines = (
        "import sys",
        f"sys.modules.update(dict.fromkeys({MISSING!r}))",
        f"sys.argv = {['spikepress', *map(str, arguments)]!r}",
        "from spikepress.__main__ import main",
        "main()",
    )
    command = [sys.executable, "-c", "\n".join(lines)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_base_install_runs_a_file_and_names_the_extra_it_lacks(small_run, tmp_path):
    rng = np.random.default_rng(3)
    np.savez(tmp_path / "mine.npz", x=rng.integers(0, 17, (5, 1, 8, 8)), y=np.arange(5))
    for arguments in (("info", small_run), ("devices", "--model", small_run)):
        assert with_base_install_only(*arguments).returncode == 0
    for verb in ("run", "bench"):
        done = with_base_install_only(
            verb, small_run / "model.spk", "--data", tmp_path / "mine.npz", "--json"
        )
        assert done.returncode == 0, done.stderr
    done = with_base_install_only("verify", small_run, "--data", tmp_path / "mine.npz")
    assert done.returncode == 2
    assert "pip install spikepress[" in done.stderr


def test_the_dense_networks_scores_teach_the_pruned_one_where_asked(small_run, tmp_path, monkeypatch):
    run = tmp_path / "run"
    shutil.copytree(small_run, run)
    text = (run / "config.toml").read_text(encoding="utf-8")
    (run / "config.toml").write_text(text.replace("[prune]\n", "[prune]\ndistill = 0.5\n"), encoding="utf-8")
    shares, blend = [], Teacher.blend

    def watched(self, *rest):
        shares.append(self.share)
        return blend(self, *rest)

    monkeypatch.setattr(Teacher, "blend", watched)
    before = (run / "pruned.safetensors").read_bytes()
    sp.prune(run)
    assert set(shares) == {0.5}
    assert (run / "pruned.safetensors").read_bytes() != before
    (run / "config.toml").write_text(text.replace("[prune]\n", "[prune]\ndistill = 1.5\n"), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"prune\.distill"):
        sp.prune(run)


def test_the_network_of_another_run_teaches_where_the_configuration_names_it(
    small_run, tmp_path, monkeypatch
):
    text = (small_run / "config.toml").read_text(encoding="utf-8")
    taught = text.replace("[train]\n", f'[train]\nteacher = "{small_run}"\nteacher_share = 0.75\n')
    config = tmp_path / "taught.toml"
    config.write_text(taught, encoding="utf-8")
    shares, blend = [], Teacher.blend

    def watched(self, *rest):
        shares.append(self.share)
        return blend(self, *rest)

    monkeypatch.setattr(Teacher, "blend", watched)
    run = tmp_path / "run"
    sp.train(config, run)
    assert set(shares) == {0.75}
    shares.clear()
    sp.quantize(run)
    assert set(shares) == {0.75}


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (("n_steps = ", "n_steps = 1"), r"train\.teacher: found a network of input .*, expected"),
        (('teacher = "', 'teacher = "no'), r"train\.teacher: found no .*, expected the directory"),
        (("teacher_share = 0.5", "teacher_share = 1.5"), r"train\.teacher_share: found 1\.5"),
    ],
)
def test_an_unfit_teacher_is_one_sentence_and_leaves_nothing(small_run, tmp_path, change, found):
    text = (small_run / "config.toml").read_text(encoding="utf-8")
    taught = text.replace("[train]\n", f'[train]\nteacher = "{small_run}"\nteacher_share = 0.5\n')
    assert change[0] in taught
    config = tmp_path / "taught.toml"
    config.write_text(taught.replace(*change), encoding="utf-8")
    with pytest.raises(ConfigError, match=found):
        sp.train(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_report_writes_the_figures_of_neurobench_beside_ours(small_run, tmp_path):
    sp.report(small_run, samples=20, neurobench=True, output=tmp_path / "page.html")
    found = json.loads((tmp_path / "neurobench.json").read_text(encoding="utf-8"))
    assert found["SynapticOperations"]["Dense"] > found["SynapticOperations"]["Effective_ACs"] > 0
    assert found["spikepress"]["samples"] == 20
    assert 0 < found["ConnectionSparsity"] < 1
    shutil.copyfile(small_run / "model.spk", tmp_path / "alone.spk")
    with pytest.raises(ModelError, match="no graphs"):
        sp.report(tmp_path / "alone.spk", data="digits", samples=20, neurobench=True)
