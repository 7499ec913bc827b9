"""The rows of ``benchmarks.fpga`` as a page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

HEAD = (
    "network",
    "part",
    "synapses",
    "membrane bits",
    "differing, off formula",
    "clocks",
    "additions",
    "LUT, FF",
    "cells",
    "blocks (estimated)",
    "DSP",
    "MHz",
    "microseconds",
)


def page(found: Mapping[str, Any]) -> str:
    """Markdown: a row for each network and part."""
    versions = ", ".join(f"{name} {number}" for name, number in found["versions"].items())
    text = f"""# Networks as FPGA cores

`{found["command"]}`, Python {found["python"]}, {versions};
{found["samples"]} samples simulated, three seeds placed. Clocks, additions and microseconds: mean of those
samples, at the slowest seed's clock. Nothing ran on a board.

| {" | ".join(HEAD)} |
|{"---|" * len(HEAD)}
"""
    return text + "".join(_row(row) for row in found["rows"])


def _row(row: Mapping[str, Any]) -> str:
    if "refused" in row:
        return f"| {row['network']} | {row['part']} | {row['refused']} |{' |' * (len(HEAD) - 3)}\n"
    run, made = row["simulated"], row["synthesised"]
    cells, bram, mhz = made["logic_cells"], made["bram"], made["mhz"]
    values = (
        row["network"],
        row["part"],
        f"{row['synapses']:,}",
        row["membrane_bits"],
        f"{run['mismatches']}, {run['off_formula']}",
        f"{run['cycles']['mean']:,.0f}",
        f"{run['synops']:,.0f}",
        f"{made['lut']}, {made['ff']}",
        f"{cells['used']} of {cells['available']} ({cells['used'] / cells['available']:.1%})",
        f"{bram['used']} of {bram['available']} ({bram['estimated']})",
        made["dsp"],
        f"{mhz['min']:.1f} to {mhz['max']:.1f}",
        f"{run['cycles']['mean'] / mhz['min']:,.0f}",
    )
    return f"| {' | '.join(map(str, values))} |\n"
