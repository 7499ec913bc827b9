"""Grad R, STDS and UPR: latent values behind the weights, on cases worked out by hand."""

import json
import math

import pytest
import torch

from pruner.callback import Pruning
from pruner.config import PruneConfig
from pruner.latent import Aim, Latent, Progress, kth_largest
from pruner.methods.grad_r import GradR
from pruner.methods.stds import Stds, rise
from pruner.methods.upr import OPEN, Upr
from pruner.registry import SEARCHES
from runtime.errors import ConfigError
from tests.pruner.nets import conv, mlp, recurrent
from tests.pruner.test_callback import Run
from trainer.layers import Linear

NOW = Progress(done=0.5, lr=0.1)


def layer(weight: list[list[float]]) -> Linear:
    values = torch.tensor(weight)
    made = Linear(values.shape[1], values.shape[0])
    with torch.no_grad():
        made.weight.copy_(values)
    return made


def move(made: Linear, by: list[list[float]]) -> None:
    with torch.no_grad():
        made.weight.add_(torch.tensor(by))


def test_a_strength_below_zero_is_no_synapse_but_learns_on_and_keeps_its_sign() -> None:
    made = layer([[0.3, -0.2]])
    latent = GradR({"fc": made})
    latent.begin()
    move(made, [[-0.5, 0.3]])  # the optimiser pushes both through zero
    latent.after_step(NOW)
    torch.testing.assert_close(latent.state["fc.theta"], torch.tensor([[-0.2, -0.1]]))
    assert made.weight.tolist() == [[0.0, 0.0]]
    move(made, [[0.25, -0.3]])  # gradients of dead synapses move the strengths back
    latent.after_step(NOW)
    torch.testing.assert_close(made.weight.detach(), torch.tensor([[0.05, -0.2]]))


def test_the_prior_draws_strengths_to_a_mean_that_leaves_the_asked_share_above_zero() -> None:
    made = layer([[0.9, 0.5, 0.4, 0.1, 0.05]])
    latent = GradR({"fc": made})
    latent.begin()
    latent.steer(Aim(living=2, steps=10, final_living=1), NOW)
    alpha, mu = float(latent.state["alpha"]), float(latent.state["mu"])
    # Laplace(mu, 1/alpha) has exp(alpha mu) / 2 of its mass above zero: the final density of 1 in 5
    assert math.exp(alpha * mu) / 2 == pytest.approx(0.2)
    for _ in range(10):
        latent.after_step(NOW)
    # an even pull to exactly where the third largest is zero
    torch.testing.assert_close(latent.state["fc.theta"], torch.tensor([[0.5, 0.1, 0.0, -0.3, -0.35]]))


def test_the_soft_threshold_takes_from_every_size_and_lets_gradients_through() -> None:
    made = layer([[1.0, -0.5, 0.2, -0.1]])
    latent = Stds({"fc": made})
    latent.begin()
    latent.steer(Aim(living=3, steps=5, final_living=2), NOW)
    assert float(latent.state["highest"]) == pytest.approx(0.2)
    latent.after_step(Progress(done=1.0, lr=0.1))
    torch.testing.assert_close(made.weight.detach(), torch.tensor([[0.8, -0.3, 0.0, 0.0]]))
    move(made, [[0.0, 0.0, 0.0, -0.25]])
    latent.after_step(Progress(done=1.0, lr=0.1))
    torch.testing.assert_close(made.weight.detach(), torch.tensor([[0.8, -0.3, 0.0, -0.15]]))


def test_the_threshold_rises_along_half_a_sine() -> None:
    assert [rise(x) for x in (0.0, 0.5, 1.0)] == pytest.approx([0.0, 0.5, 1.0])
    assert rise(0.25) == pytest.approx((1 - math.sqrt(0.5)) / 2)


