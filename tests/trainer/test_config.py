"""Configuration files: what they say, and one clear sentence for what they must not say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from runtime.errors import ConfigError, ModelError
from runtime.spec import Coding, InputSpec, Readout
from trainer import config as configs
from trainer.blueprint import LAYERS
from trainer.build import build_net, input_spec
from trainer.config import Config, InputConfig
from trainer.datasets import DatasetInfo
from trainer.models import SpikingNet

MLP = """
[data]
name = "digits"
validation = 0.2
[input]
coding = "direct"
n_steps = 6
[[layers]]
kind = "flatten"
[[layers]]
kind = "linear"
out = 24
[[layers]]
kind = "lif"
shifts = 3
learn_leak = true
surrogate = "triangle"
width = 1
[[layers]]
kind = "linear"
[[layers]]
kind = "lif"
[train]
epochs = 3
readout = "count"
[quantize]
bits = "4"
[prune]
sparsity = 0.9
"""

CONV = """
[[layers]]
kind = "conv2d"
out = 4
padding = 1
[[layers]]
kind = "batch_norm"
[[layers]]
kind = "lif"
[[layers]]
kind = "avg_pool"
[[layers]]
kind = "residual"
body = [{kind = "conv2d", out = 4, padding = [1, 1]}]
shortcut = [{kind = "skip"}]
[[layers]]
kind = "if"
threshold = 0.5
fire = "graded"
payload_bits = 2
[[layers]]
kind = "flatten"
[[layers]]
kind = "linear"
out = 8
[[layers]]
kind = "recurrent"
neuron = {kind = "cuba_lif", synaptic_shifts = 2}
[[layers]]
kind = "linear"
[[layers]]
kind = "li"
[train]
readout = "membrane_last"
"""

INFO = DatasetInfo(
    name="images",
    classes=("a", "b", "c"),
    sample_shape=(1, 8, 8),
    low=0,
    high=16,
    has_time=False,
    meaning="gray",
    origin="here",
)


def build(text: str) -> SpikingNet:
    config = configs.parse(text)
    return build_net(config, input_spec(config.input, INFO), 3, INFO.classes)


def test_a_file_becomes_a_net() -> None:
    config = configs.parse(MLP)
    assert config.data.options == {"validation": 0.2}
    assert config.prune == {"sparsity": 0.9}
    net = build(MLP)
    assert net.input == InputSpec(
        (1, 8, 8), Coding.DIRECT, 6, bits=5, scale=1 / 16, constant=True, sample_bits=5
    )
    assert net(torch.ones(6, 2, 1, 8, 8)).shape == (6, 2, 3)
    assert net.neurons()["2"].surrogate.width == 1.0


def test_every_kind_of_layer_can_be_named() -> None:
    net = build(CONV)
    assert net.readout is Readout.MEMBRANE_LAST
    assert net(torch.ones(8, 2, 1, 8, 8)).shape == (8, 2, 3)
    assert list(net.neurons()) == ["2", "5", "8.neuron", "10"]


def test_the_seed_decides_the_weights() -> None:
    one, same, other = build(MLP), build(MLP), build(MLP.replace("[train]", "[train]\nseed = 1"))
    assert torch.equal(one.body[1].weight, same.body[1].weight)  # type: ignore[index]
    assert not torch.equal(one.body[1].weight, other.body[1].weight)  # type: ignore[index]


WRONG = {
    "train.epoch: found an unknown key": MLP.replace("epochs = 3", "epoch = 3"),
    "train.epochs: found 'ten', expected a whole number": MLP.replace("epochs = 3", 'epochs = "ten"'),
    "train.epochs: found True, expected a whole number": MLP.replace("epochs = 3", "epochs = true"),
    "train.epochs: found 0, expected at least 1": MLP.replace("epochs = 3", "epochs = 0"),
    "train.readout: found 'vote', expected one of 'count'": MLP.replace('"count"', '"vote"'),
    "train.lr: found inf, expected a finite number": MLP.replace("epochs = 3", "lr = inf"),
    "layers[2] (lif).threshold: found nan, expected": MLP.replace("shifts = 3", "threshold = nan"),
    "input.n_steps: found 0, expected at least 1": MLP.replace("n_steps = 6", "n_steps = 0"),
    "tran: found an unknown section": MLP.replace("[train]", "[tran]"),
    "layers[0].kind: found 'flat', expected one of": MLP.replace('"flatten"', '"flat"'),
    "layers[2] (lif).widht: found an unknown key": MLP.replace("width", "widht"),
    "quantize.bits: found '5', expected one of 8, 4": MLP.replace('bits = "4"', 'bits = "5"'),
    "layers[1] (conv2d).out: found no value": MLP.replace('"linear"\nout = 24', '"conv2d"'),
    "neither layers nor model": "[train]\nepochs = 1",
    "text that is not TOML": "[train\n",
}


@pytest.mark.parametrize("message", WRONG)
def test_a_wrong_file_gets_a_sentence_that_names_the_key(message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        configs.parse(WRONG[message])
    assert message in str(caught.value)
    assert "expected" in str(caught.value)


UNFIT = {
    "linear: found 'input of shape (1, 8, 8)'": MLP.replace('[[layers]]\nkind = "flatten"', ""),
    "conv2d.padding": CONV.replace("[1, 1]", "[1, 1, 1]"),
    "surrogate width": MLP.replace("width = 1", "width = -1"),
    "leak shifts": MLP.replace("shifts = 3", "shifts = [1, 2, 3]"),
    "recurrent.neuron": CONV.replace('{kind = "cuba_lif", synaptic_shifts = 2}', '{kind = "flatten"}'),
}


@pytest.mark.parametrize("message", UNFIT)
def test_layers_that_do_not_fit_are_refused(message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build(UNFIT[message])
    assert message in str(caught.value)


def test_a_readout_that_does_not_fit_the_last_neuron_is_refused() -> None:
    with pytest.raises(ModelError, match="4: found readout membrane_max of a population that fires"):
        build(MLP.replace('"count"', '"membrane_max"'))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere"):
        configs.load(tmp_path / "nowhere.toml")


USERS = """
from torch import nn
from trainer.layers import Flatten, Linear
from trainer.neuron import LIF

