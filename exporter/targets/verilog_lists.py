"""Where the spikes of each layer wait for those who read them: lists, one behind the other in the queue.

A layer that only the next one reads is read out before that fires, so all such layers share the first list.
Every other layer has a list of its own, which stands until the layer fires again: a reader before that in the
next step hears it one step later.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from exporter.targets.verilog_layers import Layer


@dataclass(frozen=True)
class Lists:
    """``of``: the list of each layer; ``first``: where each list begins; ``words``: how long the queue is."""

    of: tuple[int, ...]
    first: tuple[int, ...]
    words: int


def spike_lists(stages: Sequence[Layer]) -> Lists:
    """The lists of a core's layers."""
    readers = [
        [number for number, layer in enumerate(stages) for one in layer.segments if one.source == source]
        for source in range(len(stages))
    ]
    shared = [all(reader == source + 1 for reader in readers[source]) for source in range(len(stages))]
    sizes = [max((s.neurons for s, common in zip(stages[:-1], shared, strict=False) if common), default=1)]
    of = []
    for layer, common in zip(stages, shared, strict=True):
        of.append(0 if common else len(sizes))
        if not common:
            sizes.append(layer.neurons)
    first = tuple(sum(sizes[:number]) for number in range(len(sizes)))
    return Lists(tuple(of), first, max(2, sum(sizes)))