def test_the_gradient_of_a_masked_weight_reaches_weight_mask_and_neuron() -> None:
    first, second = layer([[1.0]]), layer([[2.0, -1.0], [0.5, 4.0]])
    latent = Upr({"a": first, "b": second})
    latent.begin()
    gate = torch.sigmoid(torch.tensor(5.0 * OPEN))
    # the first layer hears no neuron, the second is gated twice
    torch.testing.assert_close(first.weight.detach(), gate.view(1, 1))
    torch.testing.assert_close(second.weight.detach(), latent.state["b.v"] * gate**2)
    first.weight.grad, second.weight.grad = torch.ones(1, 1), torch.ones(2, 2)
    latent.before_step()

    variables = {key: value.clone().requires_grad_() for key, value in latent.state.items() if "." in key}
    shown = variables["b.v"] * torch.sigmoid(5 * variables["b.m"]) * torch.sigmoid(5 * variables["b.n"])[None]
    shown.sum().backward()  # type: ignore[no-untyped-call]
    torch.testing.assert_close(second.weight.grad, variables["b.v"].grad)
    torch.testing.assert_close(latent._pulls["b.m"], variables["b.m"].grad)
    torch.testing.assert_close(latent._pulls["b.n"], variables["b.n"].grad)


def test_of_equal_weights_those_with_more_operations_close_first() -> None:
    net = conv()
    run = Run(net, Pruning(PruneConfig.from_table({"method": "upr", "sparsity": 0.5, "events": 6})))
    run.start()
    run.advance(1)
    search = run.pruning._search
    assert search is not None
    assert isinstance(search.latent, Upr)
    # 5 x 5, 2 x 2 and one position
    assert list(search.latent._positions.values()) == [25, 4, 1]


def test_the_price_follows_the_plan() -> None:
    made = layer([[1.0, 2.0, 3.0]])
    latent = Upr({"fc": made})
    latent.begin()
    latent.state["price"] = torch.tensor(1.0)
    latent.steer(Aim(living=2, steps=1, final_living=1), NOW)
    assert float(latent.state["price"]) == 2.0
    latent.steer(Aim(living=3, steps=1, final_living=1), NOW)
    assert float(latent.state["price"]) == 1.0


@pytest.mark.parametrize("kind", sorted(SEARCHES))
@pytest.mark.parametrize("pause", [1, 9, 20])
def test_a_resumed_search_ends_in_the_same_masks(kind: str, pause: int) -> None:
    config = PruneConfig.from_table({"method": kind, "sparsity": 0.7, "events": 5, "begin": 0.1})
    whole = Run(mlp(), Pruning(config))
    whole.start()
    whole.advance()
    first = Run(mlp(), Pruning(config))
    first.start()
    first.advance(pause)
    second = Run(mlp(seed=3), Pruning(config))
    second.net.load_state_dict(first.net.state_dict())
    second.optimizer.load_state_dict(first.optimizer.state_dict())
    second.pruning.recall(json.loads(json.dumps(first.pruning.memory())))
    second.start(step=pause)
    second.advance(40 - pause)
    for name, mask in whole.pruning.masks.masks.items():
        assert torch.equal(mask, second.pruning.masks.masks[name])
        torch.testing.assert_close(
            whole.pruning.masks.layers[name].weight, second.pruning.masks.layers[name].weight
        )


@pytest.mark.parametrize("kind", ["grad-r", "stds"])
@pytest.mark.parametrize("build", [mlp, conv, recurrent])
def test_a_search_is_near_its_plan_before_the_last_cut(kind: str, build: type) -> None:
    config = PruneConfig.from_table({"method": kind, "sparsity": 0.8, "events": 8})
    run = Run(build(), Pruning(config))
    run.start()
    run.advance(config.plan().steps(40)[-1])
    total = run.pruning.masks.total
    assert run.pruning.masks.living() < 0.5 * total
    run.advance(1)
    assert run.pruning.masks.living() == int(0.2 * total + 1e-6)


def test_the_kth_largest_counts_over_all_layers() -> None:
    values = [torch.tensor([1.0, 5.0]), torch.tensor([[3.0], [2.0]])]
    assert [kth_largest(values, k) for k in (1, 2, 4)] == [5.0, 3.0, 1.0]
    assert kth_largest(values, 5) == -math.inf


@pytest.mark.parametrize("wrong", [{"regenerate": 0.2}, {"rewind": 0.1, "begin": 0.1}])
def test_a_search_beside_other_rules_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=r"beside prune\.search"):
        PruneConfig.from_table({"method": "stds", **wrong})


def test_every_search_is_a_latent() -> None:
    assert all(issubclass(kind, Latent) for kind in SEARCHES.values())
