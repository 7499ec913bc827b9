"""Parts of a user's own: named in a configuration, and held against the rules by ``conform``."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

import spikepress as sp
from runtime import container
from runtime.encodings import ENCODINGS, check_table
from runtime.encodings.own import OURS, VARIABLE
from runtime.errors import ConfigError, DataError, FormatError, ModelError, UnsupportedError
from spikepress.cli import app
from spikepress.conforming import conform
from spikepress.firmware import FirmwareOptions
from trainer.datasets import load

PARTS = """
from dataclasses import dataclass

import numpy as np

from pruner.registry import Criterion
from spikepress.catalog import Device, Kind, Resource, Status
from trainer.blueprint import NeuronLayer
from trainer.datasets import DatasetInfo, Samples, SplitOptions, Splits
from trainer.datasets.registry import Entry


class Coder:
    '''Two steps: pixels above a half, then those above a quarter.'''

    def encode(self, x):
        return np.stack([x > 8, x > 4], axis=1).astype(np.int32)


class Cheat:
    def encode(self, x):
        return (np.stack([x, x], axis=1) > x.mean()).astype(np.int32)


class Shapeless:
    def encode(self, x):
        return x[0]


@dataclass(frozen=True)
class Sharp(NeuronLayer):
    '''A neuron that leaks by two shifts and starts near its threshold.'''

    shifts: tuple[int, ...] = (2, 4)
    start: float = 0.5


def largest(evidence):
    return evidence.weight.detach().abs().double()


def noisy(evidence):
    import torch

    return torch.rand(evidence.weight.shape, dtype=torch.float64)


CRITERION = Criterion(largest)
NOISE = Criterion(noisy)
BOARD = Device("mine", "Mine", Kind.MCU, "Cortex-M0", 48, {Resource.FLASH: 1 << 15, Resource.RAM: 1 << 12},
               {Resource.FLASH: 256}, "my bench", Status.GENERAL)
WRONG = Device("none", "None", Kind.MCU, "Cortex-M0", 48, {Resource.FLASH: 100}, {Resource.FLASH: 200}, "",
               Status.GENERAL)


def splits(high):
    rng = np.random.default_rng(0)
    parts = [Samples(rng.integers(0, 16, (n, 12)), rng.integers(0, 3, n)) for n in (60, 20, 20)]
    return Splits(*parts, DatasetInfo("mine", ("a", "b", "c"), (12,), 0, high, False, "levels", "here"))


DATA = Entry(SplitOptions, lambda data_dir, options: splits(15))
LIAR = Entry(SplitOptions, lambda data_dir, options: splits(3))
NOTHING = 7


class Skips:
    '''Zero cells before each weight, and the weights.'''

    name = "skips"
    widths = (2, 4, 8)
    kinds = {"skips": "indices", "weights": "weights"}

    def encode(self, matrix, bits):
        cells = np.flatnonzero(matrix)
        skips = np.diff(cells, prepend=-1) - 1
        return {"skips": skips.astype("<u4"), "weights": matrix.ravel()[cells].astype("i1")}

    def decode(self, arrays, rows, columns, bits):
        matrix = np.zeros(rows * columns, np.int32)
        matrix[np.cumsum(arrays["skips"].astype(np.int64) + 1) - 1] = arrays["weights"]
        return matrix.reshape(rows, columns)


class Unsigned(Skips):
    name = "unsigned"

    def encode(self, matrix, bits):
        return super().encode(abs(matrix), bits)


class Taken(Skips):
    name = "dense"
"""


@pytest.fixture(autouse=True)
def mine(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(PARTS, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    sys.modules.pop("mine", None)
    yield
    sys.modules.pop("mine", None)
    for name in set(ENCODINGS) - OURS:
        del ENCODINGS[name]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("Coder", "coder"),
        ("Sharp", "layer"),
        ("CRITERION", "criterion"),
        ("BOARD", "device"),
        ("DATA", "dataset"),
        ("Skips", "encoding"),
    ],
)
def test_a_part_that_keeps_the_rules_passes(name, kind):
    found = conform(f"mine:{name}")
    assert found.kind == kind
    assert found.passes, [check.sentence for check in found.checks]
    assert len(found.checks) >= 2


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("Cheat", "each sample is coded by itself"),
        ("Shapeless", "events are integers"),
        ("NOISE", "the same evidence gives the same scores"),
        ("WRONG", "every limit is above what is reserved"),
        ("LIAR", "values are within what it says"),
        ("Unsigned", "tables of every density"),
    ],
)
def test_a_part_that_breaks_a_rule_is_told_which(name, rule):
    found = conform(f"mine:{name}")
    broken = [check for check in found.checks if not check.passes]
    assert any(check.rule.startswith(rule) for check in broken), [check.sentence for check in found.checks]


def test_what_is_no_part_and_what_cannot_be_imported_is_refused():
    with pytest.raises(ConfigError, match="found int mine:NOTHING"):
        conform("mine:NOTHING")
    with pytest.raises(ConfigError, match="AttributeError"):
        conform("mine:Missing")
    with pytest.raises(ConfigError, match="ModuleNotFoundError"):
        conform("nowhere:Part")
    for place in ("nonsense", "a:b:c", ":", "mine:", "mine.py:Coder()"):
        with pytest.raises(ConfigError, match="expected module:NAME"):
            conform(place)


def test_the_command_exits_by_the_verdict():
    kept = CliRunner().invoke(app, ["conform", "mine:BOARD"])
    broken = CliRunner().invoke(app, ["conform", "mine:WRONG", "--json"])
    assert (kept.exit_code, broken.exit_code) == (0, 1)
    assert "kept: it is a Device" in kept.output
    assert json.loads(broken.output)["passes"] is False


def test_parts_are_named_where_ours_are(tmp_path):
    config = """
