"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Model = Annotated[Path, typer.Argument(help="A run directory, or a .spk file.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Data = Annotated[
    str | None,
    typer.Option("--data", help="Data set by name, or an .npz with x and y; default: the run's own."),
]
DataDir = Annotated[
    Path | None, typer.Option("--data-dir", help="Where data files lie; default: $SPIKEPRESS_DATA.")
]
Seed = Annotated[int | None, typer.Option("--seed", help="Seed; default: the configuration's.")]
Samples = Annotated[int | None, typer.Option("--samples", min=1, help="Use only the first so many samples.")]
DeviceFile = Annotated[
    Path | None, typer.Option("--devices", help="A TOML file with further devices of your own.")
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on from where the run directory stopped.")]

# What a NIR file leaves open.
Dt = Annotated[float, typer.Option(help="Of a NIR file: one step, in the unit of its time constants.")]
SpikeReset = Annotated[str, typer.Option("--reset", help="Of a NIR file: value, subtract or none.")]
Comparator = Annotated[
    str,
    typer.Option("--compare", help="Of a NIR file: a spike at or above the threshold, or above: >= or >."),
]
Timing = Annotated[str, typer.Option("--reset-timing", help="Of a NIR file: same-step or next-step.")]
Order = Annotated[
    str, typer.Option("--synaptic-order", help="Of a NIR file: the current before or after a step's input.")
]
Steps = Annotated[
    str, typer.Option("--integration", help="Of a NIR file: euler, exact (sinabs) or impulse (Rockpool).")
]
PayloadBits = Annotated[
    int, typer.Option(help="Bits of a spike, 1 to 4: of an ANN, or of a NIR file for several spikes a step.")
]
