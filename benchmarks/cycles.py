"""Cycles of the pieces of generated C on each core: ``python -m benchmarks.cycles``.

Every network of ``benchmarks.cycle_nets`` is compiled and executed on an emulated core; its clock cycles are
then shared out over the pieces of work (``spikepress.work``) by least squares of the relative error, with no
piece below zero. ``--write`` puts what was found where ``fit --latency`` reads it, and the page under
``docs/results/``. The error that stands there is that of other networks, drawn anew, that were not fitted to.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.cycle_nets import ENCODINGS, Net, nets
from benchmarks.cycle_page import page
from exporter.plan import PlanOptions, plan
from exporter.targets.c_cores import CORES, Core
from exporter.targets.c_folder import OPTIMIZE, Board, folder
from exporter.targets.c_source import describe
from runtime import container
from runtime.coding import encode_input
from runtime.engine import Engine
from runtime.program import Program
from spikepress.latency import COSTS
from spikepress.rundir import RunDirectory
from spikepress.samples import samples_of_test
from spikepress.tools import elf
from spikepress.tools.compiler import compiler_version
from spikepress.tools.cross import build_for_core
from spikepress.tools.cycles import TIMINGS, Cycles
from spikepress.tools.emulator import Memories
from spikepress.tools.inference import infer
from spikepress.work import Work, labels_of, mean_work

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "results" / "cycles.md"
FLASH, RAM = 1 << 17, 1 << 14
TIMED = (*TIMINGS, "avr")
"""Cores that keep a time: by their maker's table, or simulated cycle by cycle."""
FITTED, CHECKED = (0, 2), 1
"""Seeds of the networks that are fitted to, and of those that tell the error."""
SAMPLES = 1
TRAINED_SAMPLES = 20


@dataclass(frozen=True)
class Row:
    """One sample of one network: its work and its cycles."""

    work: Work
    cycles: Cycles


def rows(net: Net, core: Core) -> list[Row]:
    """Measured samples of a network on an emulated core."""
    coded = np.concatenate([_input(net.program, rate) for rate in net.rates], axis=1)
    found = []
    for sample, cycles in enumerate(_executed(net.program, net.options, core, coded)):
        one = np.ascontiguousarray(coded[:, sample : sample + 1])
        work = mean_work(net.program, net.options, Engine(net.program).run(one).counts, one)
        assert work is not None
        found.append(Row(work, cycles))
    return found


def _executed(program: Program, options: PlanOptions, core: Core, coded: NDArray[np.integer]) -> list[Cycles]:
    """Cycles of every sample of coded input (steps, samples, *shape)."""
    firmware = describe(program, plan(program, options))
    files = folder(firmware, Board("fit", "fit", core, 1, FLASH, RAM))
    network = {name: text for name, text in files.items() if "/" not in name}
    image = elf.read(build_for_core(network, core, "-Wl,--gc-sections"))
    done, _ = infer(image, core, Memories(FLASH, RAM), firmware, coded)
    return [one.count.cycles for one in done if one.count.cycles is not None]


def _input(program: Program, rate: float) -> NDArray[np.int32]:
    """Coded input (steps, samples, *shape) of which this share is not zero."""
    spec, rng = program.input, np.random.default_rng(7)
    shape = (1 if spec.constant else spec.n_steps, SAMPLES, *spec.shape)
    values = rng.integers(1, 1 << spec.bits, shape) * (rng.random(shape) < rate)
    return np.broadcast_to(values.astype(np.int32), (spec.n_steps, *shape[1:]))


def fitted(measured: Sequence[Row]) -> dict[str, Cycles]:
    """Cycles of each piece, none below zero: least squares of the relative error of both bounds."""
    names = sorted({name for row in measured for name in row.work})
    work = np.array([[row.work.get(name, 0.0) for name in names] for row in measured])
    low = _solved(work, np.array([row.cycles.low for row in measured], float))
    high = _solved(work, np.array([row.cycles.high for row in measured], float))
    return {name: Cycles(low[k], high[k]) for k, name in enumerate(names)}


