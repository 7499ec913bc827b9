"""How long an event takes in each encoding: what ``python -m benchmarks.formats`` fits to walks it times.

The figures are ``paces`` of ``docs/results/formats.json``. Good for ranking encodings on processors with
caches; another machine has another scale. Firmware and FPGA cores have cost models of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from runtime.encodings.registry import ENCODINGS
from runtime.encodings.sparse import Sparse


@dataclass(frozen=True)
class Pace:
    """Nanoseconds of an event's row: ``start`` once, then one amount for each stored item."""

    start: float
    item: float
    packed: float | None = None
    """For each item where weights are narrower than eight bits; as ``item`` where None."""


PACES: Mapping[str, Pace] = {
    "dense": Pace(1, 0.11, 3.9),
    "lists": Pace(19, 1.1, 5.2),
    "gaps": Pace(20, 1.6, 5.2),
    "packed": Pace(10, 5.3, 4),
    "records": Pace(12, 4.6, 4.7),
    "signs": Pace(35, 0.98),
    "blocks4": Pace(4.8, 5, 5),
    "blocks8": Pace(2.2, 3.5, 3.6),
    "blocks16": Pace(1, 2.7, 2.7),
    "bitmap": Pace(64, 7.7, 11),
    "nibbles": Pace(240, 11, 12),
    "rice": Pace(170, 11, 11),
    "codebook": Pace(170, 12, 12),
    "huffman": Pace(180, 18, 16),
}


def event_ns(encoding: str, sparse: Sparse, bits: int) -> float:
    """Nanoseconds of one event, for a row of the table's mean length."""
    pace = PACES[encoding]
    each = pace.item if bits == 8 or pace.packed is None else pace.packed
    return pace.start + each * items_of(encoding, sparse, bits)


def items_of(encoding: str, sparse: Sparse, bits: int) -> float:
    """What a row of mean length makes a kernel add: its columns, its blocks' cells or its nonzeros."""
    if encoding == "dense":
        return float(sparse.columns)
    if encoding.startswith("blocks"):
        return float(ENCODINGS[encoding].size(sparse, bits).weights * 8 / bits / sparse.rows)
    return float(sparse.nonzeros / sparse.rows)
