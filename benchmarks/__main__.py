"""Runs the benchmarks by name, or all of them: ``python -m benchmarks [NAME ...]``.

Each writes what it measured under ``docs/results/``. All of them together take hours, most of that in
``examples``; each is also a command of its own with options, ``python -m benchmarks.NAME --help``.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence

BENCHMARKS = {
    "training_step": "a training step beside snnTorch and SpikingJelly",
    "formats": "every encoding against the entropy bounds",
    "gathering": "what gathering criticality costs a training step",
    "rivals": "training-time pruning methods side by side, and the seed's loop against its controls",
    "fitting": "a trained network fitted to devices, and compared",
    "digits": "the demonstration's chain over five seeds",
    "pruning": "every way to prune, on one small network",
    "criticality": "what criticality goes with, and what it does in regeneration",
    "runtime": "the runtime beside other systems on four networks",
    "examples": "the example configurations on their data sets",
    "interop": "networks trained in other frameworks, imported and run; needs SpikingJelly for its part",
    "mcu": "networks as firmware on emulated cores; needs the runs of examples and fitting, and runs/demo",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0 when every benchmark named ran to its end."""
    listing = "; ".join(f"{name}: {what}" for name, what in BENCHMARKS.items())
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=listing)
    names = parser.parse_args(arguments).names or list(BENCHMARKS)
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"found benchmark {unknown[0]!r}, expected one of {', '.join(BENCHMARKS)}")
    failed = 0
    for name in names:
        print(f"{name}: {BENCHMARKS[name]}", flush=True)
        failed |= subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False).returncode
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
