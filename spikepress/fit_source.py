"""What ``fit`` reads from a run directory: its trained network, its data, the model it has already."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from runtime import container
from spikepress.card import weight_sparsity
from spikepress.estimate import Known
from spikepress.fit_verdict import Model
from spikepress.progress import Notify
from spikepress.rundir import RunDirectory, read_json
from spikepress.settings import Settings, load_settings
from spikepress.workshop import Source, Workshop
from trainer import checkpoint, datasets
from trainer.datasets import Splits

STAGES = ("dense", "pruned")
"""Networks with real weights, the one that models are made from first."""


@dataclass(frozen=True)
class Trained:
    """A run's trained network with real weights, and its data. ``accuracy``: on validation samples."""

    run: RunDirectory
    settings: Settings
    stage: str
    source: Source
    data: Splits
    accuracy: float | None

    def workshop(self, notify: Notify) -> tuple[Workshop, Model | None]:
        """Where models are made, and the model that the run has already, if it was exported."""
        work = Workshop(self.source, notify=notify)
        if not self.run.program.exists():
            return work, None
        program = container.read(self.run.program)
        own = work.measured(program, None, sha256(self.run.program))
        work.known = Known(max(1e-6, 1.0 - weight_sparsity(program)), own)
        return work, own


def source_of(run: RunDirectory, data_dir: Path | None) -> Trained:
    """The network of a run that models are made from: the dense one, else the pruned one."""
    found = [stage for stage in STAGES if run.checkpoint(stage).exists()]
    if not found:
        run.require(run.checkpoint(STAGES[0]), "spikepress train")
    path, settings = run.checkpoint(found[0]), load_settings(run)
    data = datasets.load(settings.config.data.name, data_dir, settings.config.data.options)
    net = checkpoint.load(path).eval()
    source = Source(net, sha256(path), data.train, data.validation, run.models)
    return Trained(run, settings, found[0], source, data, _accuracy(run, found[0]))


def _accuracy(run: RunDirectory, stage: str) -> float | None:
    stages = read_json(run.stages) if run.stages.exists() else {}
    outcome = stages.get(stage)
    found = outcome.get("validation_accuracy") if isinstance(outcome, dict) else None
    return float(found) if isinstance(found, int | float) else None


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
