"""The command that takes in networks of other tools: reads its options, calls one function, prints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from spikepress.options import AsJson, Data

IMPORT_EXAMPLE = (
    "Example: spikepress import model.nir --dt 1e-4 --reset subtract --reset-timing next-step -o runs/theirs"
)


def import_(
    file: Annotated[Path, typer.Argument(help="A NIR file.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Run directory to write.")],
    dt: Annotated[float, typer.Option(help="One step, in the unit of the file's time constants.")] = 1e-4,
    reset: Annotated[str, typer.Option(help="What a spike does: value, subtract or none.")] = "value",
    compare: Annotated[str, typer.Option(help="A spike at or above the threshold, or above: >= or >.")] = ">",
    reset_timing: Annotated[str, typer.Option(help="same-step or next-step.")] = "same-step",
    steps: Annotated[int, typer.Option(min=1, help="Steps of one sample.")] = 100,
    readout: Annotated[
        str | None,
        typer.Option(help="count, membrane_last, membrane_max or membrane_sum; default: by the output."),
    ] = None,
    bits: Annotated[int, typer.Option(help="Width of the integer weights: 8, 4, 3 or 2.")] = 8,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Make a run directory of a NIR file: integers, .spk and ONNX, and how far they stray from the file."""
    from spikepress.importing import NirWords, import_model

    found = import_model(
        file,
        output,
        words=NirWords(dt, reset, compare, reset_timing),
        n_steps=steps,
        readout=readout,
        bits=bits,
        data=data,
    )
    if as_json:
        typer.echo(json.dumps(found.as_json(), indent=2))
    else:
        typer.echo("\n".join([*found.sentences, f"Files: {found.output}"]))
