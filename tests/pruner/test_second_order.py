"""The least-squares core: fits, saliencies, ranking and rounding, on problems solvable by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pruner.allocation import UNAVAILABLE
from pruner.rounding import round_rows, scale_candidates
from pruner.second_order import NEVER, Rows, by_row, fit, lamp_like, sizes_of, strongest
from trainer.quant import WeightBits

INPUTS, OUTPUTS, SAMPLES = 7, 5, 60


def problem(*, fixed=0, damping=0.0, block=1, seed=0):
    """Traces, the drive to reproduce, and the rows that they make."""
    draw = torch.Generator().manual_seed(seed)
    traces = torch.randn(SAMPLES, INPUTS, generator=draw, dtype=torch.float64)
    if fixed:
        traces[:, -fixed:] = 1.0
    weight = torch.randn(OUTPUTS, INPUTS, generator=draw, dtype=torch.float64)
    # the drive is not the layer's own: the fit has a residue to spread
    drive = traces @ weight.T + 0.5 * torch.randn(SAMPLES, OUTPUTS, generator=draw, dtype=torch.float64)
    moment, cross = traces.T @ traces / SAMPLES, drive.T @ traces / SAMPLES
    rows = Rows(moment, cross, weight, torch.ones(OUTPUTS, dtype=torch.float64), fixed, damping, block)
    return traces, drive, rows


def random_mask(groups=OUTPUTS, share=0.5, seed=3):
    draw = torch.Generator().manual_seed(seed)
    mask = torch.rand(groups, INPUTS, generator=draw) < share
    mask[:, 0] = True
    return mask


def test_the_refit_is_the_least_squares_optimum_on_the_living_inputs():
    traces, drive, rows = problem()
    mask = random_mask()
    found = fit(rows, mask).weight
    for row in range(OUTPUTS):
        alive = mask[row].numpy()
        best, *_ = np.linalg.lstsq(traces.numpy()[:, alive], drive.numpy()[:, row], rcond=None)
        np.testing.assert_allclose(found[row, mask[row]].numpy(), best, atol=1e-10)
        assert (found[row, ~mask[row]] == 0).all()


def test_damping_pulls_the_refit_to_the_dense_weights_as_ridge_regression_does():
    traces, drive, rows = problem(damping=0.3)
    mask = random_mask()
    found = fit(rows, mask).weight
    for row in range(OUTPUTS):
        x = traces[:, mask[row]].numpy() / SAMPLES**0.5
        y = drive[:, row].numpy() / SAMPLES**0.5
        prior = rows.start[row, mask[row]].numpy()
        extended = np.vstack([x, 0.3**0.5 * np.eye(x.shape[1])])
        best, *_ = np.linalg.lstsq(extended, np.concatenate([y, 0.3**0.5 * prior]), rcond=None)
        np.testing.assert_allclose(found[row, mask[row]].numpy(), best, atol=1e-10)


def test_a_saliency_is_what_the_loss_rises_by_when_that_weight_alone_goes_and_the_rest_refits():
    _, _, rows = problem()
    mask = random_mask()
    full = fit(rows, mask)
    before = rows.loss(full.weight)
    for row in range(OUTPUTS):
        for place in mask[row].nonzero()[:, 0].tolist():
            if mask[row].sum() == 1:
                continue
            less = mask.clone()
            less[row, place] = False
            risen = rows.loss(fit(rows, less).weight)[row] - before[row]
            assert float(risen) == pytest.approx(float(full.saliency[row, place]), rel=1e-8)
    assert (full.saliency[~mask] == UNAVAILABLE).all()


def test_one_removal_equals_the_surgeons_update_from_the_inverse():
    """Hassibi and Stork: dw = -w_q / [A^-1]_qq * A^-1 e_q, on a net that is at its own optimum."""
    _, _, rows = problem()
    rows = Rows(rows.moment, rows.start @ rows.moment, rows.start, rows.importance)
    inverse, q = torch.linalg.inv(rows.moment), 2
    mask = torch.ones(OUTPUTS, INPUTS, dtype=torch.bool)
    mask[:, q] = False
    expected = rows.start - rows.start[:, q : q + 1] / inverse[q, q] * inverse[q]
    torch.testing.assert_close(fit(rows, mask).weight, expected, atol=1e-9, rtol=0)


def test_rows_of_one_block_share_a_mask_and_their_saliencies_add_up():
    _, _, rows = problem(block=2)
    _, _, single = problem()
    mask = random_mask(groups=3)
    found = fit(rows, mask)
    alone = fit(single, by_row(mask, rows))
    torch.testing.assert_close(found.weight, alone.weight)
    for group, members in enumerate(([0, 1], [2, 3], [4])):
        together = alone.saliency[members].mean(0)
        torch.testing.assert_close(found.saliency[group], together)
    assert sizes_of(rows)[:, 0].tolist() == [2, 2, 1]


def test_a_bias_is_never_ranked_and_is_refitted_with_the_weights():
    traces, drive, rows = problem(fixed=1)
    mask = random_mask()
    mask[:, -1] = True
    found = fit(rows, mask)
    assert (found.saliency[:, -1] == NEVER).all()
    residue = drive - traces @ found.weight.T
    # a free bias leaves no mean error behind
    torch.testing.assert_close(residue.mean(0), torch.zeros(OUTPUTS, dtype=torch.float64), atol=1e-6, rtol=0)


def test_the_ranking_keeps_exactly_the_budget_and_takes_the_highest():
    saliency = {"a": torch.tensor([[3.0, UNAVAILABLE, 1.0]]), "b": torch.tensor([[2.0], [2.0]])}
    sizes = {"a": torch.ones(1, 3, dtype=torch.int64), "b": torch.ones(2, 1, dtype=torch.int64)}
    kept = strongest(saliency, sizes, 3)
    assert kept["a"].tolist() == [[True, False, False]]
    assert kept["b"].tolist() == [[True], [True]]
    two = strongest(saliency, sizes, 2)
    assert two["b"].tolist() == [[True], [False]]


def test_lamp_like_scores_divide_by_all_that_are_not_smaller_in_the_layer():
    found = lamp_like(torch.tensor([[4.0, UNAVAILABLE], [1.0, 3.0], [NEVER, 2.0]]))
    assert found[0, 0] == 1.0
    assert found.flatten()[2:4].tolist() == pytest.approx([0.1, 3 / 7])
    assert found[2, 1] == pytest.approx(2 / 9)
    assert found[0, 1] == UNAVAILABLE
    assert found[2, 0] == NEVER


def test_what_is_dead_is_not_ranked_even_when_the_budget_has_room():
    saliency = {"a": torch.tensor([[3.0, UNAVAILABLE]])}
    assert strongest(saliency, {"a": torch.ones(1, 2, dtype=torch.int64)}, 2)["a"].sum() == 1


@pytest.mark.parametrize("width", list(WeightBits), ids=lambda width: width.value[0])
def test_rounding_lands_on_the_grid_and_leaves_dead_weights_dead(width):
    _, _, rows = problem()
    mask = random_mask()
    weight = fit(rows, mask).weight
    for scale in scale_candidates(weight, width, shared=False):
        found = round_rows(rows, weight, mask, scale, width) / scale[:, None]
        torch.testing.assert_close(found, found.round(), atol=1e-9, rtol=0)
        assert found.min() >= width.lowest - 1e-9
        assert found.max() <= width.highest + 1e-9
        assert (found[~mask] == 0).all()


@pytest.mark.parametrize("width", [WeightBits.INT8, WeightBits.INT4, WeightBits.INT3, WeightBits.INT2])
def test_corrected_rounding_loses_less_than_nearest_rounding_over_many_problems(width):
    corrected = nearest = 0.0
    for seed in range(20):
        _, _, rows = problem(seed=seed)
        mask = random_mask(seed=seed)
        weight = fit(rows, mask).weight
        scale = scale_candidates(weight, width, shared=False)[-1]
        own = round_rows(rows, weight, mask, scale, width)
        plain = (weight / scale[:, None]).round().clamp(width.lowest, width.highest) * scale[:, None]
        corrected += float((rows.loss(own) - rows.loss(weight)).sum())
        nearest += float((rows.loss(plain) - rows.loss(weight)).sum())
    assert 0 <= corrected < nearest


def test_a_bias_is_not_rounded_and_takes_the_last_correction():
    _, _, rows = problem(fixed=1)
    mask = torch.ones(OUTPUTS, INPUTS, dtype=torch.bool)
    weight = fit(rows, mask).weight
    scale = scale_candidates(weight[:, :-1], WeightBits.INT3, shared=False)[-1]
    found = round_rows(rows, weight, mask, scale, WeightBits.INT3)
    rounded = found[:, :-1]
    # with the weights as they are, no other bias is better
    best = (rows.target[:, -1] - rounded @ rows.moment[:-1, -1]) / rows.moment[-1, -1]
    torch.testing.assert_close(found[:, -1], best, atol=1e-6, rtol=0)
