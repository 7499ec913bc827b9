"""SET and RigL: sparse from the first step, the same count at every step, each replacing by its own rule."""

from collections.abc import Iterator

import pytest
import torch

from pruner.callback import Pruning
from pruner.config import PruneConfig
from tests.pruner.nets import events, mlp
from tests.pruner.test_callback import Run


def run_of(method: str) -> Run:
    table = {"method": method, "sparsity": 0.6, "events": 8}
    run = Run(mlp(), Pruning(PruneConfig.from_table(table)))
    run.start()
    return run


def steps_with_events(run: Run, total: int = 40) -> Iterator[tuple[int, dict[str, torch.Tensor]]]:
    """Advance step by step; yields the regenerated count and the masks before each event's step."""
    for _ in range(total):
        before = {name: mask.clone() for name, mask in run.pruning.masks.masks.items()}
        seen = len(run.pruning.events)
        run.advance(1)
        if len(run.pruning.events) > seen:
            yield run.pruning.events[-1].regenerated, before


@pytest.mark.parametrize("method", ["set", "rigl"])
def test_the_net_is_sparse_from_the_first_forward_on(method: str) -> None:
    run = run_of(method)
    assert run.pruning.masks.living() == 32
    for name, layer in run.pruning.masks.layers.items():
        assert layer.mask is not None
        assert torch.equal(layer.mask != 0, run.pruning.masks.masks[name])
    for _ in range(40):
        run.advance(1)
        assert run.pruning.masks.living() == 32


def test_set_replaces_the_same_share_at_every_event_and_rigl_less_and_less() -> None:
    shares = {m: [count for count, _ in steps_with_events(run_of(m))] for m in ("set", "rigl")}
    assert shares["set"] == [round(0.3 * 32)] * 8
    assert shares["rigl"] == sorted(shares["rigl"], reverse=True)
    assert shares["rigl"][0] > 0
    assert shares["rigl"][-1] == 0


def test_rigl_brings_in_the_dead_synapses_of_the_largest_gradient() -> None:
    run = run_of("rigl")
    net = run.net
    step = run.pruning.config.plan().steps(40)[1]
    run.advance(step)
    before = {name: mask.clone() for name, mask in run.pruning.masks.masks.items()}
    masks = run.pruning.masks
    masks.open()
    net.zero_grad()
    (net(events(net, seed=step)) - 1.0).square().mean().backward()
    dense = {name: layer.weight.grad.abs().clone() for name, layer in masks.layers.items()}  # type: ignore[union-attr]
    masks.close()
    run.advance(1)
    for name, mask in masks.masks.items():
        born = mask & ~before[name]
        left_out = ~mask
        if born.any():
            assert dense[name][born].min() >= dense[name][left_out].max()
