"""``synth``: what a folder's Verilog takes of its device, and how fast it may be clocked."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from runtime.errors import ConfigError
from spikepress.firmware import REPORT
from spikepress.gateware import Gateware, read_gateware
from spikepress.progress import Notify, silent
from spikepress.rundir import read_json
from spikepress.synth_cache import Known, digest, keep, known
from spikepress.tools.synth import YOSYS, flow_of, synthesize


@dataclass(frozen=True)
class Synthesis:
    """Of synthesis and, over all seeds, of placing and routing. ``us``: microseconds of the test bench's
    sample at the lowest clock."""

    device: str
    luts: int
    flip_flops: int
    logic_cells: int
    logic_cells_available: int
    blocks: int
    blocks_estimated: int
    blocks_available: int
    multipliers: int
    mhz: tuple[float, ...]
    clocks: int
    synops: int
    """Synaptic operations of that sample: none where there was no data at export, and it is silent."""

    @property
    def us(self) -> float:
        return self.clocks / min(self.mhz)

    def as_json(self) -> dict[str, object]:
        return {
            "device": self.device,
            "lut": self.luts,
            "ff": self.flip_flops,
            "logic_cells": {"used": self.logic_cells, "available": self.logic_cells_available},
            "bram": {
                "used": self.blocks,
                "estimated": self.blocks_estimated,
                "available": self.blocks_available,
            },
            "dsp": self.multipliers,
            "mhz": {
                "min": min(self.mhz),
                "median": statistics.median(self.mhz),
                "max": max(self.mhz),
                "seeds": len(self.mhz),
            },
            "clocks": self.clocks,
            "synops": self.synops,
            "us": self.us,
            "inferences_per_second": 1e6 / self.us,
        }

    @property
    def sentence(self) -> str:
        return (
            f"{self.device}: {self.logic_cells:,} of {self.logic_cells_available:,} logic cells"
            f" ({self.luts:,} LUT, {self.flip_flops:,} FF), {self.blocks} of {self.blocks_available} blocks"
            f" of memory (estimated {self.blocks_estimated}), {self.multipliers} multipliers,"
            f" {min(self.mhz):.1f} to {max(self.mhz):.1f} MHz over {len(self.mhz)} seeds:"
            f" {self.clocks:,} clocks of the test bench's sample, {self.synops:,} synaptic operations,"
            f" take {self.us:,.0f} us"
        )


def synth(folder: str | Path, *, seeds: int = 3, notify: Notify = silent) -> Synthesis:
    """Synthesises, places and routes the folder's core behind a serial port, once for each seed.

    What was found is kept in the folder and taken from there while files, device and tools are the same.
    DataError for no folder, UnsupportedError for a device without an open flow here, ConfigError where a tool
    is missing, ModelError where one fails.
    """
    if seeds < 1:
        raise ConfigError(f"--seeds: found {seeds}, expected at least 1")
    read = read_gateware(folder)
    told = read_json(read.path / REPORT)
    notify("synth", 0.0)
    found = _found(read, range(1, seeds + 1), notify)
    notify("synth", 1.0)
    bench = told.get("bench")
    assert isinstance(bench, dict)
    assert found.netlist is not None
    placed = [found.placed[seed] for seed in range(1, seeds + 1)]
    cells, available = placed[0].used["lc"]
    return Synthesis(
        device=read.device,
        luts=found.netlist.luts,
        flip_flops=found.netlist.flip_flops,
        logic_cells=cells,
        logic_cells_available=available,
        blocks=placed[0].used["ram"][0],
        blocks_estimated=int(str(told["blocks_estimated"])),
        blocks_available=placed[0].used["ram"][1],
        multipliers=found.netlist.multipliers,
        mhz=tuple(one.mhz for one in placed),
        clocks=int(bench["clocks"]),
        synops=int(bench["synops"]),
    )


def _found(read: Gateware, seeds: Sequence[int], notify: Notify) -> Known:
    """The netlist and every seed, of which only those that are not known yet are placed."""
    flow = flow_of(read.device)
    before = known(read.path, digest(read.files, read.device, (YOSYS, flow.package)))
    missing = [seed for seed in seeds if seed not in before.placed]
    if before.netlist is not None and not missing:
        return before
    total = len(missing) + 1
    netlist, placed = synthesize(
        read.files, read.device, missing, lambda seed: notify("synth", (missing.index(seed) + 1.5) / total)
    )
    found = Known(before.key, netlist, {**before.placed, **dict(zip(missing, placed, strict=True))})
    keep(read.path, found)
    return found
