"""What each process of ``test_distributed`` runs: trains, prunes, and writes what came out."""

import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from pruner import PruneConfig, Pruning
from tests.trainer.test_loop import INFO, Blobs, blobs
from trainer import config as configs
from trainer import distributed
from trainer.build import build_net, input_spec
from trainer.loop import Run, fit

TEXT = """
[input]
n_steps = 4
[[layers]]
kind = "linear"
out = 16
bias = true
{norm}
[[layers]]
kind = "lif"
learn_leak = true
[[layers]]
kind = "linear"
[[layers]]
kind = "lif"
[train]
epochs = 3
batch_size = 32
lr = 1e-2
threads = 1
activity_penalty = 0.05
gradient_clip = 1.0
"""
NORM = '[[layers]]\nkind = "batch_norm"\nfrozen = true'
PLAN = PruneConfig(
    sparsity=0.6,
    events=4,
    regenerate=0.3,
    criterion="criticality-activity",
    gather_steps=3,
    protect_readout=True,
)


def trained(norm: bool, folder: Path | None) -> dict[str, torch.Tensor]:
    """The weights and masks after training on this process's share."""
    config = configs.parse(TEXT.format(norm=NORM if norm else ""))
    data: Blobs = blobs()
    net = build_net(config, input_spec(config.input, INFO), 3, INFO.classes)
    history = fit(net, data, config, [Pruning(PLAN, folder and folder / "prune.jsonl")], Run(folder))
    assert np.isfinite(history.records[-1]["loss"])
    out = {key: value.clone() for key, value in net.state_dict().items()}
    return out | {"loss": torch.tensor([r["loss"] for r in history.records])}


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    for norm in (False, True):
        own = folder / f"norm-{norm}"
        if distributed.is_leader():
            own.mkdir()
        distributed.wait()
        save_file(trained(norm, own), folder / f"{norm}-{distributed.rank()}.safetensors")
