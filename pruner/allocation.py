"""How many synapses each layer keeps of a common budget. Counts are exact, ties never change them.

A score of minus infinity marks a synapse that cannot be chosen.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

UNAVAILABLE = -math.inf

Scores = Mapping[str, Tensor]
Allocation = Callable[[Scores, int], dict[str, int]]
"""(scores of each layer, synapses to choose in all) -> synapses to choose in each layer."""


def overall(scores: Scores, budget: int) -> dict[str, int]:
    """One ranking over all layers: a layer gets as many as it has among the ``budget`` best."""
    names = list(scores)
    flat = torch.cat([scores[name].flatten() for name in names])
    owner = torch.cat([torch.full((scores[name].numel(),), i) for i, name in enumerate(names)])
    counts = torch.bincount(owner[best(flat, budget)], minlength=len(names))
    return {name: int(counts[i]) for i, name in enumerate(names)}


def uniform(scores: Scores, budget: int) -> dict[str, int]:
    """The same share of every layer, the odd synapses to the largest remainders.

    A layer that has fewer available than its share gives all of them and the others take the rest.
    """
    return shared_by_weight(scores, {name: float(score.numel()) for name, score in scores.items()}, budget)


def shared_by_weight(scores: Scores, weights: Mapping[str, float], budget: int) -> dict[str, int]:
    """``budget`` split in proportion to ``weights``; what a layer cannot give goes to the others in the
    same proportion, the odd synapses to the largest remainders."""
    room = available(scores)
    assert budget <= sum(room.values()), "budget exceeds the available synapses"
    full = {name for name in weights if room[name] == 0}
    while True:
        rest = budget - sum(room[name] for name in full)
        shares = _proportional({n: w for n, w in weights.items() if n not in full}, rest)
        over = {name for name, share in shares.items() if share > room[name]}
        if not over:
            break
        full |= over
    counts = {name: room[name] if name in full else int(shares[name]) for name in scores}
    odd = sorted(shares, key=lambda name: int(shares[name]) - shares[name])
    odd = [name for name in odd if counts[name] < room[name]]
    for name in odd[: budget - sum(counts.values())]:
        counts[name] += 1
    assert sum(counts.values()) == budget
    return counts


def _proportional(weights: Mapping[str, float], budget: int) -> dict[str, float]:
    total = sum(weights.values())
    return {name: budget * weight / total for name, weight in weights.items()}


def available(scores: Scores) -> dict[str, int]:
    """Synapses of each layer that may be chosen."""
    return {name: int((score > UNAVAILABLE).sum()) for name, score in scores.items()}


def best(score: Tensor, count: int) -> Tensor:
    """Flat indices of the ``count`` highest scores; of equal scores the lower index goes first."""
    return torch.argsort(score.flatten(), descending=True, stable=True)[:count]


def choose(scores: Scores, budget: int, allocation: Allocation) -> dict[str, Tensor]:
    """Boolean masks that hold exactly ``budget`` true entries in all, the best of each layer."""
    counts = allocation(scores, budget)
    return {name: top_mask(score, counts[name]) for name, score in scores.items()}


def top_mask(score: Tensor, count: int) -> Tensor:
    """Boolean mask of the score's shape, true at exactly ``count`` of its highest entries."""
    mask = torch.zeros(score.numel(), dtype=torch.bool)
    mask[best(score, count)] = True
    return mask.view(score.shape)
