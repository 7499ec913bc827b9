"""Every way to prune on one network: accuracy, bytes, additions and cost, a row a method and seed.

``python -m benchmarks.pruning --preset quick|full --out FILE.json`` trains the dense nets it does not find
under ``--runs`` and measures the rows that FILE.json lacks, so that it can be stopped and taken up again;
several processes may share one file (``--seeds``). ``--page FILE.md`` writes the table of what is there.

Everything was chosen on the 5,999 validation samples; test samples are evaluated once a row. Costs count all
that happens after dense training: calibration, search and tuning. A method that starts from an untrained
net gets the row's epochs and no dense training. ``bytes`` are those of the exported program's tables and
neuron parameters; rows with real weights are rounded to 8 bits for them and for ``effective_acs``.
"""

from __future__ import annotations

import argparse
import copy
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.pruning_page import page
from benchmarks.pruning_plan import (
    POST_TRAINING,
    PRESETS,
    Case,
    Preset,
    Tuning,
    begins_untrained,
    compression,
    rules,
    tuning,
)
from benchmarks.pruning_rows import add_row, key_of, read_rows
from exporter.lower import lower
from exporter.passes import drop_dead, simplify
from exporter.quantize import QuantizeOptions, quantize
from exporter.sources.torch import graph_from_torch
from pruner import Calibrated, MaskSet, PruneConfig, Pruning
from pruner.hold import HoldMasks
from pruner.living import Living
from pruner.topology import prunable_layers
from runtime.coding import encode_input
from runtime.cost import footprint
from runtime.engine import Engine
from spikepress.settings import Settings, parse_settings
from trainer import build, checkpoint, datasets, loop
from trainer.callbacks import Callback
from trainer.datasets.samples import Samples, Splits
from trainer.evaluate import evaluate
from trainer.models import SpikingNet
from trainer.prepare import fold_batch_norm, prepare
from trainer.teacher import Teacher

ROOT = Path(__file__).parent.parent
COUNTED = 500
"""Test samples that additions are counted on."""
SHORT = 2
"""Up to so many epochs methods that prune while training do so without shifted images; by validation (seed 0,
99 % sparse: 97.9 % against 97.6)."""


@dataclass(frozen=True)
class Made:
    """A pruned net and what making it took."""

    net: SpikingNet
    seconds: float
    sample_passes: int


