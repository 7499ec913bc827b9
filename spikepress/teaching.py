"""A larger network as a teacher: the trained one of another run (``[train] teacher``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.errors import ConfigError
from spikepress.rundir import RunDirectory

if TYPE_CHECKING:
    from trainer.config import TrainConfig
    from trainer.models import SpikingNet
    from trainer.teacher import Teacher


def teacher_of(train: TrainConfig, pupil: SpikingNet) -> Teacher | None:
    """The teacher that a configuration names for ``pupil``; None where it names none.

    ConfigError where the run has no dense network, or one with another input, readout or classes.
    """
    from trainer import checkpoint
    from trainer.teacher import Teacher

    if not train.teacher:
        return None
    found = RunDirectory(train.teacher).checkpoint("dense")
    if not found.exists():
        raise ConfigError(f"train.teacher: found no {found}, expected the directory of a trained run")
    net = checkpoint.load(found).eval()
    for what in ("input", "readout", "classes"):
        theirs, ours = getattr(net, what), getattr(pupil, what)
        if theirs != ours:
            raise ConfigError(f"train.teacher: found a network of {what} {theirs}, expected {ours}")
    return Teacher(net, train.teacher_share)
