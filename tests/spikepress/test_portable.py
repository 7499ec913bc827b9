"""``train --portable nir``: a network that NIR can say, and whose export loses nothing."""

from __future__ import annotations

import json

import pytest

import spikepress as sp
from runtime.errors import ConfigError
from spikepress.importing import NirWords
from spikepress.nir_export import NirOptions
from trainer.portable import said_in

TEXT = """
[data]
name = "digits"

[input]
coding = "rate"
n_steps = 3

[[layers]]
kind = "flatten"

[[layers]]
kind = "linear"
out = 24

[[layers]]
kind = "lif"
threshold = 0.2
{more}

[[layers]]
kind = "linear"
out = 16

[[layers]]
kind = "recurrent"
neuron = {{ kind = "lif", threshold = 0.2 }}

[[layers]]
kind = "linear"

[[layers]]
kind = "li"

[train]
epochs = 1
threads = 1
readout = "membrane_sum"

[quantize]
epochs = 0
"""


def test_a_portable_network_loses_nothing(tmp_path):
    (tmp_path / "net.toml").write_text(TEXT.format(more=""), encoding="utf-8")
    run = tmp_path / "run"
    sp.train(tmp_path / "net.toml", run, portable="nir")
    assert 'portable = "nir"' in (run / "config.toml").read_text(encoding="utf-8")
    sp.quantize(run)
    sp.export(run, targets=("nir",))
    sp.export(run, targets=("nir",), nir=NirOptions(lossy=True))
    told = json.loads((run / "model-nir.json").read_text(encoding="utf-8"))
    assert told["spikes"] > 100
    assert told["differing"] == told["differing_predictions"] == 0
    again = sp.import_model(run / "model.nir", tmp_path / "again", words=NirWords(), n_steps=3)
    assert again.leaks == ()


@pytest.mark.parametrize(
    ("more", "found"),
    [
        ('reset = "subtract"', "reset 'subtract'"),
        ('compare = ">="', "v >= threshold"),
        ('fire = "graded"\npayload_bits = 2', "graded spikes"),
        ('reset_timing = "next-step"', "next step"),
    ],
)
def test_what_nir_cannot_say_is_refused_before_training(tmp_path, more, found):
    (tmp_path / "net.toml").write_text(TEXT.format(more=more), encoding="utf-8")
    with pytest.raises(ConfigError, match=found):
        sp.train(tmp_path / "net.toml", tmp_path / "run", portable="nir")
    assert not (tmp_path / "run").exists()


def test_an_unknown_format_is_refused(tmp_path):
    (tmp_path / "net.toml").write_text(TEXT.format(more=""), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"train.portable: found 'onnx'"):
        sp.train(tmp_path / "net.toml", tmp_path / "run", portable="onnx")


def test_only_what_a_layer_leaves_open_is_filled_in():
    words = {"reset": "value", "compare": ">"}
    body = ({"kind": "linear"}, {"kind": "if", "reset": "none"})
    told = said_in("nir", ({"kind": "residual", "body": body}, {"kind": "recurrent"}, {"kind": "li"}))
    assert told[0]["body"] == [{"kind": "linear"}, {"kind": "if", "reset": "none", "compare": ">"}]
    assert told[1]["neuron"] == {"kind": "lif", **words}
    assert told[2] == {"kind": "li"}
    assert said_in("", body) == body
