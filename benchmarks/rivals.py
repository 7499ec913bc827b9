"""Training-time pruning methods side by side: one network, one data split, the same epochs, no tuning.

``python -m benchmarks.rivals`` runs 784-256-10 (T = 8, constant input, soft reset) on part of MNIST's
training samples, one thread, methods taking turns inside every seed. A method that prunes a trained net
gets the dense epochs of another run and two more; one that starts untrained gets all of them itself, so
that every row has cost the same number of epochs. Accuracies are of the last epoch; comparisons use the
5,000 validation samples, test accuracy is reported beside them. Rows gather in ``--rows`` as they come;
a second call takes up what is missing. ``--write`` makes ``docs/results/rivals.json`` and ``.md``.
"""

from __future__ import annotations

import argparse
import copy
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.rivals_page import write_results
from pruner.callback import Pruning
from pruner.config import PruneConfig
from pruner.method import Begins
from pruner.registry import METHODS
from runtime.errors import ModelError
from trainer import datasets
from trainer.build import build_net, input_spec
from trainer.config import Config, parse
from trainer.datasets.samples import Samples, Splits
from trainer.evaluate import evaluate
from trainer.loop import fit
from trainer.models import SpikingNet
from trainer.structure import populations

DENSE_EPOCHS, EPOCHS, SAMPLES = 3, 2, 20_000
SPARSITIES = (0.9, 0.95, 0.97)
CRITERIA = ("criticality", "criticality-magnitude", "criticality-gradient", "gradient")
"""Scores that prune by themselves here; the other ones are methods by name."""
BANDWIDTHS = (0.25, 4.0)
LOOP = (
    "magnitude",
    "criticality",
    "criticality-m0",
    "criticality-m1",
    "criticality-m2",
    "regenerate-random",
    "regenerate-gradient",
    "granet",
    "rigl",
)
"""Methods of the seed's loop and its controls, for more seeds."""
SHAPED = (
    "magnitude",
    "criticality",
    "criticality-m0",
    "criticality-m2",
    "regenerate-random",
    "regenerate-gradient",
)
TEXT = """
[data]
name = "mnist"
[input]
coding = "direct"
n_steps = 8
[[layers]]
kind = "flatten"
[[layers]]
kind = "linear"
out = 256
[[layers]]
kind = "lif"
shifts = 2
[[layers]]
kind = "linear"
[[layers]]
kind = "li"
shifts = 3
[train]
batch_size = 128
lr = 2e-3
readout = "membrane_sum"
threads = 1
"""


@dataclass(frozen=True)
class Case:
    """One run. ``table`` is what stands in ``[prune]`` beside the sparsity."""

    name: str
    table: Mapping[str, object]
    sparsity: float
    seed: int
    penalty: float = 0.0

    @property
    def key(self) -> str:
        return f"{self.name}/{self.sparsity}/{self.seed}/{self.penalty}"

    @property
    def begins(self) -> Begins:
        method = self.table.get("method")
        return METHODS[str(method)].begins if method else Begins.TRAINED


def cases(seeds: int, loop_seeds: int) -> Iterator[Case]:
    """Everything that is run: one seed at the highest sparsity, the loop's further seeds, then the rest."""
    highest, *lower = reversed(SPARSITIES)
    yield from everything(highest, 0)
    for seed in range(loop_seeds):
        yield from loop(highest, seed)
        yield from bandwidths(highest, seed)
        yield from shaped_loop(highest, seed)
    for seed in range(seeds):
        for sparsity in lower:
            yield from loop(sparsity, seed)
            yield from shaped_loop(sparsity, seed)
    for seed in range(seeds):
        for sparsity in reversed(SPARSITIES):
            yield from everything(sparsity, seed)


def everything(sparsity: float, seed: int) -> Iterator[Case]:
    """Every method, and the scores that none of them prunes by."""
    for name in METHODS:
        yield Case(name, {"method": name}, sparsity, seed)
    for criterion in CRITERIA:
        yield Case(f"prune by {criterion}", {"criterion": criterion}, sparsity, seed)


def loop(sparsity: float, seed: int) -> Iterator[Case]:
    """The seed's loop and its controls."""
    for name in LOOP:
        yield Case(name, {"method": name}, sparsity, seed)


def bandwidths(sparsity: float, seed: int) -> Iterator[Case]:
    """Other bandwidths of the score's kernel, where the score counts most."""
    for bandwidth in BANDWIDTHS:
        table = {"method": "criticality-m1", "bandwidth": bandwidth}
        yield Case(f"criticality-m1, bandwidth {bandwidth:g}", table, sparsity, seed)


def shaped_loop(sparsity: float, seed: int) -> Iterator[Case]:
    """The loop with layer densities fixed by shape: no rule gains by moving weights between layers."""
    for name in SHAPED:
        table = {"method": name, "allocation": "erdos-renyi-kernel"}
        yield Case(f"{name}, by shape", table, sparsity, seed)


