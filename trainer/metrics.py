"""How good predictions are: accuracy, macro F1, sensitivity at a given precision."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.integer[Any]]


def accuracy(predictions: Labels, y: Labels) -> float:
    """Share of right predictions."""
    return float(np.mean(predictions == y))


def macro_f1(predictions: Labels, y: Labels, n_classes: int) -> float:
    """Mean over classes of the harmonic mean of precision and sensitivity; 0 for a class never met."""
    scores = []
    for label in range(n_classes):
        hits = np.sum((predictions == label) & (y == label))
        total = np.sum(predictions == label) + np.sum(y == label)
        scores.append(2 * hits / total if total else 0.0)
    return float(np.mean(scores))


class OperatingPoint(NamedTuple):
    """A threshold on the positive class's score, and what it gives."""

    sensitivity: float
    precision: float
    threshold: float


def sensitivity_at(precision: float, scores: NDArray[Any], y: Labels) -> OperatingPoint:
    """The most sensitive threshold whose precision is at least ``precision``.

    ``scores`` (n,) say how much each sample looks like class 1, ``y`` (n,) is 0 or 1. Samples at the
    threshold count as positive. Without any such threshold the sensitivity is 0 and the threshold inf.
    """
    order = np.argsort(-scores, kind="stable")
    ranked, hits = scores[order], np.cumsum(y[order] == 1)
    found = np.arange(1, len(ranked) + 1)
    whole = np.append(ranked[1:] != ranked[:-1], True)
    good = whole & (hits / found >= precision)
    if not good.any() or hits[-1] == 0:
        return OperatingPoint(0.0, 0.0, float("inf"))
    best = int(np.flatnonzero(good)[-1])
    return OperatingPoint(float(hits[best] / hits[-1]), float(hits[best] / found[best]), float(ranked[best]))


def positive_score(scores: NDArray[Any]) -> NDArray[np.float64]:
    """How much more class 1 is favored than class 0, from scores (n, 2)."""
    return np.asarray(scores[:, 1] - scores[:, 0], dtype=np.float64)
