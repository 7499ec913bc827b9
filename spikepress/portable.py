"""Whether a network can be said in the format that it is meant to leave in (``[train] portable``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.errors import ConfigError

if TYPE_CHECKING:
    from trainer.models import SpikingNet


def check_portable(format_: str, net: SpikingNet) -> None:
    """ConfigError with everything in ``net`` that ``format_`` ("nir", or "" for none) cannot say."""
    if not format_:
        return
    from exporter.passes import simplify
    from exporter.sources.torch import graph_from_torch
    from exporter.targets.nir import unsaid, unsayable

    training = net.training
    graph = simplify(graph_from_torch(net.eval()))
    net.train(training)
    wrong = [*unsayable(graph), *unsaid(graph)]
    if wrong:
        raise ConfigError(f"train.portable {format_}: " + "; ".join(wrong))
