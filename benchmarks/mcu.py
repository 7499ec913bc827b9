"""Networks as firmware on every emulated core: ``python -m benchmarks.mcu``.

Each run directory is exported for a part of each core, in the stored encodings and as fan-out lists, built
and executed; then whole traces are compared, host and core. Writes ``docs/results/mcu.json`` and ``mcu.md``;
a part that a network does not fit is a row too. The runs are those of ``benchmarks.examples`` and
``benchmarks.fitting``, and the demonstration's.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.mcu_exact import ROWS, STEPS, exact
from benchmarks.mcu_fit import cost
from benchmarks.mcu_page import page
from exporter.targets.c_cores import CORES
from runtime.errors import UnsupportedError
from spikepress.emulation import emulate
from spikepress.firmware import FirmwareOptions, export_firmware
from spikepress.tools.compiler import compiler_version

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "docs" / "results"
PARTS = ("ch32v003", "stm32f030r8", "nrf51822", "stm32f100rb", "stm32f411", "nrf5340", "ch32v203c8")
LAYOUTS = (None, "lists")
FITTED = ("cortex-m0", "cortex-m4", "rv32i", "rv32ec")
ENCODINGS = ("lists", "packed", "gaps", "rice", "huffman")
MODELS = {
    "mnist-ch32v003": "runs/fitting/ch32v003",
    "mnist-mlp": "runs/examples/mnist-mlp/seed0",
    "mnist-16k": "runs/mnist-16k",
    "demo": "runs/demo",
}
BY_ROWS = ("mnist-16k",)
"""Compared under the schedule that its part takes; the others step by step."""
CORE_LEGS = ("cortex-m0", "cortex-m4", "cortex-m33", "rv32i", "rv32ec")
EXACT = (
    ("mnist-ch32v003", "host", 10_000),
    ("mnist-mlp", "host", 10_000),
    ("mnist-16k", "host", 10_000),
    *((name, leg, 200) for name in ("mnist-ch32v003", "mnist-16k") for leg in CORE_LEGS),
)


def row(name: str, run: str, part: str, layout: str | None, samples: int) -> dict[str, Any]:
    """One network on one part: what the emulation found, or why it was refused."""
    told = {"model": name, "part": part, "tables": layout or "smallest of each"}
    with tempfile.TemporaryDirectory() as folder:
        try:
            export_firmware(run, folder, FirmwareOptions(part, layout=layout))
        except UnsupportedError as error:
            return {**told, "refused": str(error)}
        return {**told, **emulate(folder, samples=samples).as_json()}


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0 where no value differs and nothing multiplied."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mcu", description=__doc__)
    parser.add_argument("--model", action="append", metavar="NAME=RUN", help="default: all")
    parser.add_argument("--samples", type=int, default=20)
    parser.add_argument("--out", type=Path, default=RESULTS / "mcu.json")
    given = parser.parse_args(arguments)
    models = dict(one.split("=", 1) for one in given.model) if given.model else MODELS
    rows = []
    for name, run in models.items():
        for part in PARTS:
            for layout in LAYOUTS:
                rows.append(row(name, run, part, layout, given.samples))
                print(json.dumps(rows[-1]), flush=True)
    found = {
        "command": " ".join(
            [
                f"python -m benchmarks.mcu --samples {given.samples}",
                *(f"--model {m}" for m in given.model or ()),
            ]
        ),
        "compiler": compiler_version(),
        "unicorn": version("unicorn"),
        "python": platform.python_version(),
        "rows": rows,
        "exact": [
            exact(name, models[name], leg, count, ROWS if name in BY_ROWS else STEPS)
            for name, leg, count in EXACT
            if name in models
        ],
        "costs": [asdict(cost(CORES[core], name)) for core in FITTED for name in ENCODINGS],
    }
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    given.out.with_suffix(".md").write_text(page(found), encoding="utf-8")
    ran = [one for one in rows if "refused" not in one]
    wrong = any(one["mismatches"] or one["multiplies"] or one["soft_multiplies"] for one in ran)
    return int(wrong or any(sum(one["differ"].values()) for one in found["exact"]))


if __name__ == "__main__":
    raise SystemExit(main())