def make(shape, n_classes):
    return nn.Sequential(Flatten(), Linear(64, n_classes), LIF(2))
"""


def test_a_users_own_module_becomes_the_body(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(USERS)
    (tmp_path / "run.toml").write_text('[model]\nmodule = "mine.py:make"\n')
    config = configs.load(tmp_path / "run.toml")
    net = build_net(config, input_spec(config.input, INFO), 3)
    assert net(torch.ones(8, 2, 1, 8, 8)).shape == (8, 2, 3)


@pytest.mark.parametrize("module", ["mine.py", "other.py:make", "mine.py:absent"])
def test_a_users_module_that_is_not_there_is_named(module: str, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(USERS)
    config = configs.parse(f'[model]\nmodule = "{module}"\n', tmp_path)
    with pytest.raises(ConfigError, match=r"model.module.*expected"):
        build_net(config, input_spec(config.input, INFO), 3)


def test_coding_and_data_must_go_together() -> None:
    with pytest.raises(ConfigError, match=r"input\.coding: found 'events', expected data with a time axis"):
        input_spec(InputConfig(coding=Coding.EVENTS), INFO)


def test_a_direct_input_may_hear_the_highest_bits_of_its_samples() -> None:
    spec = input_spec(InputConfig(bits=INFO.bits - 2), INFO)
    assert (spec.bits, spec.sample_shift) == (INFO.bits - 2, 2)
    assert spec.scale == 1 / (INFO.high >> 2)
    whole = input_spec(InputConfig(), INFO)
    assert (whole.bits, whole.sample_shift) == (INFO.bits, 0)
    with pytest.raises(ConfigError, match=r"input\.bits: found 2, expected at least"):
        input_spec(InputConfig(bits=2), replace(INFO, low=-INFO.high))


def test_the_input_may_be_seen_in_another_shape() -> None:
    assert input_spec(InputConfig(shape=(64,)), INFO).shape == (64,)
    with pytest.raises(ConfigError, match=r"input\.shape"):
        input_spec(InputConfig(shape=(65,)), INFO)


def test_layers_and_a_module_together_are_refused() -> None:
    with pytest.raises(ConfigError, match="both layers and model"):
        Config(layers=({"kind": "flatten"},), model=configs.ModelConfig("a.py:b"))


def test_each_registered_layer_has_a_docstring() -> None:
    assert all(kind.__doc__ for kind in LAYERS.values())
