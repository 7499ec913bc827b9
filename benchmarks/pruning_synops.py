"""Additions at equal accuracy: ours against magnitude pruning, both with the same levers.

``python -m benchmarks.pruning_synops`` takes the dense nets of the pruning benchmark (784-800-10 on MNIST)
and prunes each to several weight sparsities in two epochs, once by second-order pruning before them, once by
gradual magnitude pruning during them, at several activity penalties. Both learn from the dense net's scores
beside the labels. Afterwards thresholds are raised by several factors. A row a net; additions of hidden
spikes and of the input are counted on the exported program, on the first 500 test samples.

Rows gather in ``--out``, which can be stopped and taken up again; ``--page`` writes the fronts: of each
method the nets that no other one of it beats in validation accuracy and additions, and what ours saves at the
accuracy of each net on magnitude's front.
"""

from __future__ import annotations

import argparse
import copy
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.pruning import ROOT, Bench, Made, about, accuracy, deployed, nonzeros
from benchmarks.pruning_fronts import synops_page
from benchmarks.pruning_plan import PRESETS, Case, compression
from benchmarks.pruning_rows import read_rows, write_rows
from pruner import Compressed, PruneConfig, Pruning
from pruner.hold import HoldMasks
from pruner.living import Living
from trainer import loop
from trainer.callbacks import Callback
from trainer.models import SpikingNet
from trainer.prepare import fold_batch_norm, prepare
from trainer.teacher import Teacher

EPOCHS = 2
SEEDS = (0, 1, 2)
PENALTIES = (0.0, 3.0, 10.0)
THRESHOLDS = (1.0, 1.15)
"""Factors on the hidden thresholds after training, of the first seed; of the others the first."""
OURS, MAGNITUDE, WHOLE = "second-order", "magnitude", "magnitude, readout whole"
RULES = {
    (OURS, 0.0): (0.97, 0.98, 0.99),
    (OURS, 1.0): (0.95, 0.97, 0.985),
    (WHOLE, 0.0): (0.9, 0.95, 0.97),
    (MAGNITUDE, 0.0): (0.8, 0.9, 0.95),
}
"""Methods and their price on additions, with weight sparsities: denser where accuracy needs it."""
LR = 3e-3


@dataclass(frozen=True)
class Setting:
    """One training."""

    method: str
    price: float
    sparsity: float
    penalty: float
    seed: int

    def rows(self, rows: Sequence[dict[str, Any]]) -> int:
        """How many of ``rows`` are of this training."""
        keys = ("method", "price", "sparsity", "activity_penalty", "seed")
        own = (self.method, self.price, self.sparsity, self.penalty, self.seed)
        return sum(tuple(row[key] for key in keys) == own for row in rows)


def factors(seed: int) -> Sequence[float]:
    """What thresholds are multiplied by."""
    return THRESHOLDS[: None if seed == SEEDS[0] else 1]


def settings(seeds: Sequence[int]) -> Iterator[Setting]:
    """All trainings, seed by seed, the methods in turns."""
    for seed in seeds:
        for penalty in PENALTIES:
            for level in zip(*RULES.values(), strict=True):
                for (method, price), sparsity in zip(RULES, level, strict=True):
                    yield Setting(method, price, sparsity, penalty, seed)