class Bench:
    """One seed of a preset: its data, its dense net, and calibrations shared by its cases."""

    def __init__(self, preset: Preset, seed: int, runs: Path) -> None:
        self.preset, self.seed = preset, seed
        self.settings = settings_of(preset, seed)
        config = self.settings.config
        self.data = fewer(datasets.load(config.data.name, None, config.data.options), preset.train_samples)
        self.dense = self._dense(runs / f"{preset.width or preset.config}-seed{seed}")
        self.accuracy_dense = accuracy(self.dense, self.data.test)
        self._calibrated: Calibrated | None = None

    def _dense(self, folder: Path) -> SpikingNet:
        done = folder / "dense.safetensors"
        if not done.exists():
            net = self.untrained()
            loop.fit(net, self.data, self.settings.config)
            folder.mkdir(parents=True, exist_ok=True)
            checkpoint.save(done, net)
        return checkpoint.load(done)

    def untrained(self) -> SpikingNet:
        """The net with its first weights."""
        config, info = self.settings.config, self.data.info
        return build.build_net(config, build.input_spec(config.input, info), len(info.classes), info.classes)

    @property
    def calibrated(self) -> Calibrated:
        """The dense net's moments; their cost is counted in every row that uses them."""
        if self._calibrated is None:
            self._calibrated = Calibrated(self.dense, self.data.train)
        return self._calibrated

    def row(self, case: Case) -> dict[str, Any]:
        """Measure one case."""
        made = self.make(case)
        made.net.eval()
        program_net = copy.deepcopy(made.net)
        if program_net.quantization is None:
            prepare(program_net if program_net.folded else fold_batch_norm(program_net), 8)
        return {
            "method": case.method,
            "granularity": case.granularity.value,
            "sparsity": case.sparsity,
            "bits": case.bits,
            "epochs": case.epochs,
            "seconds": round(made.seconds, 1),
            "sample_passes": made.sample_passes,
            "seed": self.seed,
            "accuracy_dense": self.accuracy_dense,
            "accuracy": accuracy(made.net, self.data.test),
            "validation_accuracy_dense": accuracy(self.dense, self.data.validation),
            "validation_accuracy": accuracy(made.net, self.data.validation),
            "nnz": nonzeros(made.net),
            **deployed(program_net, self.data.test),
        }

    def make(self, case: Case) -> Made:
        """Prune as the case says."""
        if case.method == "one-shot-magnitude":
            return self._one_shot(case.sparsity)
        if case.method in POST_TRAINING:
            return self._post_training(case)
        return self._while_training(case)

    def _one_shot(self, sparsity: float) -> Made:
        start = time.perf_counter()
        net = copy.deepcopy(self.dense)
        masks = MaskSet(net)
        every = torch.cat([layer.weight.abs().flatten() for layer in masks.layers.values()])
        keep = int((1.0 - sparsity) * masks.total + 1e-6)
        chosen = torch.zeros(len(every), dtype=torch.bool)
        chosen[every.argsort(descending=True)[:keep]] = True
        parts: Sequence[Tensor] = chosen.split([m.numel() for m in masks.masks.values()])
        shaped = zip(masks.masks.items(), parts, strict=True)
        masks.set({name: part.view_as(mask) for (name, mask), part in shaped})
        return Made(net, time.perf_counter() - start, 0)

    def _post_training(self, case: Case) -> Made:
        done = self.calibrated.compress(compression(case))
        seconds = self.calibrated.seconds + done.seconds
        passes = self.calibrated.sample_passes + done.sample_passes
        if case.epochs == 0:
            return Made(done.net, seconds, passes)
        tuned = self._tuned(done.net, case.epochs, tuning(self.preset, case))
        return Made(tuned.net, seconds + tuned.seconds, passes + tuned.sample_passes)

    def _tuned(self, net: SpikingNet, epochs: int, how: Tuning) -> Made:
        """Trained on its masks."""
        start = time.perf_counter()
        living = Living.of(net)
        passes = self._taught(living.net, epochs, how, HoldMasks())
        living.put_back()
        return Made(net, time.perf_counter() - start, passes)

    def _taught(self, net: SpikingNet, epochs: int, how: Tuning, callback: Callback) -> int:
        """Train beside the dense net's scores; the sample passes that takes."""
        config = self.settings.stage(epochs, how.lr)
        train = replace(
            config.train, batch_size=how.batch_size, shift_pixels=how.shift_pixels, activity_penalty=0.0
        )
        teacher = Teacher(self.dense, how.share, how.temperature)
        loop.fit(net, self.data, replace(config, train=train), [callback], None, teacher)
        return 3 * epochs * len(self.data.train)

    def _while_training(self, case: Case) -> Made:
        net = self.untrained() if begins_untrained(case) else copy.deepcopy(self.dense)
        chosen = PruneConfig.from_table(rules(case, self.preset.dense_epochs))
        if self.preset.training is not None:
            start = time.perf_counter()
            passes = self._taught(net, case.epochs, self.preset.training, Pruning(chosen))
            return Made(net, time.perf_counter() - start, passes)
        lr = self.settings.config.train.lr if begins_untrained(case) else self.settings.prune_lr
        return self._trained(net, case.epochs, lr, Pruning(chosen))

    def _trained(self, net: SpikingNet, epochs: int, lr: float, callback: Callback) -> Made:
        start = time.perf_counter()
        config = self.settings.stage(epochs, lr)
        if epochs <= SHORT:
            config = replace(config, train=replace(config.train, shift_pixels=0))
        loop.fit(net, self.data, config, [callback])
        # an epoch is a pass forward and one back
        return Made(net, time.perf_counter() - start, 2 * epochs * len(self.data.train))


