import json

import pytest
import torch

from pruner.callback import Pruning
from pruner.config import PruneConfig
from runtime.errors import ConfigError
from tests.pruner.nets import mlp
from tests.pruner.test_callback import Run
from trainer.callbacks import State
from trainer.config import Config

TABLE = {
    "method": "iterative-magnitude",
    "sparsity": 1 - 0.75**3,
    "events": 3,
    "begin": 0.25,
    "end": 0.75,
    "rewind": 0.2,
}
EVENTS = (10, 19, 29)


def run_of(pruning: Pruning | None = None) -> Run:
    return Run(mlp(), pruning or Pruning(PruneConfig.from_table(TABLE)))


def test_each_level_takes_a_quarter_and_goes_back_to_the_kept_values() -> None:
    run = run_of()
    run.start()
    run.advance(2)  # a fifth of the first level of eleven steps
    kept = {name: value.clone() for name, value in run.net.state_dict().items() if "mask" not in name}
    for level, event in enumerate(EVENTS, start=1):
        run.advance(event + 1 - run.state.step)
        assert len(run.pruning.events) == level
        assert run.pruning.masks.living() == int(0.75**level * 80 + 1e-6)
        for name, layer in run.pruning.masks.layers.items():
            expected = kept[f"body.{name}.weight"] * run.pruning.masks.masks[name]
            assert torch.equal(layer.weight, expected)
        assert not run.optimizer.state
    run.advance(40 - run.state.step)
    assert run.pruning.masks.living() == int(0.75**3 * 80 + 1e-6)


def test_the_learning_rate_runs_its_course_in_every_level() -> None:
    run = run_of()
    run.start()
    done = []
    for _ in range(40):
        done.append(run.state.done)
        run.advance(1)
    expected = [step / 11 for step in range(11)]
    for length in (9, 10, 10):
        # the values are those before the third step, so the course is two steps in
        expected += [(step + 2) / (length + 2) for step in range(length)]
    assert done == pytest.approx(expected)


@pytest.mark.parametrize("pause", [1, 2, 7, 10, 25])
def test_a_resumed_run_rewinds_to_the_same_values(pause: int) -> None:
    whole = run_of()
    whole.start()
    whole.advance()
    first = run_of()
    first.start()
    first.advance(pause)
    memory = json.loads(json.dumps(first.pruning.memory()))
    second = run_of()
    for name, layer in first.pruning.masks.layers.items():
        second.net.body.get_submodule(name).set_mask(layer.mask)  # type: ignore[operator]
    second.net.load_state_dict(first.net.state_dict())
    second.optimizer.load_state_dict(first.optimizer.state_dict())
    second.pruning.recall(memory)
    second.start(step=pause)
    second.advance(40 - pause)
    for name, layer in whole.pruning.masks.layers.items():
        torch.testing.assert_close(layer.weight, second.pruning.masks.layers[name].weight)


def test_a_state_without_a_course_runs_over_the_whole_run() -> None:
    net = mlp()
    state = State(net, torch.optim.SGD(net.parameters(), lr=1.0), Config(layers=({},)), 8, 1, step=2)
    assert state.done == 0.25


@pytest.mark.parametrize("wrong", [{"rewind": 1.0}, {"rewind": -0.1}, {"rewind": 0.1, "begin": 0.0}])
def test_a_rewind_that_cannot_be_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=r"prune\.(rewind|begin)"):
        PruneConfig.from_table({**TABLE, **wrong})


def test_levels_of_a_quarter_give_the_sparsities_of_the_published_run() -> None:
    # weight sparsities of the 14 levels in the public log of Kim et al. 2022, in percent
    published = (
        25.04, 43.71, 57.76, 68.3, 76.2, 82.13, 86.58, 89.91, 92.41, 94.29, 95.69, 96.75, 97.54, 98.13
    )  # fmt: skip
    plan = PruneConfig.from_table({**TABLE, "sparsity": 1 - 0.75**14, "events": 14}).plan()
    assert [100 * plan.sparsity(k) for k in range(1, 15)] == pytest.approx(published, abs=0.11)
