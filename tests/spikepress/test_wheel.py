"""The wheel: what is in it, and that it works in an empty environment."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PACKAGES = {"runtime", "exporter", "trainer", "pruner", "spikepress"}


def run(*command, cwd, **environment):
    clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**clean, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    run("git", "clone", "-q", ROOT, source, cwd=folder)
    run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder, source, cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.mark.long
def test_the_wheel_holds_the_packages_their_data_and_no_tests(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == PACKAGES
    for package in PACKAGES:
        assert f"{package}/py.typed" in names
    assert "spikepress/devices.toml" in names
    assert "spikepress/templates/report.html.j2" in names
    assert "spikepress/configs/digits.toml" in names


@pytest.mark.long
def test_the_wheel_runs_demo_report_and_export_in_an_empty_environment(wheel, tmp_path):
    run(sys.executable, "-m", "venv", tmp_path / "venv", cwd=tmp_path)
    bin_dir = tmp_path / "venv" / "bin"
    requirement = f"{wheel}[train,onnx,report]"
    run(bin_dir / "pip", "install", "-q", "-c", ROOT / "constraints.txt", requirement, cwd=tmp_path)
    command = bin_dir / "spikepress"
    run(command, "demo", "--output", "demo", "--json", cwd=tmp_path)
    run(command, "report", "demo", "--output", "again.html", "--json", cwd=tmp_path)
    run(command, "export", "demo", "--output", "again", cwd=tmp_path)
    assert (tmp_path / "demo" / "report.html").stat().st_size > 10_000
    assert (tmp_path / "again.html").exists()
    assert (tmp_path / "again" / "model.spk").read_bytes() == (tmp_path / "demo" / "model.spk").read_bytes()
