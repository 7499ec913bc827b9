"""Erdos-Renyi densities: a layer's from its shape alone, small layers kept denser.

Layer of n inputs and m outputs: density in proportion to (n + m) / (n m) (Mocanu et al. 2018,
arXiv 1707.04780, section 2); with the kernel's sides counted too, (n + m + h + w) / (n m h w)
(Evci et al. 2020, arXiv 1911.11134, section 3). Where that exceeds 1 the layer is whole and the
others share the rest.
"""

from __future__ import annotations

import math

from pruner.allocation import Scores, shared_by_weight
from pruner.method import Method


def erdos_renyi(scores: Scores, budget: int) -> dict[str, int]:
    """Counts in proportion to inputs plus outputs; a grouped layer's inputs are those of one group."""
    weights = {name: float(sum(score.shape[:2])) * _positions(score.shape) for name, score in scores.items()}
    return shared_by_weight(scores, weights, budget)


def erdos_renyi_kernel(scores: Scores, budget: int) -> dict[str, int]:
    """Counts in proportion to inputs plus outputs plus kernel sides."""
    return shared_by_weight(scores, {name: float(sum(s.shape)) for name, s in scores.items()}, budget)


def _positions(shape: tuple[int, ...]) -> int:
    return math.prod(shape[2:])


METHOD = Method(
    source="Evci et al. 2020, arXiv 1911.11134, section 3 (ERK); weights by magnitude",
    differs="the allocation alone, under gradual magnitude pruning of a dense net",
    keys={"criterion": "magnitude", "allocation": "erdos-renyi-kernel"},
)
