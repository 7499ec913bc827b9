import torch

from pruner.allocation import choose
from pruner.evidence import Evidence
from pruner.methods.lamp import lamp
from pruner.registry import ALLOCATIONS


def score(weight: torch.Tensor) -> torch.Tensor:
    return lamp(Evidence(weight, torch.Generator()))


def test_the_score_is_the_square_over_the_squares_that_are_not_smaller() -> None:
    weight = torch.tensor([[3.0, -1.0], [2.0, 0.0]])
    expected = torch.tensor([[9 / 9, 1 / 14], [4 / 13, 0.0]], dtype=torch.float64)
    torch.testing.assert_close(score(weight), expected)


def test_the_score_does_not_know_a_layers_scale_and_keeps_its_order() -> None:
    weight = torch.randn(5, 7, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(score(weight), score(64.0 * weight))
    assert torch.equal(torch.argsort(score(weight).flatten()), torch.argsort(weight.abs().flatten()))


def test_a_small_layer_of_small_weights_survives_where_global_magnitude_kills_it() -> None:
    generator = torch.Generator().manual_seed(1)
    weights = {"big": torch.randn(40, 40, generator=generator), "small": torch.randn(4, 4) * 1e-3}
    by_lamp = choose({n: score(w) for n, w in weights.items()}, 100, ALLOCATIONS["global"])
    by_size = choose({n: w.abs() for n, w in weights.items()}, 100, ALLOCATIONS["global"])
    assert int(by_size["small"].sum()) == 0
    # the largest weight of every layer scores 1: no layer dies before all layers are down to one weight
    assert int(by_lamp["small"].sum()) >= 1
    last = choose({n: score(w) for n, w in weights.items()}, 2, ALLOCATIONS["global"])
    assert [int(mask.sum()) for mask in last.values()] == [1, 1]
