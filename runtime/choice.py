"""Which encoding a table takes, and why: exact bytes, measured time, or both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from runtime.encodings.bounds import Bounds, bounds
from runtime.encodings.registry import sizes, sparse_of
from runtime.encodings.sparse import Sparse
from runtime.objective import Objective
from runtime.pace import event_ns

DENSE = "dense"
PROBE_CELLS = 1 << 14
PROBE_STEPS = 8
"""A break-even density is found to 0.4 points on a random mask of this many cells."""


@dataclass(frozen=True)
class Candidate:
    """One encoding of a table: exact bytes, and nanoseconds of one event's row on the machine measured."""

    encoding: str
    bytes: int
    event_ns: float


@dataclass(frozen=True)
class Choice:
    """The encoding a table takes under an objective, and what speaks for it."""

    objective: Objective
    chosen: Candidate
    runner_up: Candidate | None
    candidates: tuple[Candidate, ...]
    """Every encoding that could hold the table and runs as stored, best first."""
    density: float
    break_even: float | None
    """Density above which dense rows are the smallest, for a uniform mask with this table's row length and
    values; None where they never are."""
    bounds: Bounds
    reason: str

    @property
    def encoding(self) -> str:
        return self.chosen.encoding

    @property
    def ratio(self) -> float:
        """Stored bits over the smaller entropy bound."""
        return self.bounds.ratio(self.chosen.bytes)

    @property
    def bits_per_nonzero(self) -> float:
        return 8 * self.chosen.bytes / max(self.bounds.nonzeros, 1)


def choose(matrix: ArrayLike, bits: int, objective: Objective = Objective.FLASH, *, taps: int = 1) -> Choice:
    """The best encoding of ``matrix`` (rows, columns) that runs as stored.

    ``FLASH``: fewest bytes. ``SPEED``: fewest nanoseconds an event. ``BALANCED``: smallest product of the
    two. Among equals the encoding that runs fastest.
    """
    sparse = sparse_of(matrix, taps)
    found = [
        Candidate(name, size, event_ns(name, sparse, bits)) for name, size in sizes(sparse, bits).items()
    ]
    ordered = tuple(sorted(found, key=lambda one: _cost(one, objective)))
    break_even = _break_even(sparse, bits)
    return Choice(
        objective=objective,
        chosen=ordered[0],
        runner_up=ordered[1] if len(ordered) > 1 else None,
        candidates=ordered,
        density=sparse.density,
        break_even=break_even,
        bounds=bounds(sparse),
        reason=_reason(ordered, objective, sparse.density, break_even),
    )


def _cost(one: Candidate, objective: Objective) -> float:
    match objective:
        case Objective.FLASH:
            return one.bytes
        case Objective.SPEED:
            return one.event_ns
        case Objective.BALANCED:
            return one.bytes * one.event_ns


def _break_even(sparse: Sparse, bits: int) -> float | None:
    """Largest density at which some sparse encoding is no larger than dense rows, by halving."""
    values, counts = sparse.symbols
    if bits == 1 or values.size == 0:
        return None
    rng = np.random.default_rng(0)
    drawn = rng.random((max(1, min(sparse.rows, PROBE_CELLS // sparse.columns)), sparse.columns))
    weights = rng.choice(values, drawn.shape, p=counts / counts.sum()).astype(np.int32)

    def sparse_wins(density: float) -> bool:
        probe = sizes(Sparse(np.where(drawn < density, weights, 0).astype(np.int32), sparse.taps), bits)
        return min(size for name, size in probe.items() if name != DENSE) <= probe[DENSE]

    low, high = 0.0, 1.0
    if sparse_wins(high):
        return None
    for _ in range(PROBE_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if sparse_wins(middle) else (low, middle)
    return low


ADVANTAGE: Mapping[Objective, str] = {
    Objective.FLASH: "takes the fewest bytes",
    Objective.SPEED: "runs an event in the least time",
    Objective.BALANCED: "has the smallest product of bytes and time",
}


def _reason(
    ordered: tuple[Candidate, ...], objective: Objective, density: float, break_even: float | None
) -> str:
    """One sentence for a report."""
    best = ordered[0]
    said = f"{best.encoding} {ADVANTAGE[objective]} at {density:.1%} density: {_figures(best)}"
    if len(ordered) > 1:
        said += f", then {ordered[1].encoding} with {_figures(ordered[1])}"
    if best.encoding == DENSE and break_even is not None and objective is Objective.FLASH:
        return f"{said}; no sparse form is smaller above {break_even:.0%}"
    if best.encoding != DENSE and break_even is not None:
        return f"{said}; dense rows are the smallest only above {break_even:.0%}"
    return said


def _figures(one: Candidate) -> str:
    return f"{one.bytes:,} bytes and {one.event_ns:,.0f} ns an event"
