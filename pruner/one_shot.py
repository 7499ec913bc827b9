"""``one_shot``: prune a trained network once, without training it, by any score of the training-time loop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from pruner.callback import Pruning
from pruner.config import PruneConfig
from pruner.mask import MaskSet
from pruner.registry import NO_SEARCH
from pruner.regrow import Value
from pruner.subject import NetSubject
from runtime.errors import ConfigError
from trainer.models import SpikingNet

Batch = tuple[Tensor, Tensor]
"""Coded input (steps, batch, *shape) and what the loss compares with."""


def one_shot(
    net: SpikingNet,
    config: PruneConfig,
    batches: Sequence[Batch],
    loss: Callable[[Tensor, Tensor], Tensor],
) -> MaskSet:
    """Prune ``net`` in place to ``config.sparsity`` after forward and backward passes over ``batches``.

    Activity and criticality are averages over all batches, gradients those of the last. The regenerated
    share is taken whole and keeps its old weights, as nothing trains them again here; the schedule's
    other keys do not matter. Raises ConfigError for a search or a rewind, which need training.
    """
    if config.search != NO_SEARCH or config.rewind is not None:
        raise ConfigError(f"one shot: found prune.search {config.search!r} or a rewind, expected neither")
    count = len(batches)
    if not count:
        raise ConfigError("one shot: found no batch to measure on, expected at least one")
    at = (count - 1) / count
    once = replace(config, events=1, begin=at, end=at, gather_steps=count)
    pruning = Pruning(replace(once, regenerate_decay="constant", regenerate_value=Value.OLD))
    still = torch.optim.SGD(net.parameters(), lr=0.0)
    statistics = {name: value.clone() for name, value in net.named_buffers() if not name.endswith("mask")}
    training = net.training
    net.train()
    pruning.begin(NetSubject(net), count)
    for step, (x, y) in enumerate(batches):
        net.zero_grad()
        loss(net(x), y).backward()  # type: ignore[no-untyped-call]
        pruning.take_gradients()
        pruning.advance(still, step)
    net.zero_grad()
    net.train(training)
    for name, value in net.named_buffers():
        if name in statistics:
            value.copy_(statistics[name])
    return pruning.masks
