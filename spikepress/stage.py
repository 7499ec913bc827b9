"""One stage of a run: trains a network, keeps it, and says how good it is."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spikepress.progress import Notify
from spikepress.rundir import RunDirectory

if TYPE_CHECKING:
    from spikepress.settings import Settings
    from trainer.callbacks import Callback
    from trainer.config import Config
    from trainer.datasets import Splits
    from trainer.models import SpikingNet
    from trainer.teacher import Teacher


@dataclass(frozen=True)
class Outcome:
    """What a stage, or a run of the exported model, came to. ``accuracy`` is on test samples."""

    stage: str
    accuracy: float
    validation_accuracy: float | None
    weight_sparsity: float
    seconds: float
    samples: int
    figures: Mapping[str, float]
    """What else was counted, by name."""

    def as_json(self) -> dict[str, Any]:
        values = asdict(self)
        return {**{k: v for k, v in values.items() if k != "figures"}, **dict(self.figures)}

    @property
    def sentence(self) -> str:
        return (
            f"{self.stage}: accuracy {self.accuracy:.2%} on {self.samples:,} test samples,"
            f" weight sparsity {self.weight_sparsity:.2%}, {self.seconds:.1f} s"
        )


@dataclass(frozen=True)
class Work:
    """One training stage: where, under which name, how, on what."""

    run: RunDirectory
    stage: str
    config: Config
    data: Splits
    resume: bool


def splits_of(settings: Settings, data_dir: Path | None) -> Splits:
    from trainer import datasets

    return datasets.load(settings.config.data.name, data_dir, settings.config.data.options)


def fit(
    net: SpikingNet,
    work: Work,
    callbacks: Sequence[Callback],
    notify: Notify,
    teacher: Teacher | None = None,
) -> Outcome:
    from spikepress.watch import ShowProgress, WriteSparsity
    from trainer import checkpoint, loop

    start = time.perf_counter()
    done = work.run.checkpoint(work.stage)
    if work.resume and done.exists():
        return finished(checkpoint.load(done, net), work, start)
    watching = (*callbacks, WriteSparsity(), ShowProgress(work.stage, notify))
    where = loop.Run(work.run.path, work.stage, work.resume)
    loop.fit(net, work.data, work.config, watching, where, teacher)
    return finished(net, work, start)


def finished(net: SpikingNet, work: Work, start: float) -> Outcome:
    """Saves the stage's network and says how good it is on validation and test samples."""
    from spikepress.watch import net_sparsity
    from trainer import checkpoint, distributed
    from trainer.evaluate import evaluate

    net.eval()
    if distributed.is_leader():
        checkpoint.save(work.run.checkpoint(work.stage), net)
    sparsity = net_sparsity(net)
    if net.quantization is not None:
        _make_whole(net)
    for rest in ("last", "best"):
        for suffix in (".safetensors", ".json"):
            (work.run.path / f"{work.stage}-{rest}{suffix}").unlink(missing_ok=True)
    test, validation = work.data.test, work.data.validation
    outcome = Outcome(
        work.stage,
        accuracy_of(evaluate(net, test).predictions, test.y),
        accuracy_of(evaluate(net, validation).predictions, validation.y),
        sparsity,
        time.perf_counter() - start,
        len(test),
        {},
    )
    if distributed.is_leader():
        _note(work.run, outcome)
    distributed.wait()
    return outcome


def _make_whole(net: SpikingNet) -> None:
    """Lets a quantized network evaluate in whole numbers, as every other leg will."""
    from exporter.passes import simplify
    from exporter.quantize import quantize as quantize_graph
    from exporter.sources.torch import graph_from_torch
    from spikepress.legs import integer_parameters
    from trainer import integer

    integer.attach(net, *integer_parameters(quantize_graph(simplify(graph_from_torch(net)))))


def accuracy_of(predictions: Any, labels: Any) -> float:
    """Share of right predictions; labels per step are judged at their last step."""
    labels = np.asarray(labels)
    return float(np.mean(predictions == (labels if labels.ndim == 1 else labels[:, -1])))


def _note(run: RunDirectory, outcome: Outcome) -> None:
    """Keeps the outcome of each stage, newest last, in ``stages.json``."""
    from spikepress.rundir import read_json, write_json

    path = run.stages
    stages = dict(read_json(path)) if path.exists() else {}
    stages.pop(outcome.stage, None)
    write_json(path, {**stages, outcome.stage: outcome.as_json()})
