"""Fronts of accuracy against additions, as Markdown, and what one method saves at the other's accuracy."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

Row = Mapping[str, Any]
RIVAL = "magnitude"
"""What names of the rival's methods begin with; all others are ours."""
SETTING = ("method", "price", "sparsity", "activity_penalty", "threshold_factor")
MEASURES = {
    "hidden spikes and input": ("effective_acs", "input_adds"),
    "hidden spikes only": ("effective_acs",),
}


@dataclass(frozen=True)
class Point:
    """One setting, its means over seeds: accuracies in per cent, additions a sample."""

    setting: tuple[Any, ...]
    seeds: int
    validation: float
    test: float
    additions: float

    @property
    def rival(self) -> bool:
        return str(self.setting[0]).startswith(RIVAL)


def points(rows: Sequence[Row], measure: Sequence[str]) -> list[Point]:
    """A point for each setting that every seed was measured at."""
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row[key] for key in SETTING), []).append(row)
    seeds = len({row["seed"] for row in rows})
    return [
        Point(
            setting,
            len(group),
            100.0 * statistics.mean(row["validation_accuracy"] for row in group),
            100.0 * statistics.mean(row["accuracy"] for row in group),
            statistics.mean(sum(row[key] for key in measure) for row in group),
        )
        for setting, group in groups.items()
        if len(group) == seeds
    ]


def front(found: Sequence[Point]) -> list[Point]:
    """Points that no other one beats in validation accuracy and additions, cheapest first."""
    kept: list[Point] = []
    for point in sorted(found, key=lambda p: (p.additions, -p.validation)):
        if not kept or point.validation > kept[-1].validation:
            kept.append(point)
    return kept


def additions_at(accuracy: float, line: Sequence[Point]) -> float | None:
    """Additions of a front at a test accuracy, between its points in a straight line: the fewest, where test
    accuracy does not rise along it; None beyond its ends."""
    found = []
    for low, high in pairwise(line):
        least, most = sorted((low.test, high.test))
        if least <= accuracy <= most:
            share = 0.0 if low.test == high.test else (accuracy - low.test) / (high.test - low.test)
            found.append(low.additions + share * (high.additions - low.additions))
    return min(found, default=None)


def savings(rows: Sequence[Row], measure: Sequence[str]) -> list[tuple[Point, float | None]]:
    """Each point on the rival's front, and the share of its additions that ours saves there."""
    every = points(rows, measure)
    ours = front([p for p in every if not p.rival])
    found: list[tuple[Point, float | None]] = []
    for point in front([p for p in every if p.rival]):
        cost = additions_at(point.test, ours)
        found.append((point, None if cost is None else 1.0 - cost / point.additions))
    return found


def synops_page(report: Mapping[str, Any]) -> str:
    """The page of ``benchmarks.pruning_synops``."""
    rows, about = report["rows"], report["about"]
    seeds = sorted({row["seed"] for row in rows})
    lines = [
        "# Additions at equal accuracy, 784-800-10 on MNIST",
        "",
        "`python -m benchmarks.pruning_synops`: nets of eight steps and constant input, pruned within two",
        "epochs, ours (second-order pruning, then training on its masks) and by magnitude (gradually, in the",
        "same two epochs, readout pruned too or kept whole). Both learn beside the labels from the dense",
        "net's scores, at the same activity penalties and the same raised thresholds. `price` divides a",
        "saliency by that power of how often the input is heard. Points on a front are chosen by validation",
        f"accuracy; accuracies and additions below are means on test samples over {len(seeds)} seed(s).",
        _counted(rows),
        "",
    ]
    for name, measure in MEASURES.items():
        lines += [f"## Additions of {name}", "", *_saved(rows, measure), "", *_fronts(rows, measure), ""]
    return "\n".join([*lines, "Measured with " + ", ".join(f"{k} {v}" for k, v in about.items()) + ".", ""])


def _counted(rows: Sequence[Row]) -> str:
    """How many settings either front was chosen from."""
    rivals = [point.rival for point in points(rows, MEASURES["hidden spikes only"])]
    return f"Ours is chosen from {rivals.count(False)} settings, magnitude's from {rivals.count(True)}."


def _saved(rows: Sequence[Row], measure: Sequence[str]) -> Iterator[str]:
    """Where our front is at the accuracies of the rival's."""
    found = savings(rows, measure)
    reached = [saved for _, saved in found if saved is not None]
    if reached:
        mean, least, most = (100 * f(reached) for f in (statistics.mean, min, max))
        yield f"Ours saves {mean:.0f} % on average ({least:.0f} to {most:.0f} %) at {len(reached)} of the"
        yield f"{len(found)} accuracies of magnitude's front; the others lie beyond the ends of ours."
        yield ""
    yield "| accuracy | additions, magnitude | saved by ours |"
    yield "|---|---|---|"
    for point, saved in found:
        share = "–" if saved is None else f"{100 * saved:.0f} %"
        yield f"| {point.test:.2f} | {point.additions:,.0f} | {share} |"


def _fronts(rows: Sequence[Row], measure: Sequence[str]) -> Iterator[str]:
    every = points(rows, measure)
    yield "| front | sparsity | price | penalty | thresholds | validation | test | additions |"
    yield "|---|---|---|---|---|---|---|---|"
    for rival in (False, True):
        for p in front([p for p in every if p.rival is rival]):
            method, price, sparsity, penalty, factor = p.setting
            yield (
                f"| {method} | {100 * sparsity:g} % | {price:g} | {penalty:g} | x {factor:g} |"
                f" {p.validation:.2f} | {p.test:.2f} | {p.additions:,.0f} |"
            )
