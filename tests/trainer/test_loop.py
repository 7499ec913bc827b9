"""The training loop: it learns, repeats itself under a seed, and a resumed run equals the whole one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from runtime.errors import FormatError, ModelError, OutputError
from tests.builders import nets
from trainer import checkpoint
from trainer import config as configs
from trainer.build import build_net, input_spec
from trainer.callbacks import Callback, State
from trainer.config import Config, Keep, LossKind, OptimizerKind, TrainConfig
from trainer.datasets import DatasetInfo, Samples
from trainer.evaluate import evaluate
from trainer.layers import Linear
from trainer.loop import Run, fit
from trainer.models import SpikingNet
from trainer.prepare import fold_batch_norm, prepare

TEXT = """
[input]
n_steps = 4
[[layers]]
kind = "linear"
out = 16
[[layers]]
kind = "batch_norm"
[[layers]]
kind = "lif"
learn_leak = true
[[layers]]
kind = "linear"
[[layers]]
kind = "lif"
[train]
epochs = 4
batch_size = 32
lr = 1e-2
threads = 1
"""
INFO = DatasetInfo(
    name="blobs",
    classes=("a", "b", "c"),
    sample_shape=(12,),
    low=0,
    high=255,
    has_time=False,
    meaning="",
    origin="",
)
CONFIG = configs.parse(TEXT)


@dataclass(frozen=True)
class Blobs:
    """Three noisy prototypes."""

    train: Samples
    validation: Samples


def blobs() -> Blobs:
    draw = np.random.default_rng(0)
    centers = draw.integers(0, 256, (3, 12))
    y = draw.integers(0, 3, 200)
    x = np.clip(centers[y] + draw.integers(-60, 60, (200, 12)), 0, 255).astype(np.uint8)
    return Blobs(Samples(x[:150], y[:150]), Samples(x[150:], y[150:]))


def new_net(config: Config = CONFIG) -> SpikingNet:
    return build_net(config, input_spec(config.input, INFO), 3, INFO.classes)


def with_train(**changes: Any) -> Config:
    return replace(CONFIG, train=replace(CONFIG.train, **changes))


def first_layer(net: SpikingNet) -> Linear:
    layer = net.body.get_submodule("0")
    assert isinstance(layer, Linear)
    return layer


def same_weights(one: SpikingNet, other: SpikingNet) -> bool:
    a, b = one.state_dict(), other.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def test_training_learns_and_logs_one_line_an_epoch(tmp_path: Path) -> None:
    net = new_net()
    history = fit(net, blobs(), CONFIG, run=Run(tmp_path))
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert lines == history.records
    assert len(lines) == 4
    assert lines[-1]["validation_accuracy"] > 0.8
    assert lines[-1]["loss"] < lines[0]["loss"]
    assert lines[-1]["threads"] == 1
    assert set(lines[-1]["rates"]) == {"2", "4"}
    assert not net.training


@pytest.mark.parametrize("optimizer", list(OptimizerKind))
def test_two_runs_end_in_the_same_weights(optimizer: OptimizerKind) -> None:
    config = with_train(optimizer=optimizer, activity_penalty=0.1, epochs=2)
    one, other = new_net(), new_net()
    fit(one, blobs(), config)
    torch.manual_seed(99)
    fit(other, blobs(), config)
    assert same_weights(one, other)
    third = new_net()
    fit(third, blobs(), replace(config, train=replace(config.train, seed=5)))
    assert not same_weights(one, third)


class StopAfter(Callback):
    """Ends training as a power cut would."""

    def __init__(self, epochs: int) -> None:
        self.left = epochs

    def start(self, state: State) -> None:
        self.limit = self.left

    def after_backward(self, state: State) -> None:
        if state.epoch == self.limit:
            raise KeyboardInterrupt


@pytest.mark.parametrize("optimizer", list(OptimizerKind))
@pytest.mark.parametrize("quantized", [False, True])
def test_a_resumed_run_equals_the_uninterrupted_one(
    tmp_path: Path, optimizer: OptimizerKind, quantized: bool
) -> None:
    config = with_train(optimizer=optimizer, keep=Keep.BEST)

    def start() -> SpikingNet:
        net = new_net()
        return prepare(fold_batch_norm(net), 4) if quantized else net

    whole, cut = start(), start()
    expected = fit(whole, blobs(), config, run=Run(tmp_path / "a"))
    with pytest.raises(KeyboardInterrupt):
        fit(cut, blobs(), config, [StopAfter(2)], Run(tmp_path / "b"))
    resumed = start()
    found = fit(resumed, blobs(), config, [Callback()], Run(tmp_path / "b", resume=True))
    assert same_weights(whole, resumed)
    times = {"seconds"}
    for one, other in zip(expected.records, found.records, strict=True):
        assert {k: v for k, v in one.items() if k not in times} == {
            k: v for k, v in other.items() if k not in times
        }


class Counting(Callback):
    """Counts calls and remembers them over a resume."""

    def __init__(self) -> None:
        self.steps: list[int] = []
        self.calls = 0

    def after_step(self, state: State) -> None:
        self.steps.append(state.step)
        self.calls += 1

    def memory(self) -> Mapping[str, Any]:
        return {"calls": self.calls}

    def recall(self, memory: Mapping[str, Any]) -> None:
        self.calls = memory["calls"]


def test_callbacks_see_every_step_and_keep_their_memory(tmp_path: Path) -> None:
    first, second = Counting(), Counting()
    fit(new_net(), blobs(), with_train(epochs=1), [first], Run(tmp_path))
    fit(new_net(), blobs(), with_train(epochs=2), [second], Run(tmp_path, resume=True))
    assert first.steps == list(range(5))
    assert second.steps == list(range(5, 10))
    assert second.calls == 10


def test_a_checkpoint_rebuilds_its_net_with_masks_folding_and_quantizers(tmp_path: Path) -> None:
    net = new_net()
    fit(net, blobs(), with_train(epochs=1))
    fold_batch_norm(net)
    first_layer(net).set_mask(torch.eye(16, 12))
    prepare(net, 4, last=8)
    path = tmp_path / "net.safetensors"
    checkpoint.save(path, net)
    again = checkpoint.load(path)
    assert same_weights(net, again)
    assert again.quantization == net.quantization
    assert again.classes == INFO.classes
    x = blobs().validation
    assert np.array_equal(evaluate(net, x).scores, evaluate(again, x).scores)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["net.json", "net.safetensors"]


def test_a_net_built_by_hand_is_loaded_into_its_like(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    net = prepare(nets.residual(), "ternary")
    checkpoint.save(path, net)
    assert same_weights(net, checkpoint.load(path, nets.seeded(nets.residual(), 7)))
    with pytest.raises(FormatError, match="by hand"):
        checkpoint.load(path)
    with pytest.raises(FormatError, match="expected this net's tensors"):
        checkpoint.load(path, nets.recurrent())


def test_damaged_checkpoints_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    with pytest.raises(FormatError, match="JSON"):
        checkpoint.load(path)
    checkpoint.save(path, new_net())
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(FormatError, match="safetensors"):
        checkpoint.load(path)
    path.write_bytes(content)
    path.with_suffix(".json").write_text('{"version": 99}')
    with pytest.raises(FormatError, match="version 99"):
        checkpoint.load(path)


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="expected a writable place"):
        checkpoint.save(tmp_path / "file" / "net.safetensors", new_net())


def test_a_loss_that_is_not_finite_stops_training() -> None:
    with pytest.raises(ModelError, match="found a loss of"):
        fit(new_net(), blobs(), with_train(temperature=1e-45))


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (CONFIG, "learned leak: found a shift of nan"),
        (configs.parse(TEXT.replace("learn_leak = true", "")), r"body\.0\.weight that are not finite"),
    ],
    ids=["learned-leak", "fixed-leak"],
)
def test_a_weight_that_is_not_finite_stops_training(config: Config, said: str) -> None:
    net = new_net(config)
    with torch.no_grad():
        net.get_parameter("body.3.weight").fill_(float("nan"))
    with pytest.raises(ModelError, match=said):
        fit(net, blobs(), replace(config, train=replace(config.train, epochs=1)))


@pytest.mark.parametrize(
    "train",
    [
        TrainConfig(loss=LossKind.MSE_RATE, epochs=1, balanced=True),
        TrainConfig(loss=LossKind.PER_STEP, epochs=1, class_weights=(1.0, 2.0, 1.0)),
        TrainConfig(epochs=1, shift_steps=1, amplitude_jitter=0.1, gradient_clip=1.0, label_smoothing=0.1),
    ],
    ids=["mse_rate", "per_step", "augmented"],
)
def test_other_losses_and_options_run(train: TrainConfig) -> None:
    net = new_net()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    fit(net, blobs(), replace(CONFIG, train=train))
    assert any(not torch.equal(before[key], value) for key, value in net.state_dict().items())


def test_the_random_state_of_torch_is_given_back() -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    fit(new_net(), blobs(), with_train(epochs=1))
    assert torch.equal(torch.rand(2), expected)
