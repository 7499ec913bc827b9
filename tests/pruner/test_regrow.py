import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from pruner.allocation import UNAVAILABLE, choose, overall, top_mask, uniform
from pruner.evidence import Evidence
from pruner.registry import ALLOCATIONS, CRITERIA
from pruner.regrow import Candidates, Rules, prune_then_regenerate
from runtime.errors import ModelError

SHAPES = {"conv": (4, 3, 2, 2), "fc1": (6, 16), "fc2": (3, 6)}


def evidence_of(seed: int) -> dict[str, Evidence]:
    generator = torch.Generator().manual_seed(seed)

    def one(shape: tuple[int, ...]) -> Evidence:
        return Evidence(
            weight=torch.randn(shape, generator=generator),
            generator=generator,
            gradient=torch.randn(shape, generator=generator),
            criticality=torch.rand(shape[0], generator=generator),
            rate=torch.rand(shape[1], generator=generator),
        )

    return {name: one(shape) for name, shape in SHAPES.items()}


def ones() -> dict[str, Tensor]:
    return {name: torch.ones(shape, dtype=torch.bool) for name, shape in SHAPES.items()}


def living(masks: dict[str, Tensor]) -> int:
    return sum(int(mask.sum()) for mask in masks.values())


TOTAL = living(ones())


@settings(deadline=None, max_examples=60)
@given(
    st.integers(0, 999),
    st.lists(st.integers(0, TOTAL), min_size=1, max_size=4),
    st.floats(0.0, 1.0),
    st.sampled_from(sorted(CRITERIA)),
    st.sampled_from(sorted(CRITERIA)),
    st.sampled_from(sorted(ALLOCATIONS)),
    st.sampled_from(list(Candidates)),
)
def test_every_event_keeps_exactly_the_asked_number(
    seed: int, keeps: list[int], share: float, prune: str, regrow: str, allocation: str, source: Candidates
) -> None:
    rules = Rules(CRITERIA[prune], CRITERIA[regrow], ALLOCATIONS[allocation], source)
    masks = ones()
    for keep in sorted(keeps, reverse=True):
        count = int(share * keep)
        outcome = prune_then_regenerate(evidence_of(seed), masks, keep, count, rules)
        assert living(outcome.masks) == keep
        assert living(outcome.regenerated) == count
        for name, mask in outcome.masks.items():
            assert not (outcome.regenerated[name] & ~mask).any()
            if source is Candidates.JUST_PRUNED:
                assert not (mask & ~masks[name]).any()
        masks = outcome.masks


def test_regeneration_picks_the_most_critical_of_the_just_pruned() -> None:
    weight = torch.tensor([[4.0, 3.0], [2.0, 1.0], [0.5, 0.0]])
    generator = torch.Generator().manual_seed(0)
    one = Evidence(weight, generator, criticality=torch.tensor([0.1, 0.2, 0.9]))
    masks = {"fc": torch.tensor([[True, True], [True, True], [True, False]])}
    rules = Rules(CRITERIA["magnitude"], CRITERIA["criticality"], ALLOCATIONS["global"])
    outcome = prune_then_regenerate({"fc": one}, masks, 3, 1, rules)
    # the two largest stay; of the three just pruned, neuron 2 is the most critical
    assert outcome.masks["fc"].tolist() == [[True, True], [False, False], [True, False]]
    assert outcome.regenerated["fc"].tolist() == [[False, False], [False, False], [True, False]]


def test_regeneration_by_the_pruning_score_equals_pruning_less() -> None:
    rules = Rules(CRITERIA["magnitude"], CRITERIA["magnitude"], ALLOCATIONS["global"])
    plain = prune_then_regenerate(evidence_of(3), ones(), 40, 0, rules)
    regenerated = prune_then_regenerate(evidence_of(3), ones(), 40, 15, rules)
    assert all(torch.equal(plain.masks[name], regenerated.masks[name]) for name in SHAPES)


