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


CONTROL = """
## The control: no sparsity, no events

The same network, value for value, on a core that stores every weight, zeros too, and reads all of them at
every step, one a clock (`benchmarks/dense_core.v`). Its time is the same for every input. Dense, then events:

| network | part | blocks | clocks | LUT | microseconds |
|---|---|---|---|---|---|
"""


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
    rows = found["rows"]
    controlled = [row for row in rows if "control" in row]
    return text + "".join(map(_row, rows)) + CONTROL + "".join(map(_control, controlled))


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


def _control(row: Mapping[str, Any]) -> str:
    dense, run, made = row["control"], row["simulated"], row["synthesised"]
    fits = "lut" in dense
    ours = run["cycles"]["mean"] / made["mhz"]["min"]
    values = (
        row["network"],
        row["part"],
        f"{dense.get('blocks_used', dense['blocks'])} of {dense['available']}, {made['bram']['used']}",
        f"{dense['simulated_clocks']:,.0f}, {run['cycles']['mean']:,.0f}",
        f"{dense['lut'] if fits else 'does not fit'}, {made['lut']}",
        f"{dense['us']:,.0f}, {ours:,.0f}" if fits else f"does not fit, {ours:,.0f}",
    )
    return f"| {' | '.join(map(str, values))} |\n"
