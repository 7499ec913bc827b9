"""Losses, metrics, the activity penalty and augmentation on cases small enough to work out."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from runtime.spec import Readout
from tests.builders import nets
from trainer.augment import Augmentation, shifted
from trainer.config import LossKind
from trainer.loss import Loss, balanced_weights, temperature
from trainer.metrics import accuracy, macro_f1, positive_score, sensitivity_at
from trainer.models import SpikingNet
from trainer.penalty import ActivityPenalty
from trainer.structure import Afferent, populations
from trainer.synapse import Synapse

OUT = torch.tensor([[[1.0, 0.0], [0.0, 0.0]], [[1.0, 1.0], [0.0, 1.0]]])  # 2 steps, 2 samples, 2 classes
Y = torch.tensor([0, 1])


def test_cross_entropy_reads_counts_over_the_temperature() -> None:
    loss = Loss(LossKind.CROSS_ENTROPY, Readout.COUNT, temperature=2.0)
    scores = torch.tensor([[2.0, 1.0], [0.0, 1.0]])
    assert torch.equal(loss(OUT, Y), F.cross_entropy(scores / 2, Y))


def test_the_default_temperature_keeps_counts_within_eight() -> None:
    assert temperature(Readout.COUNT, 100) * 8 == 100
    assert temperature(Readout.MEMBRANE_LAST, 100) == 1.0


def test_cross_entropy_reads_membranes_by_the_readout_rule() -> None:
    loss = Loss(LossKind.CROSS_ENTROPY, Readout.MEMBRANE_MAX)
    assert torch.equal(loss(OUT, Y), F.cross_entropy(OUT.amax(0), Y))


def test_every_step_may_have_its_own_label() -> None:
    loss = Loss(LossKind.PER_STEP, Readout.COUNT)
    labels = torch.tensor([[0, 1], [1, 1]])  # (batch, steps)
    expected = F.cross_entropy(OUT.reshape(4, 2), torch.tensor([0, 1, 1, 1]))
    assert torch.equal(loss(OUT, labels), expected)
    assert torch.equal(loss(OUT, Y), loss(OUT, torch.stack([Y, Y], 1)))


def test_rates_are_drawn_to_hit_and_miss() -> None:
    loss = Loss(LossKind.MSE_RATE, Readout.COUNT)
    # rates [[1, .5], [0, .5]], targets [[1, 0], [0, 1]]
    assert float(loss(OUT, Y)) == pytest.approx((0.25 + 0.25) / 4)
    weighted = Loss(LossKind.MSE_RATE, Readout.COUNT, class_weights=torch.tensor([1.0, 0.0]))
    assert float(weighted(OUT, Y)) == pytest.approx(0.125)


def test_regression_compares_scores_with_reals() -> None:
    loss = Loss(LossKind.REGRESSION, Readout.MEMBRANE_LAST)
    assert float(loss(OUT[..., :1], torch.tensor([0.5, 0.5]))) == pytest.approx(0.25)


def test_balanced_weights_make_classes_count_the_same() -> None:
    y = torch.tensor([0, 0, 0, 1])
    weights = balanced_weights(y, 2)
    assert float(weights[0] * 3) == pytest.approx(float(weights[1]))
    assert float(weights[y].mean()) == pytest.approx(1.0)


def test_metrics_on_a_worked_example() -> None:
    predicted, y = np.array([0, 0, 1, 2]), np.array([0, 1, 1, 1])
    assert accuracy(predicted, y) == 0.5
    assert macro_f1(predicted, y, 3) == pytest.approx((2 / 3 + 0.5 + 0) / 3)


def test_sensitivity_is_taken_at_the_lowest_threshold_that_is_precise_enough() -> None:
    scores = np.array([0.9, 0.8, 0.7, 0.6, 0.5])
    y = np.array([1, 0, 1, 1, 0])
    point = sensitivity_at(0.75, scores, y)
    assert (point.sensitivity, point.precision, point.threshold) == (1.0, 0.75, 0.6)
    strict = sensitivity_at(0.9, scores, y)
    assert (strict.sensitivity, strict.threshold) == (pytest.approx(1 / 3), 0.9)
    assert sensitivity_at(0.9, -scores, y).sensitivity == 0.0
    assert math.isinf(sensitivity_at(0.9, -scores, y).threshold)


def test_equal_scores_stand_or_fall_together() -> None:
    assert sensitivity_at(0.9, np.array([1.0, 1.0]), np.array([1, 0])).sensitivity == 0.0
    assert positive_score(np.array([[1.0, 3.0]])).tolist() == [2.0]


def thinned(net: SpikingNet) -> dict[str, Afferent]:
    """The layers between populations, half of their weights masked."""
    layers = {a.name: a for group in populations(net).values() for a in group if not a.from_input}
    draw = torch.Generator().manual_seed(1)
    for afferent in layers.values():
        afferent.synapse.set_mask(torch.rand(afferent.synapse.weight.shape, generator=draw) < 0.5)
    return layers


@pytest.mark.parametrize("name", ["mlp", "conv", "pooled", "sequence", "residual"])
def test_the_penalty_counts_spikes_times_surviving_synapses(name: str) -> None:
    net = nets.NETS[name]()
    layers = thinned(net)
    spent = possible = 0.0

    def count(synapse: Synapse, args: tuple[torch.Tensor, ...]) -> None:
        nonlocal spent, possible
        afferent = next(a for a in layers.values() if a.synapse is synapse)
        assert synapse.mask is not None
        x = args[0].detach()
        steps = x.shape[0] * x.shape[1]
        spent += (
            float(synapse.apply_weight(x.flatten(0, 1), synapse.mask, None).sum()) / steps / afferent.factor
        )
        possible += float(synapse.apply_weight(torch.ones_like(x[0, :1]), synapse.mask, None).sum())

    for afferent in layers.values():
        afferent.synapse.register_forward_pre_hook(count)  # type: ignore[arg-type]
    penalty = ActivityPenalty(net)
    net(nets.coded_input(net))
    share = penalty.share()
    penalty.remove()
    # float32 sums in another order
    assert float(share.detach()) == pytest.approx(spent / possible, rel=1e-5)
    (gradient,) = torch.autograd.grad(share, next(net.parameters()))
    assert float(gradient.abs().sum()) > 0


def test_the_penalty_counts_recurrent_synapses() -> None:
    penalty = ActivityPenalty(net := nets.recurrent())
    net(nets.coded_input(net))
    assert "1.linear" in penalty.watched
    assert 0 < float(penalty.share().detach()) < 1


def test_the_penalty_of_a_linear_layer_is_exact() -> None:
    net = nets.mlp()
    mask = torch.zeros(4, 16)
    mask[:, :3] = 1
    layer = net.body.get_submodule("2")
    assert isinstance(layer, Synapse)
    layer.set_mask(mask)
    spikes: list[torch.Tensor] = []
    net.neurons()["1"].observers.append(lambda u, s: spikes.append(s))
    penalty = ActivityPenalty(net)
    net(nets.coded_input(net))
    expected = float(spikes[0][..., :3].detach().mean())
    assert float(penalty.share().detach()) == pytest.approx(expected, rel=1e-6)


def test_images_move_by_whole_pixels_and_zeros_enter() -> None:
    x = np.arange(1, 10, dtype=np.uint8).reshape(1, 1, 3, 3)
    right = shifted(x, -1, np.array([1]), fill=True)
    assert right[0, 0].tolist() == [[0, 1, 2], [0, 4, 5], [0, 7, 8]]
    assert right.dtype == np.uint8


def test_sequences_move_in_time_and_the_edge_repeats() -> None:
    x = np.arange(4).reshape(1, 4, 1)
    assert shifted(x, 1, np.array([-1]), fill=False).flatten().tolist() == [1, 2, 3, 3]


def test_augmentation_stays_in_range_and_follows_its_generator() -> None:
    x = np.full((50, 1, 6, 6), 250, np.uint8)
    change = Augmentation(pixels=2, amplitude=0.5)
    one, other = (change(x, np.random.default_rng(1)) for _ in range(2))
    assert np.array_equal(one, other)
    assert one.max() == 255
    assert one.min() == 0
    assert Augmentation()(x, np.random.default_rng(1)) is x
