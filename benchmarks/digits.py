"""The demonstration's chain over five seeds: dense, pruned by criticality, 8 bit, in the runtime.

``python -m benchmarks.digits`` trains ``configs/digits.toml`` once a seed and writes
``docs/results/digits.json`` and ``digits.md``. Everything was chosen on a split of the first 1,437
samples; the last 360, by other writers, are evaluated once, when a seed's chain is complete.
``--validation`` is for making such choices: it prints validation accuracies and never sees the test.
"""

from __future__ import annotations

import argparse
import copy
import importlib.metadata
import json
import os
import platform
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from exporter.lower import lower
from exporter.passes import drop_dead, simplify
from exporter.quantize import QuantizeOptions, quantize
from exporter.sources.torch import graph_from_torch
from pruner.callback import Pruning
from pruner.log import EventRecord
from runtime.coding import encode_input
from runtime.cost import footprint
from runtime.engine import Engine
from spikepress.settings import Settings, config_text, parse_settings
from trainer import build, datasets, loop
from trainer.datasets.samples import Samples, Splits
from trainer.evaluate import evaluate
from trainer.models import SpikingNet
from trainer.prepare import fold_batch_norm, prepare

ROOT = Path(__file__).parent.parent
STAGES = ("dense", "pruned", "quantized")
ACCURACIES = (*STAGES, "runtime")


@dataclass(frozen=True)
class Chain:
    """One seed's networks, one a stage, the record of the last pruning event, and the stages' seconds."""

    nets: dict[str, SpikingNet]
    pruning: EventRecord
    seconds: dict[str, float]


@dataclass(frozen=True)
class Deployed:
    """The exported program on the test samples; operations are per sample, bytes are stored tables and
    neuron parameters."""

    runtime: float
    stored_bytes: int
    effective_acs: float
    input_adds: float
    dense_synops: float


def settings_of(config: str, seed: int) -> Settings:
    """The configuration with its training seed set."""
    settings = parse_settings(*config_text(config), config)
    train = replace(settings.config.train, seed=seed)
    return replace(settings, config=replace(settings.config, train=train))


def chain(settings: Settings, data: Splits) -> Chain:
    """Train, prune and quantize; each stage goes on from the one before and is kept."""
    spec = build.input_spec(settings.config.input, data.info)
    net = build.build_net(settings.config, spec, len(data.info.classes), data.info.classes)
    pruning = Pruning(settings.prune)
    nets: dict[str, SpikingNet] = {}
    seconds: dict[str, float] = {}
    for stage in STAGES:
        start = time.perf_counter()
        if stage == "dense":
            loop.fit(net, data, settings.config)
        elif stage == "pruned":
            loop.fit(net, data, settings.stage(settings.prune_epochs, settings.prune_lr), [pruning])
        else:
            widths = settings.quantize
            prepare(fold_batch_norm(net), widths.bits, first=widths.first, last=widths.last)
            loop.fit(net, data, settings.stage(widths.epochs, widths.lr))
        seconds[stage] = round(time.perf_counter() - start, 1)
        nets[stage] = copy.deepcopy(net)
    return Chain(nets, pruning.events[-1], seconds)


def accuracy(net: SpikingNet, samples: Samples) -> float:
    return float((evaluate(net, samples).predictions == samples.y).mean())


def deployed(net: SpikingNet, samples: Samples) -> Deployed:
    """Export ``net`` and run it with the accumulate-only engine."""
    graph = drop_dead(quantize(simplify(graph_from_torch(net.eval())), QuantizeOptions()))
    program = lower(graph)
    result = Engine(program).run(encode_input(samples.x, program.input))
    counts = result.counts
    return Deployed(
        float((result.predictions == samples.y).mean()),
        sum(line.total for line in footprint(program)),
        counts.effective_acs / counts.samples,
        counts.input_adds / counts.samples,
        counts.dense_synops / counts.samples,
    )


