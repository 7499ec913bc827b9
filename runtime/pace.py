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
    "dense": Pace(10, 0.05, 6.0),
    "lists": Pace(10, 1.1, 6.5),
    "gaps": Pace(10, 1.9, 6.5),
    "packed": Pace(10, 2.0),
    "records": Pace(10, 3.0),
    "signs": Pace(15, 1.0),
    "blocks4": Pace(10, 5.0),
    "blocks8": Pace(10, 4.0),
    "blocks16": Pace(10, 4.0),
    "bitmap": Pace(20, 13.0),
    "nibbles": Pace(60, 20.0),
    "rice": Pace(60, 18.0),
    "codebook": Pace(60, 20.0),
    "huffman": Pace(60, 26.0),
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
