"""The command that checks a user's own part: reads its options, calls one function, prints."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from spikepress.options import AsJson, DataDir

CONFORM_EXAMPLE = "Example: spikepress conform mine:Coder"


def conform(
    place: Annotated[
        str, typer.Argument(help="module:NAME of a data set, coder, layer, criterion or device of your own.")
    ],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Hold a part of your own against the rules that ours are tested on; exit 1 where one is broken."""
    from spikepress.conforming import conform as run_conform

    found = run_conform(place, data_dir=data_dir)
    lines = [f"{place}: a {found.kind}", *(check.sentence for check in found.checks)]
    typer.echo(json.dumps(found.as_json(), indent=2) if as_json else "\n".join(lines))
    raise typer.Exit(0 if found.passes else 1)
