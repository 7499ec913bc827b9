"""The runtime beside other systems: one sample, one thread, all contestants in turn in one process.

``python -m benchmarks.runtime`` times W1 to W4 of ``benchmarks/runtime_cases.py`` over weight sparsities and
spike rates and writes ``docs/results/runtime.json`` and ``runtime.md``; ``--case W3 --sparsity 0.95
--rate 0.10 --quick`` prints one of them. Time is that of the calling thread's processor, so that other work
on the machine counts only through caches; event extraction from the raw input is inside it. Ratios are of
medians.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.runtime_cases import CASES, Net, make_net, program_of
from benchmarks.runtime_peers import peers
from runtime.engine import Engine, Objective

OUT = Path(__file__).parent.parent / "docs" / "results" / "runtime.json"
GRID = ((0.95, 0.10, 1), (0.95, 0.02, 1), (0.95, 0.10, 16), (0.0, 0.10, 1), (0.8, 0.10, 1), (0.95, 0.25, 1))
OURS = "spikepress, speed"


@dataclass(frozen=True)
class Row:
    """One system on one net; milliseconds of one sample. ``ns_per_synop``: over effective accumulations."""

    case: str
    sparsity: float
    granularity: str
    rate: float
    system: str
    version: str
    median_ms: float
    p10_ms: float
    p90_ms: float
    ratio_to_ours: float
    ns_per_synop: float


def measure(net: Net, sparsity: float, block: int, rounds: int) -> list[Row]:
    """Every system on one net, in turn, after a check that both of our forms agree."""
    program = program_of(net)
    coded = np.ascontiguousarray(net.x[:, None].astype(np.int32))
    fast, stored = Engine(program, Objective.SPEED), Engine(program)
    result = fast.run(coded)
    if not np.array_equal(result.scores, stored.run(coded).scores):
        raise RuntimeError(f"{net.case.name}: found scores that differ between objectives, expected none")
    contestants: list[tuple[str, str, Callable[[], object]]] = [
        (OURS, importlib.metadata.version("spikepress"), lambda: fast.run(coded).scores),
        ("spikepress, flash", importlib.metadata.version("spikepress"), lambda: stored.run(coded).scores),
    ]
    contestants += [(peer.name, peer.version, peer.run) for peer in peers(net)]
    taken = _race([run for _, _, run in contestants], rounds)
    synops = result.counts.effective_acs
    ours = float(np.median(taken[0]))
    rate = float(np.mean(net.rates))
    return [
        Row(
            net.case.name,
            sparsity,
            "weight" if block == 1 else f"1x{block}",
            round(rate, 4),
            name,
            version,
            *(round(float(np.percentile(times, q)), 4) for q in (50, 10, 90)),
            round(float(np.median(times)) / ours, 2),
            round(float(np.median(times)) * 1e6 / max(1, synops), 4),
        )
        for (name, version, _), times in zip(contestants, taken, strict=True)
    ]


def _race(runs: Sequence[Callable[[], object]], rounds: int) -> np.ndarray:
    """Milliseconds (contestants, rounds) of the calling thread; each round in an order of its own, so that
    nobody always follows the same other."""
    for run in runs:
        run()
    taken = np.zeros((len(runs), rounds))
    draw = np.random.default_rng(rounds)
    for index in range(rounds):
        for who in draw.permutation(len(runs)):
            start = time.thread_time_ns()
            runs[who]()
            taken[who, index] = (time.thread_time_ns() - start) / 1e6
    return taken


def machine() -> dict[str, str]:
    names = ("numpy", "numba", "torch", "onnxruntime")
    return {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, one thread",
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in names},
        "load_average": f"{os.getloadavg()[0]:.1f}",
    }


def page(versions: Mapping[str, str], rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows as Markdown: a table for each network."""
    lines = [
        "# The runtime beside other systems",
        "",
        "`python -m benchmarks.runtime`: one sample, one thread, random whole-number weights, thresholds set",
        "so that every layer hears the named share of spikes (`benchmarks/runtime_cases.py`). All systems",
        "take turns in one process, in a random order each round, which is harder on small networks than a",
        "loop of their own: each finds",
        "the caches full of the others' weights. Milliseconds are processor time of the calling thread,",
        "median (10th to 90th percentile); the ratio is to ours. Events are extracted from the raw input",
        "inside the time. Spikes of the float systems differ a little, since their leak does not round.",
        "",
        f"Load average at the end: {versions['load_average']}.",
    ]
    for case in dict.fromkeys(row["case"] for row in rows):
        lines += ["", f"## {case}", "", HEAD, "|---|---|---|---|---|---|---|"]
        lines += [_line(row) for row in rows if row["case"] == case]
    lines += ["", "Measured with " + ", ".join(f"{k} {v}" for k, v in versions.items()) + ".", ""]
    return "\n".join(lines)


HEAD = "| weights gone | spike rate | system | ms | 10th to 90th | times ours | ns a synaptic operation |"


def _line(row: Mapping[str, Any]) -> str:
    return (
        f"| {row['sparsity']:.0%}, {row['granularity']} | {row['rate']:.1%}"
        f" | {row['system']} {row['version']} |"
        f" {row['median_ms']:.3f} | {row['p10_ms']:.3f} to {row['p90_ms']:.3f} | {row['ratio_to_ours']:.2f} |"
        f" {row['ns_per_synop']:.2f} |"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """The command: see the module's first lines."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.runtime", description=__doc__)
    parser.add_argument("--case", choices=sorted(CASES), action="append")
    parser.add_argument("--sparsity", type=float)
    parser.add_argument("--rate", type=float, default=0.10)
    parser.add_argument("--block", type=int, default=1, choices=(1, 16))
    parser.add_argument("--quick", action="store_true", help="few rounds")
    parser.add_argument("--out", type=Path, help="where the rows go; default for the whole grid")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    single = options.sparsity is not None
    grid = ((options.sparsity, options.rate, options.block),) if single else GRID
    rows: list[Row] = []
    for name in options.case or CASES:
        for sparsity, rate, block in grid:
            net = make_net(CASES[name], sparsity, rate, block=block)
            found = measure(net, sparsity, block, 7 if options.quick else 21)
            for row in found:
                print(json.dumps(asdict(row)), flush=True)
            rows += found
    out = options.out or (None if single or options.case else OUT)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        versions, told = machine(), [asdict(row) for row in rows]
        text = json.dumps({"versions": versions, "rows": told}, indent=1)
        out.write_text(text + "\n", encoding="utf-8")
        out.with_suffix(".md").write_text(page(versions, told), encoding="utf-8")


if __name__ == "__main__":
    main()
