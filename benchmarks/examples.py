"""Trains the example configurations for real and writes what they reach.

``python -m benchmarks.examples [NAME ...]`` trains ``configs/NAME.toml`` into ``runs/examples/NAME`` and
writes its line of ``docs/results/examples.json`` and ``examples.md``; ``--chain`` then prunes, quantizes,
exports and verifies it. Epochs, rates, steps and codings were chosen on the validation part of the
training data; the test samples are evaluated once a stage, with the configuration as it stands.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from spikepress import pipeline
from spikepress.rundir import RunDirectory, run_directory_of
from spikepress.settings import load_settings, with_seed
from spikepress.verification import verify
from trainer import checkpoint, datasets
from trainer.datasets import Splits
from trainer.evaluate import Evaluation, evaluate
from trainer.metrics import positive_score, sensitivity_at
from trainer.models import SpikingNet

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "docs" / "results"
PRECISION = 0.8
"""Precision on validation that the threshold on a beat's score must reach."""

Measured = dict[str, float]


def accuracies(splits: Splits, validation: Evaluation, test: Evaluation) -> Measured:
    """Share of right predictions."""
    return {
        "validation_accuracy": float((validation.predictions == splits.validation.y).mean()),
        "accuracy": float((test.predictions == splits.test.y).mean()),
    }


def operating_point(splits: Splits, validation: Evaluation, test: Evaluation) -> Measured:
    """Sensitivity and precision on test at the threshold that validation gives for the wanted precision."""
    chosen = sensitivity_at(PRECISION, positive_score(validation.scores), splits.validation.y)
    found = positive_score(test.scores) >= chosen.threshold
    right = float((found & (splits.test.y == 1)).sum())
    return {
        "threshold": chosen.threshold,
        "validation_sensitivity": chosen.sensitivity,
        "validation_precision": chosen.precision,
        "sensitivity": right / float((splits.test.y == 1).sum()),
        "precision": right / max(1.0, float(found.sum())),
        **accuracies(splits, validation, test),
    }


@dataclass(frozen=True)
class Example:
    """One configuration, the least it must reach on test samples, and how that is measured."""

    targets: Mapping[str, float]
    seeds: tuple[int, ...] = (0,)
    measure: Callable[[Splits, Evaluation, Evaluation], Measured] = accuracies


EXAMPLES: dict[str, Example] = {
    "digits": Example({"accuracy": 0.93}, seeds=(0, 1, 2, 3, 4)),
    "mnist-mlp": Example({"accuracy": 0.985}),
    "mnist-conv": Example({"accuracy": 0.992}),
    "fashion-mnist": Example({}),
    "nmnist": Example({"accuracy": 0.90}),
    "fsdd": Example({"accuracy": 0.95}),
    "mitbih": Example({"sensitivity": 0.70, "precision": 0.80}, measure=operating_point),
    "watch": Example({"accuracy": 0.85}),
}


def measured(example: Example, net: SpikingNet, splits: Splits) -> tuple[Measured, dict[str, float]]:
    """What a net reaches, and the share of neuron-steps with a spike of each population on test samples."""
    test = evaluate(net, splits.test)
    spiking = {name: rate for name, rate in test.rates.items() if rate}
    return example.measure(splits, evaluate(net, splits.validation), test), spiking


def train(name: str, seed: int, folder: Path) -> dict[str, Any]:
    """One dense training: figures, rates, wall-clock and processor seconds.

    A run that was trained with the same configuration and seed is taken as it is.
    """
    run, config = RunDirectory(folder), ROOT / "configs" / f"{name}.toml"
    wanted = with_seed(config.read_text(encoding="utf-8"), seed)
    notes = folder / "examples.json"
    if not (notes.exists() and run.config.read_text(encoding="utf-8") == wanted):
        start, work = time.perf_counter(), time.process_time()
        pipeline.train(config, folder, seed=seed)
        spent = {"seconds": time.perf_counter() - start, "processor_seconds": time.process_time() - work}
        notes.write_text(json.dumps({key: round(value, 1) for key, value in spent.items()}))
    settings = load_settings(run)
    splits = datasets.load(settings.config.data.name, None, settings.config.data.options)
    net = checkpoint.load(run.checkpoint("dense"))
    figures, rates = measured(EXAMPLES[name], net, splits)
    sizes = {part: len(samples) for part, samples in splits.named()}
    epochs = settings.config.train.epochs
    return {
        "seed": seed,
        **figures,
        "rates": rates,
        "epochs": epochs,
        "samples": sizes,
        **json.loads(notes.read_text()),
    }


