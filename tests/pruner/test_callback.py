import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from pruner.callback import Pruning
from pruner.config import PruneConfig
from pruner.registry import ALLOCATIONS, CRITERIA
from pruner.regrow import Candidates, Value
from runtime.errors import ConfigError, ModelError, OutputError
from tests.pruner.nets import conv, events, mlp, recurrent
from trainer.callbacks import State
from trainer.config import Config, Keep, TrainConfig
from trainer.models import SpikingNet

STEPS = 40
PLAN = PruneConfig(sparsity=0.8, events=6, end=0.8, regenerate=0.4, gather_steps=3)


class Run:
    """A bare training loop around a callback; stops and goes on like a resumed one."""

    def __init__(self, net: SpikingNet, pruning: Pruning, total: int = STEPS) -> None:
        self.net, self.pruning = net, pruning
        self.optimizer = torch.optim.Adam(net.parameters(), lr=0.02, weight_decay=0.01)
        config = Config(layers=({"type": "linear"},))
        self.state = State(net, self.optimizer, config, total_steps=total, total_epochs=1)

    def start(self, step: int = 0) -> None:
        self.state.step = step
        self.pruning.start(self.state)

    def advance(self, steps: int = STEPS) -> None:
        for _ in range(steps):
            self.net.train()
            self.optimizer.zero_grad()
            out = self.net(events(self.net, seed=self.state.step))
            (out - 1.0).square().mean().backward()
            self.pruning.after_backward(self.state)
            self.optimizer.step()
            self.pruning.after_step(self.state)
            self.state.step += 1


def pruned(net: SpikingNet, config: PruneConfig = PLAN) -> Pruning:
    run = Run(net, Pruning(config))
    run.start()
    run.advance()
    return run.pruning


@pytest.mark.parametrize("build", [mlp, conv, recurrent])
@pytest.mark.parametrize("allocation", sorted(ALLOCATIONS))
def test_density_is_met_exactly_at_every_event(build: Any, allocation: str) -> None:
    config = replace(PLAN, allocation=allocation)
    pruning = pruned(build(), config)
    total = pruning.masks.total
    plan = config.plan()
    assert len(pruning.events) == config.events
    for record in pruning.events:
        wanted = int((1 - plan.sparsity(record.event)) * total + 1e-6)
        assert record.living == wanted
        assert record.regenerated == round(plan.regenerated(record.event) * wanted)
        assert record.weight_sparsity == pytest.approx(1 - wanted / total)
        assert sum(layer.living for layer in record.layers.values()) == wanted
    assert pruning.events[-1].weight_sparsity >= config.sparsity - 1e-9
    assert pruning.masks.living() == pruning.events[-1].living


@pytest.mark.parametrize("criterion", sorted(CRITERIA))
@pytest.mark.parametrize("candidates", list(Candidates))
@pytest.mark.parametrize("value", list(Value))
def test_no_rule_leaves_a_dead_weight_or_moment(criterion: str, candidates: Candidates, value: Value) -> None:
    config = replace(
        PLAN,
        allocation="uniform",
        criterion=criterion,
        regenerate_by=criterion,
        regenerate_from=candidates,
        regenerate_value=value,
    )
    run = Run(mlp(), Pruning(config))
    run.start()
    for _ in range(STEPS):
        run.advance(1)
        for name, layer in run.pruning.masks.layers.items():
            dead = ~run.pruning.masks.masks[name]
            assert layer.mask is not None
            assert torch.equal(layer.mask != 0, ~dead)
            assert layer.weight[dead].abs().sum() == 0
            state = run.optimizer.state[layer.weight]
            assert all(state[key][dead].abs().sum() == 0 for key in ("exp_avg", "exp_avg_sq"))


def test_regeneration_brings_back_what_magnitude_alone_would_lose() -> None:
    plain = pruned(mlp(), replace(PLAN, regenerate=0.0))
    chosen = pruned(mlp())
    assert plain.masks.living() == chosen.masks.living()
    assert any(not torch.equal(plain.masks.masks[n], chosen.masks.masks[n]) for n in plain.masks.masks)


def test_a_regenerated_synapse_starts_at_zero_or_where_it_was() -> None:
    config = replace(PLAN, events=1, end=0.5, regenerate_by="random")
    run = Run(mlp(), Pruning(replace(config, regenerate=0.4)))
    run.start()
    # one event has no regeneration left: the share ends at zero
    run.advance()
    assert run.pruning.events[0].regenerated == 0
    for value in Value:
        two = replace(config, events=2, end=0.3, regenerate_value=value, sparsity=0.6)
        run = Run(mlp(), Pruning(two))
        run.start()
        run.advance(1)
        (event,) = run.pruning.events
        zeros = sum(
            int((layer.weight[run.pruning.masks.masks[name]] == 0).sum())
            for name, layer in run.pruning.masks.layers.items()
        )
        assert zeros == (event.regenerated if value is Value.ZERO else 0)
        assert event.regenerated > 0


