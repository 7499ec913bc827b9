"""Callbacks of the pipeline: weight sparsity in every epoch's record, and progress for a display."""

from __future__ import annotations

from spikepress.progress import Notify
from trainer.callbacks import Callback, State
from trainer.layers import Skip
from trainer.models import SpikingNet
from trainer.synapse import Synapse


def net_sparsity(net: SpikingNet) -> float:
    """Share of the weights that are masked or zero, over all layers but identity skips."""
    kept = total = 0
    for module in net.modules():
        if isinstance(module, Synapse) and not isinstance(module, Skip):
            weight = module.weight if module.mask is None else module.weight * module.mask
            kept += int((weight != 0).sum())
            total += weight.numel()
    return 1.0 - kept / total if total else 0.0


class WriteSparsity(Callback):
    """Adds the weight sparsity to each epoch's line of the log."""

    def after_epoch(self, state: State) -> None:
        state.record["weight_sparsity"] = net_sparsity(state.net)


class ShowProgress(Callback):
    """Tells which share of a stage's steps is done."""

    def __init__(self, stage: str, notify: Notify) -> None:
        self.stage = stage
        self.notify = notify

    def start(self, state: State) -> None:
        self.notify(self.stage, 0.0)

    def after_step(self, state: State) -> None:
        self.notify(self.stage, (state.step + 1) / state.total_steps)