class Fronts:
    """One seed: its bench, and the pruned nets that several penalties share."""

    def __init__(self, seed: int, runs: Path) -> None:
        self.bench = Bench(PRESETS["full"], seed, runs)
        self._pruned: dict[tuple[float, float], Compressed] = {}

    def rows(self, setting: Setting) -> Iterator[dict[str, Any]]:
        """One training, and a row for each factor on its thresholds."""
        made = self._ours(setting) if setting.method == OURS else self._magnitude(setting)
        for factor in factors(setting.seed):
            yield self._row(setting, factor, made)

    def _ours(self, setting: Setting) -> Made:
        calibrated = self.bench.calibrated
        key = setting.price, setting.sparsity
        if key not in self._pruned:
            wish = replace(compression(Case(OURS, setting.sparsity)), price=setting.price)
            self._pruned[key] = calibrated.compress(wish)
        done = self._pruned[key]
        start = time.perf_counter()
        net = copy.deepcopy(done.net)
        living = Living.of(net)
        passes = self._fit(living.net, HoldMasks(), setting.penalty)
        living.put_back()
        seconds = calibrated.seconds + done.seconds + time.perf_counter() - start
        return Made(net, seconds, calibrated.sample_passes + done.sample_passes + passes)

    def _magnitude(self, setting: Setting) -> Made:
        start = time.perf_counter()
        net = copy.deepcopy(self.bench.dense)
        table = {"method": MAGNITUDE, "sparsity": setting.sparsity}
        rules = PruneConfig.from_table({**table, "protect_readout": setting.method == WHOLE})
        passes = self._fit(net, Pruning(rules), setting.penalty)
        return Made(net, time.perf_counter() - start, passes)

    def _fit(self, net: SpikingNet, callback: Callback, penalty: float) -> int:
        """Train beside the dense net's scores; the sample passes that takes."""
        config = self.bench.settings.stage(EPOCHS, LR)
        train = replace(config.train, shift_pixels=0, activity_penalty=penalty)
        teacher = Teacher(self.bench.dense, 0.5, 2.0)
        loop.fit(net, self.bench.data, replace(config, train=train), [callback], None, teacher)
        return 3 * EPOCHS * len(self.bench.data.train)

    def _row(self, setting: Setting, factor: float, made: Made) -> dict[str, Any]:
        data = self.bench.data
        net = raised(made.net, factor)
        program_net = copy.deepcopy(net)
        prepare(program_net if program_net.folded else fold_batch_norm(program_net), 8)
        return {
            "method": setting.method,
            "price": setting.price,
            "granularity": "weight",
            "sparsity": setting.sparsity,
            "bits": None,
            "epochs": EPOCHS,
            "activity_penalty": setting.penalty,
            "threshold_factor": factor,
            "seconds": round(made.seconds, 1),
            "sample_passes": made.sample_passes,
            "seed": setting.seed,
            "accuracy_dense": self.bench.accuracy_dense,
            "accuracy": accuracy(net, data.test),
            "validation_accuracy": accuracy(net, data.validation),
            "nnz": nonzeros(net),
            **deployed(program_net, data.test),
        }


def raised(net: SpikingNet, factor: float) -> SpikingNet:
    """A copy whose firing neurons have ``factor`` times their thresholds; silent ones have none to raise."""
    net = copy.deepcopy(net).eval()
    for neuron in net.neurons().values():
        threshold = tuple(factor * value for value in neuron.firing.threshold)
        neuron.firing = replace(neuron.firing, threshold=threshold)
    return net


def main(arguments: Sequence[str] | None = None) -> None:
    """The command: see the module's first lines."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    results = ROOT / "docs" / "results"
    parser.add_argument("--out", type=Path, default=results / "pruning-synops.json")
    parser.add_argument("--page", type=Path, help="write the fronts as Markdown here")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "pruning", help="dense nets")
    parser.add_argument("--seeds", type=int, nargs="*", default=SEEDS)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    fronts: dict[int, Fronts] = {}
    for setting in settings(options.seeds):
        rows = read_rows(options.out)
        if setting.rows(rows) >= len(factors(setting.seed)):
            continue
        if setting.seed not in fronts:
            fronts = {setting.seed: Fronts(setting.seed, options.runs)}
        found = list(fronts[setting.seed].rows(setting))
        for row in found:
            print(json.dumps(row), flush=True)
        write_rows(options.out, [*rows, *found], about("full"))
    if options.page is not None:
        options.page.write_text(synops_page(json.loads(options.out.read_text())), encoding="utf-8")


if __name__ == "__main__":
    main()
