"""What happened at each pruning event, as records and as JSON lines."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from pruner.footprint import stored_bytes
from pruner.ledger import Spent
from pruner.mask import MaskSet
from pruner.regrow import Masks
from pruner.sounding import Sounding, Spread, sound
from runtime.errors import OutputError
from trainer.evaluate import Labeled
from trainer.models import SpikingNet


@dataclass(frozen=True)
class LayerRecord:
    """One layer after an event; ``stored_bytes`` is the smallest encoding of its table at 8 bits."""

    density: float
    living: int
    stored_bytes: int


@dataclass(frozen=True)
class EventRecord:
    """One event. ``pruned`` counts synapses that died in it, ``regenerated`` those chosen anew."""

    event: int
    step: int
    epoch: int
    weight_sparsity: float
    living: int
    pruned: int
    regenerated: int
    stored_bytes: int
    layers: Mapping[str, LayerRecord]
    seconds: float = field(default=0.0, compare=False)
    """Since the run began, those before a resume included."""
    sample_passes: int = 0
    """Samples sent through the net until then, forward or back, those of the log's own look included."""
    metric: float | None = None
    """Share of right predictions on a few validation samples, right after the event."""
    synops: float | None = None
    """Events times living synapses of a sample, on the same samples."""
    criticality: Mapping[str, Spread] = field(default_factory=dict)
    """Over the channels of each population, on the same samples."""


@dataclass(frozen=True)
class When:
    """Number of an event (from 1) and the step and epoch (from 0) it happened in."""

    event: int
    step: int
    epoch: int


def record_of(
    masks: MaskSet,
    before: Mapping[str, Tensor],
    regenerated: Masks,
    when: When,
    *,
    spent: Spent | None = None,
    sounding: Sounding | None = None,
) -> EventRecord:
    """The record of an event that has just been applied to ``masks``."""
    spent = spent or Spent()
    layers = {
        name: LayerRecord(masks.density(name), masks.living(name), _bytes(masks, name))
        for name in masks.layers
    }
    died = sum(int((mask & ~masks.masks[name]).sum()) for name, mask in before.items())
    return EventRecord(
        event=when.event,
        step=when.step,
        epoch=when.epoch,
        weight_sparsity=1.0 - masks.density(),
        living=masks.living(),
        pruned=died,
        regenerated=sum(int(mask.sum()) for mask in regenerated.values()),
        stored_bytes=sum(layer.stored_bytes for layer in layers.values()),
        layers=layers,
        seconds=spent.seconds,
        sample_passes=spent.sample_passes,
        metric=None if sounding is None else sounding.metric,
        synops=None if sounding is None else sounding.synops,
        criticality={} if sounding is None else sounding.criticality,
    )


def log_compression(path: Path, dense: SpikingNet, done: SpikingNet, spent: Spent, samples: Labeled) -> None:
    """Write a log of two events that no training is between: the dense net, and the compressed one."""
    first, last = MaskSet(dense), MaskSet(done)
    looks = [sound(net, samples) for net in (dense, done)]
    write(
        path,
        [
            record_of(first, first.masks, {}, When(0, 0, 0), sounding=looks[0]),
            record_of(last, first.masks, {}, When(1, 0, 0), spent=spent, sounding=looks[1]),
        ],
    )


def write(path: Path, records: Sequence[EventRecord]) -> None:
    """Write one JSON line a record, in place of what the file held.

    The whole file each time: a run that resumes at an earlier checkpoint must not log an event twice.
    Raises OutputError if it cannot be written; then the old file stays.
    """
    lines = "".join(json.dumps(asdict(record)) + "\n" for record in records)
    temporary = path.with_name(f".{path.name}.part")
    try:
        temporary.write_text(lines, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        raise OutputError(f"{path}: found {error.strerror}, expected a file that can be written") from error


def read(values: Mapping[str, Any]) -> EventRecord:
    """The record of one parsed line."""
    layers = {name: LayerRecord(**layer) for name, layer in values["layers"].items()}
    spreads = {name: Spread(**spread) for name, spread in values.get("criticality", {}).items()}
    return EventRecord(**{**values, "layers": layers, "criticality": spreads})


def _bytes(masks: MaskSet, name: str) -> int:
    layer, mask = masks.layers[name], masks.masks[name]
    # a regenerated synapse has weight 0 but is stored: the table follows the mask
    weight = layer.weight.detach().cpu()
    weight = weight.masked_fill(mask & (weight == 0), 1e-12)
    return stored_bytes(weight, groups=getattr(layer, "groups", 1))
