"""The Markdown page of ``benchmarks.mcu``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def page(found: Mapping[str, Any]) -> str:
    """The results as Markdown."""
    lines = [
        "# Firmware on emulated cores",
        "",
        f"`{found['command']}`, {found['compiler']} at -O2, Unicorn {found['unicorn']}.",
        "Executed instructions, not cycles; RAM is variables, the input among them, and the deepest stack of",
        "the run. *Differ*: spikes, membranes, scores and answers on the core that are not the engine's.",
        "Worst step: every input at its largest, every membrane forced to its upper bound. Accuracy is",
        "that of the few samples run here, the first of the test set. Nothing ran on hardware.",
        "",
        "| model | part (core) | tables | samples | accuracy | instructions: mean (min to max) | worst step"
        " | flash B | of it data: predicted, linked | RAM B | stack B | multiplications | differ |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [_line(one) for one in found["rows"]]
    lines += [
        "",
        "## Whole traces",
        "",
        "Spikes, stored membranes and answers that differ from the engine's, every neuron and step.",
        "",
        "| model | leg | samples | accuracy | spikes | membranes | answers |",
        "|---|---|---|---|---|---|---|",
        *(_exact_line(one) for one in found["exact"]),
        "",
        "## Marginal instructions",
        "",
        "Least squares over two networks, 784-128-10 at 5 and 50 % density and two input rates, 16 steps of"
        " events. An event's cost includes the board's call and the push of an input event; a neuron's step"
        " includes clearing its sum and all that happens once a step.",
        "",
        "| core | tables | a synaptic operation | an event | a neuron's step | largest error of the fit |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {one['core']} | {one['encoding']} | {one['synop']:.2f} | {one['event']:.1f}"
        f" | {one['neuron_step']:.1f} | {one['residual']:.2%} |"
        for one in found["costs"]
    ]
    return "\n".join(lines) + "\n"


def _line(one: Mapping[str, Any]) -> str:
    if "refused" in one:
        return (
            f"| {one['model']} | {one['part']} | {one['tables']} | – | refused: {one['refused']} |" + " |" * 8
        )
    count, data = one["instructions"], one["data_bytes"]
    return (
        f"| {one['model']} | {one['part']} ({one['core']}) | {one['tables']} | {one['samples']}"
        f" | {one['accuracy']:.2%} | {count['mean']:,.0f} ({count['min']:,} to {count['max']:,})"
        f" | {count['worst_step']:,} | {one['flash_bytes']:,} | {data['predicted']:,}, {data['linked']:,}"
        f" | {one['ram_bytes']:,} | {one['stack_bytes']} | {one['multiplies'] + one['soft_multiplies']}"
        f" | {one['mismatches']} |"
    )


def _exact_line(one: Mapping[str, Any]) -> str:
    differ = " | ".join(str(one["differ"][kind]) for kind in ("spikes", "membranes", "answers"))
    return f"| {one['model']} | {one['leg']} | {one['samples']:,} | {one['accuracy']:.2%} | {differ} |"
