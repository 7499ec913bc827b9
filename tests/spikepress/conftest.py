"""One small run through the whole pipeline, shared by the tests that read its artefacts."""

import pytest

from spikepress.pipeline import export, prune, quantize, train

CONFIG = """
[data]
name = "digits"

[input]
coding = "direct"
n_steps = 4

[[layers]]
kind = "flatten"

[[layers]]
kind = "linear"
out = 24

[[layers]]
kind = "lif"
shifts = 2

[[layers]]
kind = "linear"

[[layers]]
kind = "lif"
shifts = 2

[train]
epochs = 3
batch_size = 64
lr = 1e-2
threads = 1

[prune]
sparsity = 0.6
epochs = 2
events = 4

[quantize]
epochs = 1
"""


@pytest.fixture(scope="session")
def small_run(tmp_path_factory):
    """A run directory with every stage done; tests must not change it."""
    folder = tmp_path_factory.mktemp("small")
    config = folder / "small.toml"
    config.write_text(CONFIG, encoding="utf-8")
    run = folder / "run"
    train(config, run)
    prune(run)
    quantize(run)
    export(run)
    return run
