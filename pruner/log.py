"""What happened at each pruning event, as records and as JSON lines."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from pruner.footprint import stored_bytes
from pruner.mask import MaskSet
from pruner.regrow import Masks
from runtime.errors import OutputError


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


@dataclass(frozen=True)
class When:
    """Number of an event (from 1) and the step and epoch (from 0) it happened in."""

    event: int
    step: int
    epoch: int


def record_of(masks: MaskSet, before: Mapping[str, Tensor], regenerated: Masks, when: When) -> EventRecord:
    """The record of an event that has just been applied to ``masks``."""
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
    return EventRecord(**{**values, "layers": layers})


def _bytes(masks: MaskSet, name: str) -> int:
    layer, mask = masks.layers[name], masks.masks[name]
    # a regenerated synapse has weight 0 but is stored: the table follows the mask
    weight = layer.weight.detach().cpu()
    weight = weight.masked_fill(mask & (weight == 0), 1e-12)
    return stored_bytes(weight, groups=getattr(layer, "groups", 1))
