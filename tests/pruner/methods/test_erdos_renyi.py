import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pruner.allocation import UNAVAILABLE
from pruner.methods.erdos_renyi import erdos_renyi, erdos_renyi_kernel


def layers(**shapes: tuple[int, ...]) -> dict[str, torch.Tensor]:
    return {name: torch.zeros(shape) for name, shape in shapes.items()}


def test_densities_of_the_anchor_net_are_those_of_the_formula() -> None:
    # 784-800-10 at 99 %: 6352 weights by (784 + 800) : (800 + 10), by hand
    scores = layers(fc1=(800, 784), fc2=(10, 800))
    assert erdos_renyi(scores, 6352) == {"fc1": 4203, "fc2": 2149}
    # at 95 % the readout's share exceeds it: it is whole, and the rest goes to the other
    assert erdos_renyi(scores, 31760) == {"fc1": 23760, "fc2": 8000}


def test_the_kernel_counts_only_in_the_second_form() -> None:
    scores = layers(a=(16, 8, 3, 3), b=(32, 16, 1, 1))
    plain, kernel = erdos_renyi(scores, 300), erdos_renyi_kernel(scores, 300)
    assert plain["a"] / plain["b"] == pytest.approx((16 + 8) * 9 / (32 + 16), rel=0.05)
    assert kernel["a"] / kernel["b"] == pytest.approx((16 + 8 + 6) / (32 + 16 + 2), rel=0.05)


@given(st.integers(0, 16 * 8 * 9 + 60 * 3 + 12), st.sampled_from([erdos_renyi, erdos_renyi_kernel]))
def test_the_counts_are_exact_and_within_each_layer(budget: int, allocation: object) -> None:
    scores = layers(conv=(16, 8, 3, 3), fc1=(3, 60), fc2=(4, 3))
    counts = allocation(scores, budget)  # type: ignore[operator]
    assert sum(counts.values()) == budget
    assert all(0 <= counts[name] <= score.numel() for name, score in scores.items())


def test_only_available_synapses_are_counted_on() -> None:
    scores = layers(a=(4, 5), b=(4, 5))
    scores["a"][1:] = UNAVAILABLE
    assert erdos_renyi(scores, 16) == {"a": 5, "b": 11}