@given(st.integers(0, TOTAL), st.integers(0, 999))
def test_uniform_allocation_gives_every_layer_the_same_density(budget: int, seed: int) -> None:
    scores = {name: one.weight.abs() for name, one in evidence_of(seed).items()}
    counts = uniform(scores, budget)
    assert sum(counts.values()) == budget
    for name, score in scores.items():
        assert abs(counts[name] - budget * score.numel() / TOTAL) < 1.0


@given(st.integers(0, TOTAL), st.integers(0, 999))
def test_global_allocation_keeps_the_best_overall(budget: int, seed: int) -> None:
    scores = {name: one.weight.abs() for name, one in evidence_of(seed).items()}
    masks = choose(scores, budget, overall)
    kept = torch.cat([scores[name][masks[name]] for name in scores])
    lost = torch.cat([scores[name][~masks[name]] for name in scores])
    assert len(kept) == budget
    assert not len(kept) or not len(lost) or kept.min() >= lost.max()


def test_uniform_allocation_moves_what_a_layer_cannot_give() -> None:
    scores = {"a": torch.full((10,), UNAVAILABLE), "b": torch.ones(10)}
    assert uniform(scores, 8) == {"a": 0, "b": 8}


def test_equal_scores_still_give_an_exact_count() -> None:
    mask = top_mask(torch.zeros(5, 5), 7)
    assert int(mask.sum()) == 7
    assert mask.flatten()[:7].all()


def test_random_scores_repeat_under_a_seed() -> None:
    first, again, other = (CRITERIA["random"].score(evidence_of(seed)["fc1"]) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_scores_spread_neuron_measurements_over_their_weights() -> None:
    one = evidence_of(5)["fc1"]
    assert one.criticality is not None
    assert one.rate is not None
    assert one.gradient is not None
    c, r = one.criticality.double()[:, None], one.rate.double()[None]
    w, g = one.weight.abs().double(), one.gradient.abs().double()
    assert torch.allclose(CRITERIA["criticality-magnitude"].score(one), c * w)
    assert torch.allclose(CRITERIA["criticality-activity"].score(one), c * r * w)
    assert torch.allclose(CRITERIA["criticality-gradient"].score(one), c * g)
    assert torch.allclose(CRITERIA["activity-magnitude"].score(one), r * w)


def test_neuron_criticality_alone_ranks_whole_fan_ins_and_breaks_ties_by_magnitude() -> None:
    one = evidence_of(6)["fc1"]
    assert one.criticality is not None
    score = CRITERIA["criticality"].score(one)
    order = torch.argsort(one.criticality)
    for low, high in itertools.pairwise(order):
        assert score[low].max() < score[high].min()
    for row in range(len(score)):
        assert torch.equal(torch.argsort(score[row]), torch.argsort(one.weight[row].abs()))


def test_presynaptic_rates_of_a_grouped_convolution_go_to_their_own_group() -> None:
    rate = torch.tensor([1.0, 2.0, 3.0, 4.0])
    one = Evidence(torch.ones(6, 2, 3, 3), torch.Generator(), rate=rate, groups=2)
    score = CRITERIA["activity-magnitude"].score(one)
    assert score[0, :, 0, 0].tolist() == [1.0, 2.0]
    assert score[5, :, 2, 2].tolist() == [3.0, 4.0]
    assert score.shape == (6, 2, 3, 3)


@pytest.mark.parametrize("name", sorted(CRITERIA))
def test_every_criterion_scores_the_shape_of_the_weight_without_negative_values(name: str) -> None:
    for one in evidence_of(9).values():
        score = CRITERIA[name].score(one)
        assert score.shape == one.weight.shape
        assert score.dtype == torch.float64
        assert (score >= 0).all()


def test_scores_that_are_not_numbers_are_refused_with_the_layer_before_anything_is_pruned() -> None:
    evidence = evidence_of(0)
    name = next(iter(evidence))
    evidence[name].weight.view(-1)[0] = float("nan")
    rules = Rules(CRITERIA["magnitude"], CRITERIA["gradient"], overall)
    with pytest.raises(ModelError, match=f"layer '{name}': found pruning scores that are not numbers"):
        prune_then_regenerate(evidence, ones(), 4, 0, rules)
