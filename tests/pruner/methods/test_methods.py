"""Every named method prunes every small net to its target, from a ``[prune]`` table alone."""

from dataclasses import replace

import pytest
import torch

from pruner.callback import Pruning
from pruner.config import PruneConfig
from pruner.granularity import Granularity
from pruner.registry import METHODS
from runtime.errors import ConfigError
from tests.pruner.nets import conv, mlp, recurrent
from tests.pruner.test_callback import STEPS, Run

SHORT = {"sparsity": 0.5, "events": 6, "end": 0.8, "gather_steps": 3}


def table(method: str) -> dict[str, object]:
    """A ``[prune]`` table; keys that make the method what it is are left to it."""
    return {"method": method, **{key: v for key, v in SHORT.items() if key not in METHODS[method].keys}}


ON_EVERY_NET = ("yao", "criticality", "rigl", "grad-r", "stds", "upr")
PAIRS = [(m, conv) for m in METHODS] + [(m, net) for m in ON_EVERY_NET for net in (mlp, recurrent)]


@pytest.mark.parametrize(("method", "build"), PAIRS)
def test_a_method_meets_the_density_exactly_and_its_last_masks_hold(method: str, build: type) -> None:
    config = PruneConfig.from_table(table(method))
    if config.granularity is not Granularity.WEIGHT:
        # half of all synapses leave two channels here, and a layer without any is refused
        config = replace(config, sparsity=0.3)
    run = Run(build(), Pruning(config))
    run.start()
    last = config.plan().steps(STEPS)[-1] + 1
    run.advance(last)
    masks = run.pruning.masks
    wanted = int((1.0 - config.sparsity) * masks.total + 1e-6)
    if config.granularity is Granularity.WEIGHT:
        assert masks.living() == wanted
    else:
        largest = max(mask[0].numel() for mask in masks.masks.values())
        assert wanted - len(masks.free) * largest < masks.living() <= wanted
        for name in masks.free:
            assert all(bool(row.all()) or not row.any() for row in masks.masks[name])
    found = {name: mask.clone() for name, mask in masks.masks.items()}
    run.advance(STEPS - last)
    for name, layer in masks.layers.items():
        assert torch.equal(masks.masks[name], found[name])
        assert layer.weight[~found[name]].abs().sum() == 0
        assert layer.mask is not None
        assert torch.equal(layer.mask != 0, found[name])


@pytest.mark.parametrize("method", METHODS)
def test_a_method_says_its_source_and_where_we_differ(method: str) -> None:
    assert METHODS[method].source
    assert METHODS[method].differs
    assert "sparsity" not in METHODS[method].keys


def test_keys_of_the_table_stand_above_those_of_the_method() -> None:
    config = PruneConfig.from_table({"method": "criticality", "regenerate": 0.1})
    assert config.regenerate == 0.1
    assert config.regenerate_by == "criticality-gradient"


def test_an_unknown_method_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"prune\.method: found 'luck', expected one of .*criticality"):
        PruneConfig.from_table({"method": "luck"})
