"""Recovery after post-training pruning: short training on the masks, the dense network as a teacher."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from runtime.errors import ModelError
from spikepress.budget import Budget, cost_of
from spikepress.progress import Notify, silent
from spikepress.watch import ShowProgress

if TYPE_CHECKING:
    from pruner.compression import Compressed, Compression
    from pruner.post_training import Calibrated
    from spikepress.settings import Settings
    from trainer.datasets import Splits

SHARE = 0.5
"""Of the loss that is the dense network's word, unless ``[prune] distill`` names one."""


@dataclass(frozen=True)
class Recovery:
    """How long a pruned network trains on its masks, by which settings, on what."""

    epochs: int
    settings: Settings
    data: Splits
    notify: Notify = silent

    @property
    def passes(self) -> int:
        """Sample passes: the pruned network forward and back, the dense one forward."""
        rounding = self.settings.quantize.epochs
        return 3 * (self.epochs + rounding) * len(self.data.train)


def recover(calibrated: Calibrated, done: Compressed, wish: Compression, how: Recovery) -> Compressed:
    """``done`` again with real weights, trained by ``[prune] lr``, then put on its grid and trained there by
    ``[quantize]``. Its masks stay as they are, and dead neurons are left out of the work."""
    from pruner.hold import HoldMasks
    from pruner.living import Living
    from trainer import loop
    from trainer.prepare import prepare
    from trainer.teacher import Teacher

    settings = how.settings
    bare = replace(wish, sparsity=done.weight_sparsity, bits=None, first=None, last=None)
    real = calibrated.compress(bare)
    teacher = Teacher(calibrated.net, settings.distill or SHARE)
    living = Living.of(real.net)
    config = settings.stage(how.epochs, settings.prune_lr)
    callbacks = (HoldMasks(), ShowProgress("recover", how.notify))
    loop.fit(living.net, how.data, config, callbacks, None, teacher)
    living.put_back()
    assert wish.bits is not None
    prepare(real.net, wish.bits, first=wish.first, last=wish.last)
    if settings.quantize.epochs:
        config = settings.stage(settings.quantize.epochs, settings.quantize.lr)
        loop.fit(real.net, how.data, config, (HoldMasks(),), None, teacher)
    seconds, passes = done.seconds + real.seconds, done.sample_passes + real.sample_passes
    return replace(done, net=real.net.eval(), seconds=seconds, sample_passes=passes + how.passes)


def check_budget(done: Compressed, budget: Budget, how: Recovery) -> None:
    """Raise ModelError where training has moved the network beyond its budget: it fires anew."""
    if not budget.searches:
        return
    over = cost_of(done.net, how.data.validation).over(budget)
    if over is not None:
        raise ModelError(f"prune --epochs: found a network that training moved over its budget ({over})")
