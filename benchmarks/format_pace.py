"""How long rows take to walk in each encoding: nanoseconds of an event, fitted to start and items.

Each encoding's own kernel adds every row of a table once, as events of one frame. The figures of
``runtime/pace.py`` are this fit of the committed result.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.random_tables import Matrix, uniform
from runtime.encodings import CANDIDATES, encode
from runtime.encodings.registry import sparse_of
from runtime.pace import items_of
from runtime.program import EncodedMatrix, LinearSynapses
from runtime.scatter import Events, bind

CASES = ((512, 128, 0.05), (512, 512, 0.05), (512, 1024, 0.1), (512, 2048, 0.1), (256, 2048, 0.4))
WIDTHS = (8, 4)
ROUNDS = 31


@dataclass(frozen=True)
class Walk:
    """An event's row in one encoding: ``items`` added (columns of a dense one, cells of blocks, nonzeros of
    any other) and the median nanoseconds of the processor; quartiles beside it."""

    encoding: str
    bits: int
    columns: int
    density: float
    items: float
    event_ns: float
    quartiles_ns: tuple[float, float]


def walks() -> Iterator[Walk]:
    """Every encoding that runs, on rows of several lengths, interleaved in every round."""
    for bits in WIDTHS:
        for rows, columns, density in CASES:
            matrix = _matrix(rows, columns, density, bits)
            names = ("signs", *CANDIDATES) if bits == WIDTHS[0] else CANDIDATES
            tables = {
                name: encode(np.sign(matrix) if name == "signs" else matrix, name, bits) for name in names
            }
            seen = sparse_of(matrix), sparse_of(np.sign(matrix))
            taken = _timed(tables, rows, columns)
            for name, times in taken.items():
                items = items_of(name, seen[name == "signs"], bits)
                low, middle, high = np.percentile(times, (25, 50, 75)).round(1).tolist()
                yield Walk(name, bits, columns, density, round(items, 2), middle, (low, high))


def _matrix(rows: int, columns: int, density: float, bits: int) -> Matrix:
    return uniform(rows, columns, density, bits, seed=1)


def _timed(tables: Mapping[str, EncodedMatrix], rows: int, columns: int) -> dict[str, list[float]]:
    """Nanoseconds of an event, one a round: of the processor, whatever else the machine does."""
    order = np.random.default_rng(2).permutation(rows).astype(np.int32)
    frame = np.array([0, rows], np.int64)
    events = Events(order, np.ones(rows, np.int32), frame, rows)
    target = np.zeros((1, columns), np.int32)
    calls = {name: bind(LinearSynapses(), table) for name, table in tables.items()}
    for call in calls.values():
        call(events, target, 0)
    taken: dict[str, list[float]] = {name: [] for name in tables}
    for _ in range(ROUNDS):
        for name, call in calls.items():
            start = time.thread_time_ns()
            call(events, target, 0)
            taken[name].append((time.thread_time_ns() - start) / rows)
    return taken


def fitted(found: Sequence[Walk]) -> dict[str, dict[str, float | None]]:
    """``start`` of an event and nanoseconds of each ``item``; ``packed`` of each below eight bits."""
    paces: dict[str, dict[str, float | None]] = {}
    for name in dict.fromkeys(walk.encoding for walk in found):
        whole = [walk for walk in found if walk.encoding == name and walk.bits == WIDTHS[0]]
        narrow = [walk for walk in found if walk.encoding == name and walk.bits != WIDTHS[0]]
        start, item = _line(whole)
        packed = None
        if narrow:
            packed = float(np.median([(walk.event_ns - start) / walk.items for walk in narrow]))
        paces[name] = {"start": _rounded(start), "item": _rounded(item), "packed": _rounded(packed)}
    return paces


def _line(found: Sequence[Walk]) -> tuple[float, float]:
    """Start and slope with the smallest relative error, the start at least 1 ns."""
    items = np.array([walk.items for walk in found])
    taken = np.array([walk.event_ns for walk in found])
    start, item = np.linalg.lstsq(np.stack([1 / taken, items / taken], 1), np.ones(items.size), rcond=None)[0]
    if start < 1:
        start = 1.0
        item = float(np.median((taken - start) / items))
    return float(start), float(max(item, 0.001))


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.2g}")