def settings_of(preset: Preset, seed: int) -> Settings:
    """The preset's configuration with its width, epochs and the seed."""
    folders = (ROOT / "configs", ROOT / "benchmarks")
    path = next(p for p in (f / f"{preset.config}.toml" for f in folders) if p.exists())
    settings = parse_settings(path.read_text(encoding="utf-8"), path.parent, preset.config)
    config = settings.config
    layers = list(config.layers)
    if preset.width:
        hidden = next(n for n, layer in enumerate(layers) if layer["kind"] == "linear")
        layers[hidden] = {**layers[hidden], "out": preset.width}
    train = replace(config.train, seed=seed, epochs=preset.dense_epochs or config.train.epochs)
    return replace(settings, config=replace(config, layers=tuple(layers), train=train))


def fewer(data: Splits, count: int) -> Splits:
    """The splits with only the first ``count`` training samples; 0 keeps all."""
    if count == 0:
        return data
    return replace(data, train=Samples(data.train.x[:count], data.train.y[:count]))


def accuracy(net: SpikingNet, samples: Samples) -> float:
    return float((evaluate(net, samples).predictions == samples.y).mean())


def nonzeros(net: SpikingNet) -> int:
    """Weights that are not zero."""
    return sum(int((layer.effective_weight() != 0).sum()) for layer in prunable_layers(net).values())


def deployed(net: SpikingNet, test: Samples) -> dict[str, float]:
    """Stored bytes of a quantized net's program, and its additions per sample."""
    graph = drop_dead(quantize(simplify(graph_from_torch(net.eval())), QuantizeOptions()))
    program = lower(graph)
    counts = Engine(program).run(encode_input(test.x[:COUNTED], program.input)).counts
    return {
        "bytes": sum(line.total for line in footprint(program)),
        "effective_acs": counts.effective_acs / counts.samples,
        "input_adds": counts.input_adds / counts.samples,
    }


def about(preset: str) -> dict[str, Any]:
    """How the rows were measured."""
    versions = {name: importlib.metadata.version(name) for name in ("torch", "numpy", "numba")}
    machine = f"{platform.machine()}, {os.cpu_count()} cores, one thread"
    return {"preset": preset, "machine": machine, "python": platform.python_version(), **versions}


def one_seed(arguments: Sequence[str], seed: int) -> None:
    """The same command for one seed, in a process of its own; rows gather in the shared file."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.pruning",
        *arguments,
        "--processes",
        "1",
        "--seeds",
        str(seed),
    ]
    subprocess.run(command, check=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command: see the module's first lines."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--preset", choices=sorted(PRESETS), default="quick")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "results" / "pruning.json")
    parser.add_argument("--page", type=Path, help="write the rows as Markdown here")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "pruning", help="dense nets")
    parser.add_argument("--seeds", type=int, nargs="+", help="only these")
    parser.add_argument("--methods", nargs="+", help="only these")
    parser.add_argument("--cases", type=int, help="only the first so many")
    parser.add_argument("--processes", type=int, default=2, help="seeds measured at once, one thread each")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    preset = PRESETS[options.preset]
    seeds = options.seeds or preset.seeds
    if min(options.processes, len(seeds)) > 1:
        given = sys.argv[1:] if arguments is None else list(arguments)
        with ThreadPoolExecutor(options.processes) as pool:
            list(pool.map(lambda seed: one_seed(given, seed), seeds))
    cases = [c for c in preset.cases if options.methods is None or c.method in options.methods]
    benches: dict[int, Bench] = {}
    for case in cases[: options.cases]:
        for seed in seeds:
            if case.key(seed) in {key_of(row) for row in read_rows(options.out)}:
                continue
            if seed not in benches:
                benches[seed] = Bench(preset, seed, options.runs)
            row = benches[seed].row(case)
            print(json.dumps(row), flush=True)
            add_row(options.out, row, about(options.preset))
    if options.page is not None:
        report = json.loads(options.out.read_text(encoding="utf-8"))
        options.page.write_text(page(report, preset), encoding="utf-8")


if __name__ == "__main__":
    main()
