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
from pruner.granularity import Granularity, together, whole
from pruner.registry import Criterion
from runtime.errors import ModelError

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
    granularity: Granularity = Granularity.WEIGHT


@dataclass(frozen=True)
class Outcome:
    """Boolean masks after one event: ``masks`` hold what lives, ``regenerated`` the part chosen anew.

    ``masks`` has exactly the asked number of true entries, of whole groups at most that number;
    ``regenerated`` is a subset of it.
    """

    masks: Masks
    regenerated: Masks


def prune_then_regenerate(
    evidence: Mapping[str, Evidence], masks: Mapping[str, Tensor], keep: int, regenerate: int, rules: Rules
) -> Outcome:
    """Choose ``keep`` synapses in all, ``regenerate`` of them by the regrowth score, and beside these what
    whole groups left of the others' share.

    ``masks`` are the living synapses before the event; needs regenerate <= keep <= living.
    """
    kept = _best(evidence, rules.prune_by, masks, keep - regenerate, rules)
    if regenerate == 0:
        return Outcome(kept, {name: mask & False for name, mask in kept.items()})
    left = keep - sum(int(mask.sum()) for mask in kept.values())
    regenerated = _regenerate(evidence, masks, kept, left, rules)
    return Outcome({name: kept[name] | regenerated[name] for name in kept}, regenerated)


def _regenerate(
    evidence: Mapping[str, Evidence], before: Mapping[str, Tensor], kept: Masks, count: int, rules: Rules
) -> Masks:
    """The ``count`` candidates with the highest regrowth score."""
    candidates = {name: ~mask for name, mask in kept.items()}
    if rules.candidates is Candidates.JUST_PRUNED:
        candidates = {name: mask & before[name] for name, mask in candidates.items()}
    return _best(evidence, rules.regrow_by, candidates, count, rules)


def _best(
    evidence: Mapping[str, Evidence],
    criterion: Criterion,
    available: Mapping[str, Tensor],
    count: int,
    rules: Rules,
) -> Masks:
    """The ``count`` available synapses with the highest scores, in whole groups."""
    scores = {}
    for name, one in evidence.items():
        score = criterion.score(one)
        if bool(score.isnan().any()):
            raise ModelError(
                f"layer {name!r}: found pruning scores that are not numbers, expected finite weights"
            )
        score = score.masked_fill(~available[name], UNAVAILABLE)
        scores[name] = together(score, rules.granularity)
    chosen = choose(scores, count, rules.allocation)
    return {name: whole(mask, available[name], rules.granularity) for name, mask in chosen.items()}
