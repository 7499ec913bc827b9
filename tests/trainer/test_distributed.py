"""Two processes end where one does; mixed precision trains; a device that is not there is refused."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from runtime.errors import ConfigError
from tests.trainer.test_loop import blobs, new_net, with_train
from tests.trainer.two_processes import trained
from trainer import distributed
from trainer.config import Precision
from trainer.layers import BatchNorm
from trainer.loop import fit

ROOT = Path(__file__).parent.parent.parent
SUMMED_APART = 1e-5
"""A gradient averaged from two halves differs from the whole one by rounding, step after step."""


def torchrun(*arguments: object, folder: Path) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, *map(str, arguments)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3_000:]


@pytest.mark.long
@pytest.mark.skipif(not torch.distributed.is_gloo_available(), reason="torch was built without gloo")
def test_two_processes_end_where_one_does(tmp_path: Path) -> None:
    torchrun(ROOT / "tests" / "trainer" / "two_processes.py", tmp_path, folder=tmp_path)
    for norm in (False, True):
        alone = trained(norm, None)
        first, second = (load_file(tmp_path / f"{norm}-{rank}.safetensors") for rank in range(2))
        assert alone.keys() == first.keys() == second.keys()
        for key, value in alone.items():
            torch.testing.assert_close(first[key], value, rtol=SUMMED_APART, atol=SUMMED_APART, msg=key)
            assert torch.equal(first[key], second[key])
        masks = [key for key in alone if key.endswith("mask")]
        assert masks
        assert all(torch.equal(first[key], alone[key]) for key in masks)
        lines = (tmp_path / f"norm-{norm}" / "log.jsonl").read_text().splitlines()
        assert len(lines) == 3
        assert len((tmp_path / f"norm-{norm}" / "prune.jsonl").read_text().splitlines()) == 4


@pytest.mark.long
def test_the_command_runs_on_two_processes(tmp_path: Path) -> None:
    torchrun("-m", "spikepress", "train", "digits", "--output", tmp_path / "run", folder=tmp_path)
    assert (tmp_path / "run" / "dense.safetensors").exists()
    lines = (tmp_path / "run" / "log.jsonl").read_text().splitlines()
    assert lines


@pytest.mark.parametrize(("count", "world"), [(32, 2), (33, 2), (3, 2), (7, 3), (1, 2), (2, 3)])
def test_shares_of_a_batch_average_to_its_mean(
    count: int, world: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = np.random.default_rng(count).random(count)
    monkeypatch.setenv("WORLD_SIZE", str(world))
    mean, covered = 0.0, 0.0
    for rank in range(world):
        monkeypatch.setenv("RANK", str(rank))
        part = distributed.share(count)
        mean += part.factor * losses[part.positions].mean() / world
        covered += part.of(count) * len(part.positions)
    assert mean == pytest.approx(losses.mean())
    assert covered == pytest.approx(count)


def test_one_process_needs_no_group() -> None:
    net = new_net()
    assert distributed.parallel(net) is net
    assert distributed.is_leader()
    distributed.wait()
    assert not torch.distributed.is_initialized()


@pytest.mark.parametrize("precision", list(Precision))
def test_mixed_precision_learns_with_membranes_in_full(precision: Precision) -> None:
    net = new_net()
    seen: set[torch.dtype] = set()
    layers: set[torch.dtype] = set()
    net.body.get_submodule("0").register_forward_hook(lambda m, x, out: layers.add(out.dtype))
    for neuron in net.neurons().values():
        neuron.observers.append(lambda u, s: seen.add(u.dtype))
    history = fit(net, blobs(), with_train(precision=precision))
    assert seen == {torch.float32}
    # validation is in full precision whatever training is in
    assert layers == {torch.float32, getattr(torch, precision.value)}
    assert history.records[-1]["loss"] < history.records[0]["loss"]
    # float16 leaves out its first steps, until the loss scale fits
    assert history.records[-1]["validation_accuracy"] > (0.6 if precision is Precision.FLOAT16 else 0.8)
    assert all(p.dtype == torch.float32 for p in net.parameters())


def test_frozen_statistics_stay_and_rule_training() -> None:
    norm = BatchNorm(3)
    norm.frozen = True
    norm.train()
    x = torch.rand(2, 4, 3) * 5
    torch.testing.assert_close(norm(x), x / (1 + norm.eps) ** 0.5)
    assert norm.running_mean is not None
    assert not norm.running_mean.any()


@pytest.mark.parametrize("device", ["cuda:99", "abacus"])
def test_a_device_that_is_not_there_is_refused(device: str) -> None:
    with pytest.raises(ConfigError, match=r"train\.device"):
        fit(new_net(), blobs(), with_train(device=device))
