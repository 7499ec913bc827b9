"""The commands as a person meets them: help, exit status, one sentence on a mistake."""

import json
import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import spikepress
from spikepress.cli import app
from spikepress.sizes import size_of

ROOT = Path(__file__).parent.parent.parent
VERBS = (
    "demo",
    "train",
    "prune",
    "export",
    "run",
    "report",
    "verify",
    "info",
    "devices",
    "bench",
    "emulate",
    "simulate",
    "synth",
    "sweep",
    "table",
    "fit",
    "compare",
    "import",
    "check",
    "conform",
)


def command(*arguments, cwd=None, **environment):
    return subprocess.run(
        [sys.executable, "-m", "spikepress", *map(str, arguments)],
        cwd=cwd or ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def assert_one_sentence(done, *words):
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1
    for word in words:
        assert word in done.stderr


@pytest.mark.parametrize("verb", VERBS)
def test_every_command_explains_itself_with_an_example(verb):
    shown = CliRunner().invoke(app, [verb, "--help"])
    assert shown.exit_code == 0
    assert f"Example: spikepress {verb}" in shown.output
    assert "--json" in shown.output


def test_help_answers_in_half_a_second():
    def once():
        # Processor time, not wall time: other work on the machine must not decide this.
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert command("--help").returncode == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(once() for _ in range(3)) < 0.5


def test_devices_as_json_is_the_catalogue():
    done = command("devices", "--json")
    assert done.returncode == 0
    names = [entry["name"] for entry in json.loads(done.stdout)]
    assert names == [entry.name for entry in spikepress.devices()]


def test_a_missing_model_is_one_sentence(tmp_path):
    for verb in ("info", "run", "verify", "report", "bench", "export", "prune"):
        assert_one_sentence(command(verb, tmp_path / "nothing.spk"), "nothing.spk", "found", "expected")


def test_a_damaged_file_is_one_sentence(tmp_path):
    (tmp_path / "model.spk").write_bytes(b"not a model at all")
    for verb in ("info", "run", "report", "bench"):
        assert_one_sentence(command(verb, tmp_path / "model.spk"), "found", "expected")


def test_an_unknown_configuration_is_one_sentence(tmp_path):
    assert_one_sentence(command("train", "no-such", "--output", tmp_path / "run"), "no-such")
    assert not (tmp_path / "run").exists()


def test_a_wrong_key_in_a_configuration_is_one_sentence(tmp_path):
    (tmp_path / "mine.toml").write_text("[train]\nepoch = 3\n", encoding="utf-8")
    done = command("train", tmp_path / "mine.toml", "--output", tmp_path / "run")
    assert_one_sentence(done, "epoch", "found", "expected")


def test_missing_data_is_one_sentence_and_leaves_nothing(tmp_path):
    text = '[data]\nname = "mnist"\n[[layers]]\nkind = "flatten"\n'
    (tmp_path / "mine.toml").write_text(text, encoding="utf-8")
    done = command(
        "train", tmp_path / "mine.toml", "--output", tmp_path / "run", "--data-dir", tmp_path / "none"
    )
    assert_one_sentence(done, "mnist", "found", "expected")
    assert not (tmp_path / "run").exists()


def test_an_unwritable_folder_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    for arguments in (("demo", "--output"), ("train", "digits", "--output")):
        assert_one_sentence(command(*arguments, tmp_path / "file" / "run"), "found", "expected")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), "--device"),
        (("--device", "z80"), "atmega328p"),
        (("--device", "ch32v003", "--latency", "5"), "cost model"),
        (("--flash", "32X"), "32KiB"),
        (("--flash", "0"), "flash_bytes"),
        (("--device", "atmega328p"), "spikepress train"),
    ],
)
def test_a_fit_that_cannot_be_is_one_sentence(tmp_path, options, words):
    assert_one_sentence(command("fit", tmp_path, *options), "found", "expected", words)


@pytest.mark.parametrize(
    ("words", "size"),
    [("30000", 30_000), ("32K", 32_768), ("32 KiB", 32_768), ("32kB", 32_000), ("1_000", 1_000)],
)
def test_sizes_are_read_as_people_write_them(words, size):
    assert size_of("--flash", words) == size


@pytest.mark.parametrize("name", ["trainer", "runtime", "exporter", "pruner"])
def test_a_users_own_module_of_our_name_is_named(tmp_path, name):
    (tmp_path / f"{name}.py").write_text("print('mine')\n", encoding="utf-8")
    path = f"{tmp_path}{os.pathsep}{ROOT}"
    done = command("devices", cwd=tmp_path, PYTHONPATH=path)
    assert_one_sentence(done, f"{name}.py", "rename")
    lines = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import spikepress as sp; sp.devices()"
    done = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True, check=False)
    assert f"{name}.py" in done.stderr.strip().splitlines()[-1]


def test_the_public_surface_is_pinned():
    assert spikepress.__all__ == [
        "AnnImport",
        "Checked",
        "Comparison",
        "Conformity",
        "Device",
        "Emulation",
        "FirmwareOptions",
        "FitResult",
        "Imported",
        "LayerActivity",
        "LegResult",
        "Limits",
        "Outcome",
        "Place",
        "Report",
        "Simulation",
        "SpikepressError",
        "Sweep",
        "SweptRun",
        "Synthesis",
        "Table",
        "Timing",
        "Verdict",
        "Verification",
        "bench",
        "check_model",
        "compare",
        "conform",
        "demo",
        "devices",
        "emulate",
        "export",
        "fit",
        "import_ann",
        "import_model",
        "import_modules",
        "info",
        "prune",
        "quantize",
        "report",
        "run",
        "simulate",
        "sweep",
        "synth",
        "table",
        "train",
        "verify",
    ]
    # `import` is a word of Python itself.
    assert set(VERBS) - {"import", "check"} | {"import_model", "check_model"} <= set(spikepress.__all__)
    for name in spikepress.__all__:
        assert getattr(spikepress, name).__name__ == name


def test_the_version_lives_in_one_place():
    text = (ROOT / "setup.cfg").read_text(encoding="utf-8")
    assert "\nversion = attr: spikepress.__version__\n" in text


def test_the_readme_lists_every_command_and_every_make_target():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `spikepress (\w+)", readme, re.MULTILINE)
    registered = [entry.name or entry.callback.__name__ for entry in app.registered_commands]
    assert sorted(listed) == sorted(registered) == sorted(VERBS)
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    for target in phony[1].split():
        assert target == "clean" or f"`make {target}`" in readme
