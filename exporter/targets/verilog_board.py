"""Pins of boards, and the scripts that build a bitstream of the serial core for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from exporter.targets.c_source import render

PORTS = ("clk", "rst", "sck", "cs_n", "mosi", "miso", "ready", "answer", "idle")


@dataclass(frozen=True)
class Board:
    """A board with one part: its clock in MHz and, port by port in the order of ``PORTS``, its pins."""

    title: str
    file: str
    mhz: float
    pins: tuple[str, ...]

    @property
    def ports(self) -> tuple[tuple[str, str], ...]:
        return tuple(zip(PORTS, self.pins, strict=True))


ULX3S_PINS = ("G2", "R1", "B11", "C11", "A10", "A11", "A9", "B10", "B2")
ICEBREAKER = Board("iCEBreaker", "icebreaker.pcf", 12.0, ("35", "46", "4", "2", "47", "45", "3", "48", "37"))
ULX3S = Board("ULX3S", "ulx3s.lpf", 25.0, ULX3S_PINS)
TANG_NANO_9K = Board(
    "Tang Nano 9K", "tangnano9k.cst", 27.0, ("52", "30", "25", "26", "27", "28", "29", "33", "10")
)
BOARDS: Mapping[str, Board] = {
    "ice40up5k": ICEBREAKER,
    "ecp5-25f": ULX3S,
    "ecp5-85f": ULX3S,
    "gw1nr9": TANG_NANO_9K,
}
"""By the name of a device in the catalogue."""
VIVADO = {"zynq7020": "xc7z020clg400-1", "artix7-35t": "xc7a35ticsg324-1L", "artix7-100t": "xc7a100tcsg324-1"}
QUARTUS = {"cyclone4-22": "EP4CE22F17C6"}


def board_files(device: str) -> Mapping[str, str]:
    """Pins and scripts for a device, by file name."""
    if device in VIVADO:
        return {"vivado.tcl": render("fpga_vivado.tcl.j2", {"part": VIVADO[device]})}
    if device in QUARTUS:
        return {"snn_serial.qsf": render("fpga_quartus.qsf.j2", {"part": QUARTUS[device]})}
    board = BOARDS.get(device)
    context = {"board": board, "device": device}
    pins = {} if board is None else {board.file: render("fpga_pins.j2", context)}
    return {**pins, "build.sh": render("fpga_build.sh.j2", context)}
