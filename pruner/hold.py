"""``HoldMasks``: training goes on and the masks stay as they are."""

from __future__ import annotations

from pruner.mask import MaskSet
from trainer.callbacks import Callback, State


class HoldMasks(Callback):
    """Keeps the masks a network has: weights, gradients and the optimizer's moments outside them are 0."""

    def __init__(self) -> None:
        self.masks: MaskSet

    def start(self, state: State) -> None:
        """Take over the network's masks."""
        self.masks = MaskSet(state.net)
        self.masks.close()

    def after_backward(self, state: State) -> None:
        """Mask the gradients."""
        self.masks.zero()

    def after_step(self, state: State) -> None:
        """Hold the weights and moments."""
        self.masks.hold(state.optimizer)
