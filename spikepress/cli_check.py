"""The command that checks a model file against targets: reads its options, calls one function, prints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from spikepress.options import AsJson, Comparator, Dt, Order, PayloadBits, SpikeReset, Steps, Timing

CHECK_EXAMPLE = "Example: spikepress check theirs.nir --target spikepress --target xylo --json"


def check(
    file: Annotated[Path, typer.Argument(help="A NIR, ONNX or .spk file, or a run directory.")],
    target: Annotated[
        list[str] | None,
        typer.Option(
            help="spikepress, nir, xylo, speck, loihi1 or loihi2; may be repeated; default: spikepress,"
            " and onnx for an ONNX file."
        ),
    ] = None,
    dt: Dt = 1e-4,
    reset: SpikeReset = "value",
    compare: Comparator = ">",
    reset_timing: Timing = "same-step",
    synaptic_order: Order = "new",
    integration: Steps = "euler",
    payload_bits: PayloadBits = 1,
    as_json: AsJson = False,
) -> None:
    """List all that targets would refuse in a network, with node, rule and remedy; exit 1 if there is any."""
    from spikepress.checking import check_model
    from spikepress.importing import NirWords

    words = NirWords(dt, reset, compare, reset_timing, synaptic_order, integration, payload_bits)
    found = check_model(file, targets=tuple(target or ()), words=words)
    if as_json:
        typer.echo(json.dumps(found.as_json(), indent=2))
    else:
        lines = [*found.notes, *(one.sentence for one in found.findings)]
        lines.append(f"{file}: {len(found.findings)} findings for {', '.join(found.targets)}.")
        typer.echo("\n".join(lines))
    raise typer.Exit(0 if found.passes else 1)
