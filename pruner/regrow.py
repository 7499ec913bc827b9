"""One event: prune below the target, then regenerate the best of what was pruned.

The loop is our reading of Chen et al. (arXiv 2311.16141), whose abstract says only that the
structures just pruned are ranked again and the more critical ones regenerated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from torch import Tensor

from pruner.allocation import UNAVAILABLE, Allocation, choose
from pruner.evidence import Evidence
from pruner.registry import Criterion

Masks = dict[str, Tensor]


class Candidates(Enum):
    """What may be regenerated: synapses that this event pruned (the seed paper), or all pruned ones."""

    JUST_PRUNED = "just-pruned"
    ALL_PRUNED = "all-pruned"


class Value(Enum):
    """What a regenerated synapse starts from: zero, or the weight it had before the event.

    A synapse pruned at an earlier event has weight zero in both cases.
    """

    ZERO = "zero"
    OLD = "old"


@dataclass(frozen=True)
class Rules:
    """How an event chooses."""

    prune_by: Criterion
    regrow_by: Criterion
    allocation: Allocation
    candidates: Candidates = Candidates.JUST_PRUNED


@dataclass(frozen=True)
class Outcome:
    """Boolean masks after one event: ``masks`` hold what lives, ``regenerated`` the part chosen anew.

    ``masks`` has exactly the asked number of true entries; ``regenerated`` is a subset of it.
    """

    masks: Masks
    regenerated: Masks


def prune_then_regenerate(
    evidence: Mapping[str, Evidence], masks: Mapping[str, Tensor], keep: int, regenerate: int, rules: Rules
) -> Outcome:
    """Choose ``keep`` synapses in all, ``regenerate`` of them by the regrowth score.

    ``masks`` are the living synapses before the event; needs regenerate <= keep <= living.
    """
    scores = {name: rules.prune_by.score(one) for name, one in evidence.items()}
    scores = {name: score.masked_fill(~masks[name], UNAVAILABLE) for name, score in scores.items()}
    kept = choose(scores, keep - regenerate, rules.allocation)
    if regenerate == 0:
        return Outcome(kept, {name: mask & False for name, mask in kept.items()})
    regenerated = _regenerate(evidence, masks, kept, regenerate, rules)
    return Outcome({name: kept[name] | regenerated[name] for name in kept}, regenerated)


def _regenerate(
    evidence: Mapping[str, Evidence], before: Mapping[str, Tensor], kept: Masks, count: int, rules: Rules
) -> Masks:
    """The ``count`` candidates with the highest regrowth score."""
    scores = {}
    for name, one in evidence.items():
        candidates = ~kept[name]
        if rules.candidates is Candidates.JUST_PRUNED:
            candidates = candidates & before[name]
        scores[name] = rules.regrow_by.score(one).masked_fill(~candidates, UNAVAILABLE)
    return choose(scores, count, rules.allocation)
