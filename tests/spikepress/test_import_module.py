"""``import module:function``: a network of torch modules becomes a run directory that verifies."""

from __future__ import annotations

import json
import sys

import pytest
from typer.testing import CliRunner

import spikepress as sp
from runtime.errors import ConfigError
from spikepress.cli import app

pytest.importorskip("snntorch")

MINE = """
import snntorch as snn
import torch
from torch import nn

def network():
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), snn.Leaky(beta=0.9, init_hidden=True), nn.Flatten(),
        nn.Linear(256, 3), snn.Leaky(beta=0.875, init_hidden=True, output=True),
    )
    with torch.no_grad():
        net[0].weight.mul_(4)
        net[3].weight.mul_(4)
    return net

def number():
    return 3

def failing():
    raise ValueError("no such weights")
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(MINE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    return tmp_path


def test_the_command_writes_a_run_that_verifies_and_becomes_firmware(mine):
    arguments = ["import", "mine:network", "--shape", "2,8,8", "--steps", "12", "-o", "run", "--json"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    told = json.loads(done.output)
    assert [leak["wanted"][0] for leak in told["leaks"]] == [pytest.approx(0.9)]
    assert told["drift"]["samples"] == 64
    assert sp.verify("run", samples=8).exact
    assert sys.path[0] != str(mine)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["mine:number"], "mine:number: found a int, expected a torch module"),
        (["mine:failing"], r"mine:failing: found ValueError \(no such weights\)"),
        (["mine:nothing"], "mine:nothing: found AttributeError"),
        (["none:network"], "none:network: found ModuleNotFoundError"),
        (["mine:network", "--shape", "2,x"], "--shape: found '2,x'"),
        (
            ["mine:network", "--dt", "1e-3"],
            "for mine:network, expected none",
        ),
        (["theirs.nir", "--shape", "2,8,8"], "found --shape for theirs.nir"),
    ],
)
def test_what_cannot_be_called_is_one_sentence_and_leaves_nothing(mine, arguments, words):
    done = CliRunner().invoke(app, ["import", *arguments, "-o", "run"])
    assert isinstance(done.exception, ConfigError)
    with pytest.raises(ConfigError, match=words):
        raise done.exception
    assert not (mine / "run").exists()