def row(settings: Settings, data: Splits, *, test: bool) -> dict[str, Any]:
    """One seed's line. Test samples are touched here only, after all training, and only with ``test``."""
    made = chain(settings, data)
    samples = data.test if test else data.validation
    found = deployed(made.nets["quantized"], samples)
    line: dict[str, Any] = {"seed": settings.config.train.seed}
    line |= {f"{stage}_accuracy": accuracy(made.nets[stage], samples) for stage in STAGES}
    values = asdict(found)
    line["runtime_accuracy"] = values.pop("runtime")
    line |= {"weight_sparsity": made.pruning.weight_sparsity, **values}
    line |= {f"validation_{stage}": accuracy(made.nets[stage], data.validation) for stage in STAGES}
    return {**line, "seconds": made.seconds, "total_seconds": round(sum(made.seconds.values()), 1)}


def summary(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Means, spreads and paired differences over the seeds."""
    keys = [*(f"{stage}_accuracy" for stage in ACCURACIES), "weight_sparsity"]
    keys += ["stored_bytes", "effective_acs", "input_adds", "dense_synops"]
    losses = [100 * (one["dense_accuracy"] - one["runtime_accuracy"]) for one in rows]
    return {
        "mean": {key: statistics.mean(one[key] for one in rows) for key in keys},
        "standard_deviation": {key: statistics.pstdev([one[key] for one in rows]) for key in keys},
        "points_lost": {"mean": statistics.mean(losses), "lowest": min(losses), "highest": max(losses)},
    }


def machine() -> dict[str, Any]:
    """What the numbers depend on besides the seed."""
    versions = {
        name: importlib.metadata.version(name) for name in ("torch", "numpy", "numba", "scikit-learn")
    }
    cores = os.cpu_count()
    return {
        "machine": f"{platform.machine()}, {cores} cores, one thread",
        "python": platform.python_version(),
        **versions,
    }


def page(report: dict[str, Any]) -> str:
    """The results as Markdown."""
    lines = [
        "# Digits over five seeds",
        "",
        f"`python -m benchmarks.digits` on `{report['config']}`. Test: the last 360 samples, by other",
        "writers, evaluated once after each seed's chain; every choice was made on a split of the",
        "first 1,437.",
        "",
        "| seed | dense | pruned | 8 bit | runtime | weight sparsity | bytes | ACs / sample | seconds |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for one in report["seeds"]:
        lines.append(_line(str(one["seed"]), one, f"{one['total_seconds']:.0f}"))
    lines.append(_line("mean", report["mean"], ""))
    lost, mean, versions = report["points_lost"], report["mean"], report["versions"]
    lines += [
        "",
        f"Dense minus runtime: {lost['mean']:.2f} points on average ({lost['lowest']:.2f} to "
        f"{lost['highest']:.2f}).",
        "Bytes are stored tables and neuron parameters. ACs are additions of events; to them come",
        f"{mean['input_adds']:.0f} additions of the analog input per sample. Without events it would be",
        f"{mean['dense_synops']:.0f} operations.",
        "",
        "Measured with " + ", ".join(f"{name} {value}" for name, value in versions.items()) + ".",
        "Seconds are wall-clock and depend on what else the machine did.",
        "",
    ]
    return "\n".join(lines)


def _line(name: str, one: dict[str, Any], seconds: str) -> str:
    shares = " | ".join(f"{100 * one[f'{stage}_accuracy']:.2f}" for stage in ACCURACIES)
    rest = f"{100 * one['weight_sparsity']:.2f} | {one['stored_bytes']:.0f} | {one['effective_acs']:.0f}"
    return f"| {name} | {shares} | {rest} | {seconds} |"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default="configs/digits.toml")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "results")
    parser.add_argument(
        "--validation", action="store_true", help="judge on validation samples, write nothing"
    )
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    rows = []
    for seed in options.seeds:
        settings = settings_of(str(ROOT / options.config), seed)
        data = datasets.load(settings.config.data.name, None, settings.config.data.options)
        rows.append(row(settings, data, test=not options.validation))
        print(json.dumps(rows[-1]), flush=True)
    report = {"config": options.config, **summary(rows), "seeds": rows, "versions": machine()}
    if options.validation:
        print(json.dumps(report["mean"]))
        return
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "digits.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    (options.output / "digits.md").write_text(page(report), encoding="utf-8")


if __name__ == "__main__":
    main()
