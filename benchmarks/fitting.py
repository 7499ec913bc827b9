"""Fits a trained network to devices, times each search, and sets what was found beside the network.

``python -m benchmarks.fitting [RUN] [--devices NAME,NAME]`` asks the first device with nothing kept from
before and the others after it, as a person would. The network is that of ``benchmarks.examples``, MNIST by
784-800-10. Models are chosen on validation samples; test samples are evaluated once for each device's
choice. Writes ``docs/results/fit.json`` and ``fit.md``.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from spikepress.comparing import Comparison, compare
from spikepress.fitting import fit
from spikepress.machine import machine_facts
from spikepress.reference_sizes import FORMATS
from spikepress.rundir import run_directory_of

ROOT = Path(__file__).parent.parent
RUN = ROOT / "runs" / "examples" / "mnist-mlp" / "seed0"
DEVICES = "atmega328p,ch32v003,samd21g18"


def searched(run: Path, device: str, folder: Path) -> dict[str, Any]:
    """What ``fit`` found for a device, with the wall time and processor time it took."""
    wall, processor = time.perf_counter(), time.process_time()
    result = fit(run, device=device, output=folder / device)
    return {
        **result.as_json(),
        "output": device,
        "wall_s": round(time.perf_counter() - wall, 1),
        "processor_s": round(time.process_time() - processor, 1),
        "load_average": round(os.getloadavg()[0], 1),
    }


def compared(run: Path, found: Sequence[dict[str, Any]], folder: Path) -> dict[str, Any]:
    """The network and the models that fit, side by side, by names instead of paths."""
    names = [entry["output"] for entry in found if entry["fits"]]
    result: Comparison = compare([run, *(folder / name for name in names)])
    told = result.as_json()
    for side, name in zip(told["models"], ["as trained and pruned", *names], strict=True):  # type: ignore[call-overload]
        side["name"] = name
    return told


def page(results: dict[str, Any]) -> str:
    """The results as Markdown."""
    lines = [
        "# A trained network fitted to devices",
        "",
        "`python -m benchmarks.fitting` on the MNIST network of `benchmarks.examples` (784-800-10, eight",
        "steps of direct input), compressed without training. Models were chosen on 4,000 validation",
        "samples; test: all 10,000, once for each choice. Sizes include 3,072 bytes of code and 256 of",
        "stack, both estimated.",
        "",
        "| device | fits | validation | test | flash | RAM | binds | model | tried | wall s | processor s |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
        *(_device_row(entry) for entry in results["fits"]),
        "",
        "Processor time is that of one thread; wall time depends on what else the machine did (load",
        f"averages: {', '.join(str(entry['load_average']) for entry in results['fits'])}).",
        "",
        "## Side by side",
        "",
        *_comparison(results["compare"]),
        "",
        f"Measured with {', '.join(f'{k} {v}' for k, v in results['machine'].items())}.",
    ]
    return "\n".join(lines) + "\n"


def _device_row(entry: dict[str, Any]) -> str:
    told = entry["model"] or entry["nearest"]
    needs = entry["layout"]["needs"]
    test = "-" if entry["test_accuracy"] is None else f"{entry['test_accuracy']:.2%}"
    cells = (
        entry["budget"]["name"],
        "yes" if entry["fits"] else "no",
        f"{told['validation_accuracy']:.2%}",
        test,
        *(f"{needs[r]:,} ({entry['shares'][r]:.1%})" for r in ("flash_bytes", "ram_bytes")),
        entry["binding"],
        told["words"],
        str(entry["models_tried"]),
        str(entry["wall_s"]),
        str(entry["processor_s"]),
    )
    return _row(cells)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _comparison(told: dict[str, Any]) -> list[str]:
    sides = told["models"]
    head = [
        "| figure | " + " | ".join(side["name"] for side in sides) + " |",
        "|---" * (len(sides) + 1) + "|",
    ]
    figures = {
        "test accuracy": lambda s: f"{s['accuracy']:.2%}",
        "flash, stored bytes": lambda s: f"{s['flash_bytes']:,}",
        "RAM, worst-case bytes": lambda s: f"{s['ram_bytes']:,}",
        "additions, mean": lambda s: f"{s['synops']:,.0f}",
        "additions, worst case": lambda s: f"{s['worst_synops']:,}",
        "kept weights": lambda s: f"{s['kept_weights']:,}",
        "tables as stored here, bytes": lambda s: f"{s['table_bytes']:,}",
        **{form.name: lambda s, n=form.name: f"{s['references'][n]:,}" for form in FORMATS},
        "model.onnx": lambda s: f"{s['onnx_file_bytes'] or 0:,}",
    }
    rows = [
        f"| {name} | " + " | ".join(told_of(side) for side in sides) + " |"
        for name, told_of in figures.items()
    ]
    rules = [f"{form.name}: {form.rule}." for form in FORMATS]
    return [*head, *rows, "", *rules]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fitting", description=__doc__)
    parser.add_argument("run", nargs="?", type=Path, default=RUN)
    parser.add_argument("--devices", default=DEVICES, help="names, comma separated")
    parser.add_argument("--folder", type=Path, default=ROOT / "runs" / "fitting", help="where models go")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "results" / "fit.json")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    run = run_directory_of(options.run)
    shutil.rmtree(run.models, ignore_errors=True)
    found = [searched(run.path, name, options.folder) for name in options.devices.split(",")]
    results = {
        "fits": found,
        "compare": compared(run.path, found, options.folder),
        "machine": machine_facts(),
    }
    options.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    options.out.with_suffix(".md").write_text(page(results), encoding="utf-8")


if __name__ == "__main__":
    main()