def _solved(work: NDArray[np.float64], cycles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Non-negative least squares (Lawson and Hanson 1974, chapter 23)."""
    from scipy.optimize import nnls

    scale = np.linalg.norm(work / cycles[:, None], axis=0)
    found, _ = nnls(work / cycles[:, None] / scale, np.ones(len(cycles)))
    return np.asarray(found / scale)


def errors(costs: dict[str, Cycles], measured: Iterable[Row]) -> NDArray[np.float64]:
    """Predicted over measured cycles, less one, of the high bound; rows with an unknown piece left out."""
    known = [row for row in measured if row.work.keys() <= costs.keys()]
    predicted = [sum(costs[name].high * times for name, times in row.work.items()) for row in known]
    return np.array(predicted) / np.array([row.cycles.high for row in known]) - 1.0


def spread(costs: dict[str, Cycles], measured: Iterable[Row]) -> dict[str, list[float]]:
    """By kind of projection and table, the least and the largest error of a network that has it."""
    found: dict[str, list[float]] = {}
    for row in measured:
        for label in labels_of(row.work):
            found.setdefault(label, []).extend(errors(costs, [row]))
    return {label: [round(min(off), 4), round(max(off), 4)] for label, off in found.items() if off}


def trained(name: str, run: str, core: str, costs: Mapping[str, Any]) -> dict[str, Any]:
    """Executed and predicted cycles of a trained network on the first test samples."""
    where = RunDirectory(Path(run))
    program = container.read(where.program)
    coded = np.ascontiguousarray(encode_input(samples_of_test(where).x[:TRAINED_SAMPLES], program.input))
    executed = _executed(program, PlanOptions(), CORES[core], coded)
    work = mean_work(program, PlanOptions(), Engine(program).run(coded).counts, coded)
    assert work is not None
    pieces = costs["cycles"]
    return {
        "model": name,
        "core": core,
        "samples": len(executed),
        "labels": sorted(labels_of(work)),
        "executed": [float(np.mean([getattr(c, bound) for c in executed])) for bound in ("low", "high")],
        "predicted": [sum(pieces[piece][k] * times for piece, times in work.items()) for k in (0, 1)],
    }


def _widen(spread: dict[str, list[float]], row: Mapping[str, Any]) -> None:
    """Counts a trained network's error among those of the tables that it has."""
    off = round(row["predicted"][1] / row["executed"][1] - 1.0, 4)
    for label in row["labels"]:
        least, most = spread.get(label, [off, off])
        spread[label] = [min(least, off), max(most, off)]


def fit_core(name: str, encodings: tuple[str, ...]) -> dict[str, Any]:
    """The costs of one core, and how far off they are on other networks."""
    drawn = [net for seed in FITTED for net in nets(seed, encodings)]
    measured = [row for net in drawn for row in rows(net, CORES[name])]
    other = [row for net in nets(CHECKED, encodings) for row in rows(net, CORES[name])]
    costs = fitted(measured)
    off = errors(costs, other)
    return {
        "samples_fitted": len(measured),
        "samples_checked": len(off),
        "mean_error": round(float(np.abs(off).mean()), 4),
        "errors": [round(float(e), 4) for e in np.quantile(off, (0.0, 0.05, 0.5, 0.95, 1.0))],
        "spread": spread(costs, [*measured, *other]),
        "cycles": {piece: [round(c.low, 3), round(c.high, 3)] for piece, c in costs.items()},
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """See the module's first lines."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cycles", description=__doc__)
    parser.add_argument("--core", choices=sorted(TIMED), action="append", help="default: all")
    parser.add_argument("--encoding", choices=sorted(ENCODINGS), action="append", help="default: all")
    parser.add_argument("--model", action="append", default=[], metavar="NAME=RUN", help="a trained network")
    parser.add_argument("--only-models", action="store_true", help="fit nothing, check trained networks")
    parser.add_argument("--write", action="store_true", help="replace what `fit` reads, and the page")
    given = parser.parse_args(arguments)
    cores = given.core or list(TIMED)
    report = json.loads(COSTS.read_text(encoding="utf-8")) if COSTS.exists() else {"cores": {}}
    report["compiler"] = f"{compiler_version()} {OPTIMIZE}"
    for name in [] if given.only_models else cores:
        start = time.perf_counter()
        report["cores"][name] = found = fit_core(name, tuple(given.encoding or ENCODINGS))
        told = {key: value for key, value in found.items() if key != "cycles"}
        print(json.dumps({"core": name, **told, "seconds": round(time.perf_counter() - start)}), flush=True)
    checked = [
        trained(*model.split("=", 1), core, report["cores"][core]) for model in given.model for core in cores
    ]
    for row in checked:
        _widen(report["cores"][row["core"]]["spread"], row)
    known = {(row["model"], row["core"]): row for row in [*report.get("trained", []), *checked]}
    report["trained"] = list(known.values())
    print(json.dumps(checked))
    if given.write:
        COSTS.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
        PAGE.write_text(page(report), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