def chain(name: str, run: Path) -> dict[str, Any]:
    """The rest of the way of a trained example: pruned, quantized, exported and held against every leg."""
    start = time.perf_counter()
    outcome = pipeline.prune(run)
    pipeline.quantize(run)
    pipeline.export(run)
    settings = load_settings(run_directory_of(run))
    splits = datasets.load(settings.config.data.name, None, settings.config.data.options)
    net = checkpoint.load(RunDirectory(run).checkpoint("pruned-quantized"))
    figures, _ = measured(EXAMPLES[name], net, splits)
    verified = verify(run)
    return {
        **figures,
        "weight_sparsity": outcome.weight_sparsity,
        "bits": settings.quantize.bits,
        "file_bytes": RunDirectory(run).program.stat().st_size,
        "verified_samples": verified.samples + verified.stress,
        "differing": {
            leg.leg: leg.differing_spikes + leg.differing_membranes + leg.differing_predictions
            for leg in verified.legs
        },
        "activity": {layer.layer: layer.rate for layer in verified.activity if not layer.silent},
        "within_limits": all(layer.within_limits for layer in verified.activity),
        "seconds": round(time.perf_counter() - start, 1),
    }


def example_row(name: str, output: Path, *, further: bool) -> dict[str, Any]:
    """The line of one example: its trainings, their mean, and the chain of the first seed."""
    example = EXAMPLES[name]
    runs = [train(name, seed, output / name / f"seed{seed}") for seed in example.seeds]
    keys = [*example.targets] or ["accuracy"]
    mean = {key: statistics.mean(float(run[key]) for run in runs) for key in keys}
    row: dict[str, Any] = {"targets": dict(example.targets), "mean": mean, "trainings": runs}
    row["reached"] = all(mean[key] >= value for key, value in example.targets.items())
    if further:
        row["chain"] = chain(name, output / name / f"seed{example.seeds[0]}")
    return {**row, "versions": versions()}


def versions() -> dict[str, Any]:
    """What the numbers depend on besides configuration and seed."""
    packages = ("torch", "numpy", "scikit-learn")
    return {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        **{package: importlib.metadata.version(package) for package in packages},
    }


def page(report: Mapping[str, Any]) -> str:
    """The results as Markdown."""
    lines = [
        "# Example configurations",
        "",
        "`python -m benchmarks.examples NAME --chain` on `configs/NAME.toml`. Everything was chosen on the",
        "validation part of the training data; test samples were evaluated once, with the configuration as",
        "it stands here. For `mitbih` the threshold on a beat's score is chosen on validation too. One",
        "exception: the test samples of `watch` had been evaluated before, at 25 steps (84.15 %); 50",
        "steps and the loss's temperature were then chosen by leaving out one person after the other of",
        "those that train.",
        "",
        "| example | wanted | dense | seeds | epochs | seconds | sparsity, bits | after that | legs |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [_line(name, report[name]) for name in EXAMPLES if name in report]
    first = next(iter(report.values()))["versions"]
    lines += [
        "",
        "Legs: values that differ between quantized torch, reference, runtime and ONNX Runtime, spikes,",
        "membranes and predictions together, over the test samples verified.",
        "Seconds of one dense training: wall-clock, with what else the machine did, then of the processor;",
        "one thread.",
        "Measured with " + ", ".join(f"{name} {value}" for name, value in first.items()) + ".",
        "",
    ]
    return "\n".join(lines)


def _line(name: str, row: Mapping[str, Any]) -> str:
    runs = row["trainings"]
    wanted = ", ".join(f"{key} ≥ {value:g}" for key, value in row["targets"].items()) or "–"
    seeds = ", ".join(str(run["seed"]) for run in runs)
    spent = [statistics.mean(run[key] for run in runs) for key in ("seconds", "processor_seconds")]
    seconds = ", ".join(f"{value:.0f}" for value in spent)
    cells = [name, wanted, _shares(row["mean"]), seeds, str(runs[0]["epochs"]), seconds]
    after = row.get("chain")
    if after is None:
        cells += ["", "", ""]
    else:
        reached = {key: after[key] for key in row["mean"]}
        cells += [f"{after['weight_sparsity']:.1%}, {after['bits']}", _shares(reached)]
        cells.append(f"{sum(after['differing'].values())} in {after['verified_samples']} samples")
    return "| " + " | ".join(cells) + " |"


def _shares(values: Mapping[str, float]) -> str:
    return ", ".join(f"{key} {100 * value:.2f} %" for key, value in values.items())


def main(arguments: Sequence[str] | None = None) -> None:
    """The command: see the module's first lines."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(EXAMPLES))
    parser.add_argument("--chain", action="store_true", help="prune, quantize, export and verify as well")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "examples")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    unknown = [name for name in options.names if name not in EXAMPLES]
    if unknown:
        parser.error(f"found example {unknown[0]!r}, expected one of {', '.join(EXAMPLES)}")
    torch.set_num_threads(1)
    options.output.mkdir(parents=True, exist_ok=True)
    path = options.output / "examples.json"
    for name in options.names or list(EXAMPLES):
        row = example_row(name, options.runs, further=options.chain)
        print(json.dumps({name: row}), flush=True)
        report = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        report[name] = row
        path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
        (options.output / "examples.md").write_text(page(report), encoding="utf-8")


if __name__ == "__main__":
    main()