[data]
name = "digits"
coder = "mine:Coder"
[input]
coding = "events"
[[layers]]
kind = "flatten"
[[layers]]
kind = "linear"
out = 16
[[layers]]
kind = "mine:Sharp"
[[layers]]
kind = "linear"
[[layers]]
kind = "lif"
[train]
epochs = 2
lr = 1e-2
threads = 1
[prune]
sparsity = 0.5
criterion = "mine:CRITERION"
epochs = 1
events = 4
[quantize]
epochs = 0
"""
    (tmp_path / "net.toml").write_text(config, encoding="utf-8")
    sp.train(tmp_path / "net.toml", tmp_path / "run")
    sp.prune(tmp_path / "run")
    sp.quantize(tmp_path / "run")
    sp.export(tmp_path / "run")
    assert sp.verify(tmp_path / "run", samples=10).exact
    assert sp.run(tmp_path / "run", samples=100).accuracy > 0.2
    report = sp.report(tmp_path / "run", devices=["mine:BOARD"], samples=10, output=tmp_path / "page.html")
    assert [verdict.device.name for verdict in report.verdicts] == ["mine"]


def test_a_data_set_of_ones_own_is_loaded_by_its_place():
    assert load("mine:DATA").train.x.shape == (60, 12)
    with pytest.raises(ConfigError, match=r"data\.name: found a int"):
        load("mine:NOTHING")
    with pytest.raises(ConfigError, match="module:NAME"):
        load("unknown")
    with pytest.raises(DataError, match=r"data\.coder mine:Shapeless"):
        load("digits", None, {"coder": "mine:Shapeless"})


def test_an_entry_point_is_found_by_its_name(monkeypatch):
    from importlib import metadata

    point = metadata.EntryPoint("theirs", "mine:DATA", "spikepress.datasets")
    monkeypatch.setattr(metadata, "entry_points", lambda group: [point] if group == point.group else [])
    assert np.array_equal(load("theirs").test.x, load("mine:DATA").test.x)


def test_a_file_in_an_encoding_of_ones_own_is_read_where_its_user_says_so(small_run, tmp_path, monkeypatch):
    sp.export(small_run, targets=("spk",), output=tmp_path, encoding="mine:Skips")
    file = tmp_path / "model.spk"
    stored = container.read(file)
    assert {table.encoding for table in stored.tables} == {"skips"}
    before = sp.run(small_run / "model.spk", data="digits", samples=50)
    assert replace(sp.run(file, data="digits", samples=50), seconds=before.seconds) == before
    del ENCODINGS["skips"]
    with pytest.raises(FormatError, match="found 'skips'"):
        container.read(file)
    monkeypatch.setenv(VARIABLE, "mine:Skips")
    assert container.read(file).tables[0].encoding == "skips"


def test_a_damaged_file_in_an_encoding_of_ones_own_is_refused(small_run, tmp_path):
    sp.export(small_run, targets=("spk",), output=tmp_path, encoding="mine:Skips")
    whole = container.read(tmp_path / "model.spk").tables[0]
    beyond = whole.arrays["skips"].copy()
    beyond[0] = 1 << 30
    zero = whole.arrays["weights"].copy()
    zero[0] = 0
    for part, array in (("skips", beyond), ("weights", zero)):
        with pytest.raises(ModelError, match="skips table: found"):
            check_table(replace(whole, arrays={**whole.arrays, part: array}))


def test_what_cannot_be_such_an_encoding_is_refused(small_run, tmp_path):
    for place, words in (("mine:Taken", "found the name 'dense'"), ("mine:Coder", "found the name ''")):
        with pytest.raises(ConfigError, match=words):
            sp.export(small_run, targets=("spk",), output=tmp_path, encoding=place)
    with pytest.raises(ConfigError, match="found 'nonsense', expected one of archive"):
        sp.export(small_run, targets=("spk",), output=tmp_path, encoding="nonsense")
    assert not list(tmp_path.glob("*.spk"))


def test_firmware_has_no_code_for_it(small_run, tmp_path):
    sp.export(small_run, targets=("spk",), output=tmp_path / "stored", encoding="mine:Skips")
    options = FirmwareOptions(device="stm32f030r8")
    with pytest.raises(UnsupportedError, match="skips tables"):
        sp.export(tmp_path / "stored" / "model.spk", targets=("c",), output=tmp_path / "fw", firmware=options)
