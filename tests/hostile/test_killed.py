"""A process killed while it writes leaves whole files, and two at one run directory do no harm."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import numpy as np
import pytest

import spikepress as sp
from runtime import container
from runtime.container.writer import to_bytes
from spikepress.run_lock import held
from spikepress.rundir import RunDirectory
from tests.builders.programs import mlp
from tests.spikepress.conftest import CONFIG

WRITER = """
import sys
import spikepress as sp
from runtime import container
from tests.hostile.test_killed import net
programs = [net(0), net(1)]
print("ready", flush=True)
while True:
    for program in programs:
        container.write(program, sys.argv[1])
"""
LEAST_KILLS, MOST_KILLS = 12, 60


@pytest.fixture(scope="module")
def small_run_path(tmp_path_factory):
    folder = tmp_path_factory.mktemp("held")
    (folder / "net.toml").write_text(CONFIG, encoding="utf-8")
    sp.train(folder / "net.toml", folder / "run")
    return folder / "run"


def net(seed):
    """A network whose file takes a moment to write."""
    return mlp((400, 300, 10), seed=seed, encoding="dense")


def test_a_file_is_whole_whenever_its_writer_is_killed(tmp_path):
    path = tmp_path / "model.spk"
    both = {to_bytes(net(seed)) for seed in (0, 1)}
    rng = np.random.default_rng(0)
    found = set()
    for kill in range(MOST_KILLS):
        if kill >= LEAST_KILLS and found == both:
            break
        with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == b"ready\n"
            while not path.exists():
                time.sleep(0.001)
            time.sleep(float(rng.uniform(0, 0.02)))
            writer.kill()
        container.read(path)
        found.add(path.read_bytes())
    assert found == both


def test_two_processes_at_one_run_directory_take_turns_or_are_refused(tmp_path):
    (tmp_path / "net.toml").write_text(CONFIG, encoding="utf-8")
    command = [sys.executable, "-m", "spikepress", "train", str(tmp_path / "net.toml")]
    command += ["--output", str(tmp_path / "run"), "--json"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    both = [subprocess.Popen(command, **pipes) for _ in range(2)]
    told = [(*process.communicate(timeout=120), process.returncode) for process in both]
    assert sorted(code for *_, code in told) in ([0, 0], [0, 2])
    for _, error, code in told:
        assert (code == 2) == ("another process at work" in error)
    lines = (tmp_path / "run" / "log.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [1, 2, 3]
    sp.quantize(tmp_path / "run")
    sp.export(tmp_path / "run")
    assert sp.verify(tmp_path / "run", samples=10).exact


def test_a_run_at_work_is_refused_by_name(small_run_path):
    with held(RunDirectory(small_run_path)):
        for stage in (sp.prune, sp.quantize):
            code = f"import spikepress as sp; sp.{stage.__name__}({str(small_run_path)!r})"
            done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
            assert "found another process at work" in done.stderr
