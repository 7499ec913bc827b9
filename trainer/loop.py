"""``fit``: the training loop. Deterministic under a seed, resumable, one JSON line an epoch."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from runtime.errors import ModelError, OutputError
from trainer import arithmetic, checkpoint, distributed
from trainer.augment import Augmentation
from trainer.callbacks import Callback, State
from trainer.coding import encode
from trainer.config import Config, Keep, LossKind
from trainer.evaluate import Labeled, evaluate
from trainer.loss import Loss, balanced_weights
from trainer.metrics import accuracy
from trainer.models import SpikingNet, predictions
from trainer.optimize import make_optimizer, set_learning_rate
from trainer.penalty import ActivityPenalty
from trainer.teacher import Teacher


class Split(Protocol):
    """Training and validation samples: what ``trainer.datasets.load`` gives."""

    @property
    def train(self) -> Labeled: ...
    @property
    def validation(self) -> Labeled: ...


@dataclass
class History:
    """The log of a run: one record an epoch."""

    records: list[dict[str, Any]] = field(default_factory=list)

    @property
    def best(self) -> dict[str, Any]:
        """The record of the first epoch with the highest validation score."""
        return max(self.records, key=lambda record: float(record["validation_score"]))


@dataclass(frozen=True)
class Run:
    """Where a fit writes: a folder (None: nowhere), and the stage's name in its log and checkpoints.

    ``resume`` takes up the stage's last epoch if the folder has one.
    """

    folder: Path | None = None
    stage: str = "dense"
    resume: bool = False

    def checkpoint(self, name: str) -> Path:
        assert self.folder is not None
        return self.folder / f"{self.stage}-{name}.safetensors"


def fit(
    net: SpikingNet,
    data: Split,
    config: Config,
    callbacks: Sequence[Callback] = (),
    run: Run | None = None,
    teacher: Teacher | None = None,
) -> History:
    """Train ``net`` in place by ``config.train``, beside the labels by a ``teacher``'s scores if there is
    one; it is left in evaluation mode.

    Everything random follows ``train.seed``: two runs, or a run and its resumed self, end in the same
    weights on the same machine and thread count. torch's own random state is given back.

    Raises:
        ModelError: the loss or a weight is not finite.
        OutputError: the run's folder cannot be written.
    """
    run = run or Run()
    place = arithmetic.device(config.train)
    with _threads(config.train.threads), torch.random.fork_rng():
        fitting = _Fit(net.to(place), data, config, callbacks, run)
        fitting.teacher = teacher
        history = fitting.run()
    net.to("cpu").eval()
    return history


@contextmanager
def _threads(wanted: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(wanted or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def random_state(seed: int, epoch: int) -> np.random.Generator:
    """Order and augmentation of one epoch: a pure function of seed and epoch, so resuming needs no state."""
    return np.random.default_rng([seed, epoch])


class _Fit:
    """One call of ``fit``."""

    def __init__(
        self, net: SpikingNet, data: Split, config: Config, callbacks: Sequence[Callback], run: Run
    ) -> None:
        self.net, self.data, self.config, self.callbacks, self.where = net, data, config, callbacks, run
        self.teacher: Teacher | None = None
        self.samples = data.train
        train = config.train
        self.batches = math.ceil(len(self.samples.x) / train.batch_size)
        self.optimizer = make_optimizer(net, train)
        self.loss = make_loss(net, self.samples.y, config)
        self.augment = augmentation(net, config)
        self.penalty = ActivityPenalty(net) if train.activity_penalty else None
        self.state = State(net, self.optimizer, config, train.epochs * self.batches, train.epochs)
        self.history = History()
        self.kept: dict[str, Tensor] | None = None
        self.parallel = distributed.parallel(net)
        self.arithmetic = arithmetic.Arithmetic(train)

    def run(self) -> History:
        if self.where.resume:
            self._resume()
        for callback in self.callbacks:
            callback.start(self.state)
        try:
            for epoch in range(self.state.epoch, self.config.train.epochs):
                self._epoch(epoch)
        finally:
            if self.penalty is not None:
                self.penalty.remove()
        if self.kept is not None:
            self.net.load_state_dict(self.kept)
        return self.history

    def _epoch(self, epoch: int) -> None:
        started = time.perf_counter()
        state, seed = self.state, self.config.train.seed
        state.epoch = epoch
        torch.manual_seed(seed * 1_000_003 + epoch)
        draw = random_state(seed, epoch)
        order = draw.permutation(len(self.samples.x))
        self.net.train()
        total, right = 0.0, 0.0
        for batch in range(self.batches):
            size = self.config.train.batch_size
            numbers = np.sort(order[batch * size : (batch + 1) * size])
            loss, hits = self._step(numbers, draw)
            total, right = total + loss * len(numbers), right + hits
            state.step += 1
        sums = distributed.total(torch.tensor([total, right], dtype=torch.float64)) / len(order)
        state.record = self._record(float(sums[0]), float(sums[1]), started)
        for callback in self.callbacks:
            callback.after_epoch(state)
        self.history.records.append(state.record)
        self._keep()
        self._write()

    def _step(self, numbers: NDArray[np.int64], draw: np.random.Generator) -> tuple[float, float]:
        """One optimizer step on the samples ``numbers``; this process's part of the mean loss and of the
        count of right predictions."""
        state, train = self.state, self.config.train
        set_learning_rate(self.optimizer, train, state.step / state.total_steps)
        part = distributed.share(len(numbers))
        own = numbers[part.positions]
        samples = self.augment(self.samples.x[numbers], draw)[part.positions]
        x = arithmetic.moved(encode(samples, self.net.input, own), train)
        y = torch.from_numpy(np.ascontiguousarray(self.samples.y[own])).to(x.device)
        with self.arithmetic.reduced():
            out = self.parallel(x)
        loss = self.loss(out, y)
        if self.teacher is not None:
            loss = self.teacher.blend(loss, self.loss, out, x)
        if self.penalty is not None:
            loss = loss + train.activity_penalty * self.penalty.share()
        value = float(loss.detach())
        if not math.isfinite(value):
            raise ModelError(f"training: found a loss of {value} at step {state.step}, expected a finite one")
        self.optimizer.zero_grad(set_to_none=True)
        self.arithmetic.backward(loss * part.factor if part.factor != 1.0 else loss, self.optimizer)
        for callback in self.callbacks:
            callback.after_backward(state)
        if train.gradient_clip:
            torch.nn.utils.clip_grad_norm_(self.net.parameters(), train.gradient_clip)
        self.arithmetic.step(self.optimizer)
        for callback in self.callbacks:
            callback.after_step(state)
        scale = part.of(len(numbers))
        return value * scale * len(own) / len(numbers), self._hits(out.detach(), y) * scale

    def _hits(self, out: Tensor, y: Tensor) -> int:
        if self.loss.kind is LossKind.REGRESSION or y.dim() != 1:
            return 0
        return int((predictions(self.net.scores(out)) == y).sum())

    def _record(self, loss: float, train_accuracy: float, started: float) -> dict[str, Any]:
        check_finite(self.net)
        found = evaluate(self.net, self.data.validation)
        score, name = validation_score(self.loss, found.scores, found.predictions, self.data.validation.y)
        return {
            "stage": self.where.stage,
            "epoch": self.state.epoch + 1,
            "epochs": self.config.train.epochs,
            "loss": loss,
            "train_accuracy": train_accuracy,
            "validation_score": score,
            name: score,
            "rates": found.rates,
            "lr": float(self.optimizer.param_groups[0]["lr"]),
            "seconds": time.perf_counter() - started,
            "threads": torch.get_num_threads(),
        }

    def _keep(self) -> None:
        """Remember the weights when the newest epoch is the best so far and those are wanted."""
        if self.config.train.keep is Keep.BEST and self.history.best is self.history.records[-1]:
            self.kept = {key: value.clone() for key, value in self.net.state_dict().items()}
            if self.where.folder is not None and distributed.is_leader():
                checkpoint.save(self.where.checkpoint("best"), self.net)

    def _write(self) -> None:
        """Log the epoch, and leave what a resume needs."""
        if self.where.folder is None or not distributed.is_leader():
            return
        memories = [dict(callback.memory()) for callback in self.callbacks]
        extra = {"records": self.history.records, "memories": memories, "scaling": self.arithmetic.memory()}
        checkpoint.save(self.where.checkpoint("last"), self.net, optimizer=self.optimizer, extra=extra)
        try:
            with (self.where.folder / "log.jsonl").open("a", encoding="utf-8") as log:
                log.write(json.dumps(self.history.records[-1]) + "\n")
        except OSError as error:
            raise OutputError(
                f"log in {self.where.folder}: found {error}, expected a writable file"
            ) from error

    def _resume(self) -> None:
        if self.where.folder is None or not self.where.checkpoint("last").exists():
            return
        last = self.where.checkpoint("last")
        checkpoint.load(last, self.net)
        checkpoint.load_moments(last, self.optimizer)
        extra = checkpoint.read_description(last)["extra"]
        self.history.records = list(extra["records"])
        self.arithmetic.recall(extra.get("scaling", {}))
        for callback, memory in zip(self.callbacks, extra["memories"], strict=True):
            callback.recall(memory)
        self.state.epoch = len(self.history.records)
        self.state.step = self.state.epoch * self.batches
        best = self.where.checkpoint("best")
        if self.config.train.keep is Keep.BEST and best.exists():
            self.kept = checkpoint.net_tensors(best)


def check_finite(net: SpikingNet) -> None:
    """Raise ModelError for a parameter that is not finite: a neuron hides it, since NaN never fires."""
    for name, parameter in net.named_parameters():
        if not bool(torch.isfinite(parameter).all()):
            raise ModelError(f"training: found values in {name} that are not finite, expected a lower lr")


def validation_score(
    loss: Loss, scores: NDArray[np.float64], predicted: NDArray[np.int64], y: NDArray[Any]
) -> tuple[float, str]:
    """What validation is judged by, larger is better, and its name in the log."""
    if loss.kind is LossKind.REGRESSION:
        return -float(np.mean((scores - y.reshape(scores.shape)) ** 2)), "validation_negative_mse"
    if y.ndim == 2:
        return accuracy(predicted, y[:, -1]), "validation_accuracy"
    return accuracy(predicted, y), "validation_accuracy"


def make_loss(net: SpikingNet, y: NDArray[Any], config: Config) -> Loss:
    """The loss of ``config.train`` for training labels ``y``."""
    train = config.train
    weights = torch.tensor(train.class_weights) if train.class_weights else None
    if train.balanced:
        labels = torch.from_numpy(np.ascontiguousarray(y)).flatten()
        weights = balanced_weights(labels, max(len(net.classes), int(y.max()) + 1))
    weights = None if weights is None else weights.to(train.device)
    return Loss(train.loss, net.readout, train.temperature, weights, train.label_smoothing)


def augmentation(net: SpikingNet, config: Config) -> Augmentation:
    """The augmentation of ``config.train``, within the range of the net's raw samples."""
    spec, train = net.input, config.train
    high = (1 << max(spec.bits + spec.sample_shift, spec.sample_bits)) - 1
    low = -high if spec.signed else 0
    return Augmentation(
        train.shift_pixels,
        train.shift_steps,
        train.amplitude_jitter,
        low,
        high,
        flip=train.flip,
        rotate_degrees=train.rotate_degrees,
        stretch=train.stretch,
        shear=train.shear,
    )
