import pytest
import torch

from pruner.config import PruneConfig
from pruner.evidence import Evidence
from pruner.granularity import Granularity, groups, together, whole
from pruner.registry import ALLOCATIONS, CRITERIA
from pruner.regrow import Rules, prune_then_regenerate
from runtime.errors import ConfigError, ModelError


def test_groups_are_those_of_the_shapes_named() -> None:
    shape = torch.Size((8, 2, 3, 3))
    channel = groups(shape, Granularity.CHANNEL)
    assert channel[5].unique().tolist() == [5]
    row = groups(shape, Granularity.KERNEL_ROW)
    assert row[1, 1, 2].unique().numel() == 1
    assert row.unique().numel() == 8 * 2 * 3
    block = groups(shape, Granularity.BLOCK_4)
    assert block[:4, 1, 2, 0].unique().numel() == 1
    assert block[3, 1, 2, 0] != block[4, 1, 2, 0]
    assert block.unique().numel() == 2 * 18
    assert groups(shape, Granularity.WEIGHT).unique().numel() == shape.numel()


def test_a_last_block_may_be_narrower() -> None:
    number = groups(torch.Size((6, 2)), Granularity.BLOCK_4)
    assert number[:, 0].tolist() == [0, 0, 0, 0, 2, 2]


def test_a_group_scores_the_mean_of_what_is_available_and_only_whole_ones_stay() -> None:
    score = torch.tensor([[1.0, 3.0], [5.0, float("-inf")]])
    assert together(score, Granularity.CHANNEL).tolist() == [[2.0, 2.0], [5.0, float("-inf")]]
    mask = torch.tensor([[True, False], [True, False]])
    available = torch.tensor([[True, True], [True, False]])
    assert whole(mask, available, Granularity.CHANNEL).tolist() == [[False, False], [True, False]]


def test_neurons_pruned_by_size_come_back_by_their_criticality() -> None:
    weight = torch.tensor([[4.0, 4.0], [1.0, 1.0], [2.0, 2.0], [0.5, 0.5]])
    one = Evidence(weight, torch.Generator(), criticality=torch.tensor([0.1, 0.2, 0.3, 0.9]))
    rules = Rules(
        CRITERIA["magnitude"],
        CRITERIA["criticality"],
        ALLOCATIONS["global"],
        granularity=Granularity.CHANNEL,
    )
    outcome = prune_then_regenerate({"fc": one}, {"fc": torch.ones(4, 2, dtype=torch.bool)}, 6, 2, rules)
    # the two largest neurons stay, of the two just pruned the more critical one returns
    assert outcome.masks["fc"].all(1).tolist() == [True, False, True, True]
    assert outcome.regenerated["fc"].any(1).tolist() == [False, False, False, True]


def test_events_that_prune_and_regenerate_whole_channels_do_not_wear_them_away() -> None:
    rules = Rules(
        CRITERIA["magnitude"], CRITERIA["random"], ALLOCATIONS["global"], granularity=Granularity.CHANNEL
    )
    one = Evidence(torch.rand(8, 10, generator=torch.Generator().manual_seed(0)), torch.Generator())
    masks = {"fc": torch.ones(8, 10, dtype=torch.bool)}
    for keep in (62, 60, 60, 45, 40):
        masks = prune_then_regenerate({"fc": one}, masks, keep, 15, rules).masks
        assert int(masks["fc"].sum()) == keep // 10 * 10


def test_channels_without_a_protected_readout_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"prune\.protect_readout"):
        PruneConfig.from_table({"granularity": "channel"})
    with pytest.raises(ConfigError, match=r"prune\.granularity"):
        PruneConfig.from_table({"method": "stds", "granularity": "1x4"})


def test_scores_that_are_not_numbers_are_refused_by_the_layers_name() -> None:
    one = Evidence(torch.tensor([[1.0, float("nan")]]), torch.Generator())
    rules = Rules(CRITERIA["magnitude"], CRITERIA["magnitude"], ALLOCATIONS["global"])
    with pytest.raises(ModelError, match="fc1"):
        prune_then_regenerate({"fc1": one}, {"fc1": torch.ones(1, 2, dtype=torch.bool)}, 1, 0, rules)
