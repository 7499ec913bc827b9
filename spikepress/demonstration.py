"""The whole chain in one call, and the summary it leaves."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from spikepress.card import weight_sparsity
from spikepress.measuring import Measured
from spikepress.page import write_page
from spikepress.pipeline import export, prune, quantize, train
from spikepress.progress import Notify, silent
from spikepress.rundir import RunDirectory, write_json
from spikepress.verification import Verification, verify

FIVE_SEEDS = "results/digits.json"
"""Packaged copy of ``docs/results/digits.json``: the benchmark of this configuration over five seeds."""


def demo(
    output: str | Path = "runs/demo",
    *,
    config: str | Path | None = None,
    seed: int | None = None,
    data_dir: Path | None = None,
    notify: Notify = silent,
) -> dict[str, Any]:
    """Trains, prunes, quantizes, exports, runs, verifies and reports; returns what ``summary.json`` holds.

    Without ``config`` it takes ``digits``, whose data ships with scikit-learn.
    """
    from spikepress.catalog import judge_all
    from spikepress.measuring import measure
    from spikepress.reporting import compose

    start = time.perf_counter()
    run = RunDirectory(output)
    accuracies = {"dense": train(config or "digits", output, seed=seed, data_dir=data_dir, notify=notify)}
    accuracies["pruned"] = prune(output, data_dir=data_dir, notify=notify)
    accuracies["quantized"] = quantize(output, data_dir=data_dir, notify=notify)
    export(output)
    verified = verify(output, data_dir=data_dir, notify=notify)
    measured = measure(output, data_dir=data_dir, notify=notify)
    verdicts = judge_all(measured.needs)
    write_page(compose(measured, verdicts), run.page)
    summary = {
        **_origin(measured),
        **{f"{name}_accuracy": outcome.accuracy for name, outcome in accuracies.items()},
        **_deployed(measured),
        "verified": verified.exact,
        "verify": _differences(verified),
        "verified_samples": verified.samples + verified.stress,
        "devices": {verdict.device.name: verdict.fits for verdict in verdicts},
        "seconds": round(time.perf_counter() - start, 1),
        "five_seeds": five_seeds() if config is None else None,
    }
    write_json(run.summary, summary)
    return summary


def _origin(measured: Measured) -> dict[str, Any]:
    meta = measured.program.meta
    return {"dataset": meta["dataset"], "seed": int(meta["seed"]), "bits": meta["bits"]}


def _deployed(measured: Measured) -> dict[str, Any]:
    """What the exported file is and does; operations are per sample."""
    counts, samples = measured.counts, measured.samples
    return {
        "runtime_accuracy": measured.accuracy,
        "test_samples": samples,
        "weight_sparsity": weight_sparsity(measured.program),
        "flash_bytes": measured.memory.flash_bytes,
        "ram_bytes": measured.memory.ram_bytes,
        "file_bytes": measured.run.program.stat().st_size,
        "effective_acs": counts.effective_acs / samples,
        "input_adds": counts.input_adds / samples,
        "dense_synops": counts.dense_synops / samples,
    }


def _differences(verified: Verification) -> dict[str, dict[str, int]]:
    """Differing values of each leg, over the network itself and its narrow twin."""
    names = ("differing_spikes", "differing_membranes", "differing_predictions")
    pairs = zip(verified.legs, verified.saturated, strict=True)
    return {
        leg.leg: {name: getattr(leg, name) + getattr(twin, name) for name in names} for leg, twin in pairs
    }


def five_seeds() -> Mapping[str, Any] | None:
    """The benchmark's means over five seeds, by the names of the summary; None where none are packaged."""
    resource = files("spikepress").joinpath(FIVE_SEEDS)
    if not resource.is_file():
        return None
    means: Mapping[str, Any] = json.loads(resource.read_text(encoding="utf-8"))["mean"]
    return means