class Bench:
    """The data, and one dense net a seed."""

    def __init__(self) -> None:
        self.data = shortened(datasets.load("mnist"))
        self._dense: dict[int, tuple[SpikingNet, float]] = {}

    def run(self, case: Case) -> dict[str, Any]:
        """One row; one that says why where the pruner refused to go on."""
        dense, dense_accuracy = self.dense(case.seed)
        epochs = EPOCHS + (DENSE_EPOCHS if case.begins is Begins.UNTRAINED else 0)
        net = self.fresh(case.seed) if case.begins is Begins.UNTRAINED else copy.deepcopy(dense)
        config = training(epochs, case.seed, case.penalty)
        rules = PruneConfig.from_table({**case.table, "sparsity": case.sparsity})
        pruning = Pruning(rules)
        started = time.perf_counter()
        try:
            fit(net, self.data, config, [pruning])
        except ModelError as error:
            named = {"key": case.key, "method": case.name, "sparsity": case.sparsity, "seed": case.seed}
            return {**named, "refused": str(error)}
        seconds = time.perf_counter() - started
        validation, test = evaluate(net, self.data.validation), evaluate(net, self.data.test)
        return {
            "key": case.key,
            "method": case.name,
            "granularity": rules.granularity.value,
            "sparsity": case.sparsity,
            "bits": None,
            "epochs": epochs,
            "begins": case.begins.value,
            "seconds": seconds,
            "sample_passes": epochs * len(self.data.train.x),
            "seed": case.seed,
            "activity_penalty": case.penalty,
            "accuracy_dense": dense_accuracy,
            "accuracy": accuracy(validation.predictions, self.data.validation.y),
            "accuracy_test": accuracy(test.predictions, self.data.test.y),
            "nnz": pruning.masks.living(),
            "bytes": pruning.events[-1].stored_bytes,
            "effective_acs": effective_acs(net, self.data),
            "rates": validation.rates,
        }

    def dense(self, seed: int) -> tuple[SpikingNet, float]:
        """The trained net of a seed, and its validation accuracy."""
        if seed not in self._dense:
            net = self.fresh(seed)
            fit(net, self.data, training(DENSE_EPOCHS, seed, 0.0))
            found = evaluate(net, self.data.validation)
            self._dense[seed] = net, accuracy(found.predictions, self.data.validation.y)
        return self._dense[seed]

    def fresh(self, seed: int) -> SpikingNet:
        """The net of a seed before any training."""
        torch.manual_seed(seed)
        config = parse(TEXT)
        return build_net(config, input_spec(config.input, self.data.info), 10)


def shortened(data: Splits) -> Splits:
    """The first ``SAMPLES`` of the training samples; validation and test as they are."""
    train = Samples(data.train.x[:SAMPLES], data.train.y[:SAMPLES])
    return replace(data, train=train)


def training(epochs: int, seed: int, penalty: float) -> Config:
    config = parse(TEXT)
    train = replace(config.train, epochs=epochs, seed=seed, activity_penalty=penalty)
    return replace(config, train=train)


def accuracy(predictions: Any, labels: Any) -> float:
    return float(np.mean(predictions == labels))


@torch.no_grad()
def effective_acs(net: SpikingNet, data: Splits) -> float:
    """Additions of spikes a validation sample, mask times spikes; the constant input's are not in it."""
    spent = 0.0

    def count(module: Any, inputs: tuple[torch.Tensor, ...]) -> None:
        nonlocal spent
        fan_out = (module.weight != 0).sum(0).double()
        spent += float((inputs[0].double().sum((0, 1)) * fan_out).sum())

    heard = [a.synapse for group in populations(net).values() for a in group if not a.from_input]
    handles = [synapse.register_forward_pre_hook(count) for synapse in heard]
    evaluate(net, data.validation)
    for handle in handles:
        handle.remove()
    return spent / len(data.validation.x)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--loop-seeds", type=int, default=5)
    parser.add_argument("--rows", type=Path, default=Path("runs/rivals.jsonl"))
    parser.add_argument("--write", action="store_true", help="only write the results of the rows there are")
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.rows.parent.mkdir(parents=True, exist_ok=True)
    rows = read_rows(options.rows)
    if not options.write:
        bench, done = Bench(), {row["key"] for row in rows}
        for case in cases(options.seeds, options.loop_seeds):
            if case.key in done:
                continue
            done.add(case.key)
            rows.append(bench.run(case))
            with options.rows.open("a", encoding="utf-8") as file:
                file.write(json.dumps(rows[-1]) + "\n")
            print(f"{case.key}: {rows[-1].get('refused') or rows[-1]['accuracy']}", flush=True)
    write_results(rows)


def read_rows(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


if __name__ == "__main__":
    main()