def test_protected_layers_stay_whole_and_count_in_the_sparsity() -> None:
    pruning = pruned(mlp(), replace(PLAN, sparsity=0.5, protect_readout=True))
    assert pruning.masks.protected == {"2"}
    assert pruning.masks.density("2") == 1.0
    assert pruning.masks.density() == 0.5


def test_a_run_repeats_under_its_seed() -> None:
    config = replace(PLAN, regenerate_by="random", regenerate_value=Value.OLD)
    first, again, other = (pruned(mlp(), replace(config, seed=seed)) for seed in (1, 1, 2))
    assert first.events == again.events
    assert all(torch.equal(first.masks.masks[n], again.masks.masks[n]) for n in first.masks.masks)
    assert any(not torch.equal(first.masks.masks[n], other.masks.masks[n]) for n in first.masks.masks)


@pytest.mark.parametrize("pause", [5, 12, 30, 36])
def test_a_resumed_run_prunes_what_an_uninterrupted_one_prunes(pause: int) -> None:
    whole = Run(mlp(), Pruning(PLAN))
    whole.start()
    whole.advance()

    first = Run(mlp(), Pruning(PLAN))
    first.start()
    first.advance(pause)
    first.net.eval()
    first.net(events(first.net))  # validation must not disturb masks or meters
    memory: Mapping[str, Any] = json.loads(json.dumps(first.pruning.memory()))
    weights = {key: value.clone() for key, value in first.net.state_dict().items()}

    second = Run(mlp(seed=9), Pruning(PLAN))
    for name, layer in first.pruning.masks.layers.items():
        second.net.body.get_submodule(name).set_mask(layer.mask)  # type: ignore[operator]
    second.net.load_state_dict(weights)
    second.optimizer.load_state_dict(first.optimizer.state_dict())
    second.pruning.recall(memory)
    second.start(step=pause)
    second.advance(STEPS - pause)

    assert second.pruning.events == whole.pruning.events
    for name, mask in whole.pruning.masks.masks.items():
        assert torch.equal(mask, second.pruning.masks.masks[name])
        torch.testing.assert_close(
            whole.pruning.masks.layers[name].weight, second.pruning.masks.layers[name].weight
        )


def test_nothing_stays_attached_after_the_last_event() -> None:
    net = mlp()
    pruned(net)
    assert all(neuron.observers == [] for neuron in net.neurons().values())
    assert not net._forward_pre_hooks
    assert not any(module._forward_pre_hooks for module in net.modules())


def test_every_event_is_a_line_of_the_log(tmp_path: Path) -> None:
    path = tmp_path / "prune.jsonl"
    path.write_text("left by an earlier run\n")
    run = Run(mlp(), Pruning(PLAN, log=path))
    run.start()
    run.advance()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert lines == [asdict(record) for record in run.pruning.events]
    assert [line["event"] for line in lines] == list(range(1, PLAN.events + 1))
    for line in lines:
        assert line["stored_bytes"] == sum(layer["stored_bytes"] for layer in line["layers"].values())
    assert lines[-1]["stored_bytes"] < lines[0]["stored_bytes"]
    assert list(tmp_path.iterdir()) == [path]


def test_a_log_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    run = Run(mlp(), Pruning(PLAN, log=tmp_path / "absent" / "prune.jsonl"))
    run.start()
    with pytest.raises(OutputError, match=r"prune\.jsonl"):
        run.advance()


def test_a_run_too_short_for_its_events_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"prune\.events"):
        Run(mlp(), Pruning(PLAN), total=5).start()


def test_keeping_the_best_epoch_of_a_pruning_run_is_refused() -> None:
    run = Run(mlp(), Pruning(PLAN))
    run.state.config = replace(run.state.config, train=TrainConfig(keep=Keep.BEST))
    with pytest.raises(ConfigError, match=r"train\.keep"):
        run.start()


def test_protected_layers_that_leave_nothing_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"prune\.sparsity"):
        Run(mlp(), Pruning(replace(PLAN, protect_readout=True))).start()
    with pytest.raises(ModelError, match="fc9"):
        Run(mlp(), Pruning(replace(PLAN, protect=("fc9",)))).start()


def test_masks_that_cut_off_the_output_are_refused_with_a_way_out() -> None:
    net = mlp()
    with torch.no_grad():
        net.body[2].weight.mul_(1e-6)
    with pytest.raises(ModelError, match=r"layer '2': found no synapse left.*protect_readout"):
        pruned(net, replace(PLAN, sparsity=0.6, end=0.2, events=3, regenerate=0.0))


def test_masks_that_empty_a_hidden_layer_are_refused_by_its_name() -> None:
    net = mlp()
    with torch.no_grad():
        net.body[0].weight.mul_(1e-6)
    with pytest.raises(ModelError, match=r"layer '0': found no synapse left, expected some"):
        pruned(net, replace(PLAN, sparsity=0.8, end=0.2, events=3, regenerate=0.0))
