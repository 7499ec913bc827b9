"""The command that runs a network, on samples or on events as they come: reads its options, prints."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spikepress.options import AsJson, DataDir, Model, Samples

if TYPE_CHECKING:
    from spikepress.live import Event

RUN_EXAMPLE = "Example: spikepress run runs/first --samples 100"


def run(
    model: Model,
    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            help="Data set by name, or an .npz with x and y; default: the run's own. A recording of events"
            " (.bin, .dat, .h5, .npz with x, y, p and t), or - for lines t,x,y,p of standard input: one line"
            " a sample, as it ends.",
        ),
    ] = None,
    data_dir: DataDir = None,
    samples: Samples = None,
    carry: Annotated[
        bool, typer.Option("--carry", help="Of events: membranes go on from one sample into the next.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run the exported network on test data (accuracy, operations, time), or on events as they come."""
    from runtime.errors import ConfigError
    from spikepress.live import is_recording
    from spikepress.pipeline import run as run_model
    from spikepress.terminal import print_outcome

    if data is not None and is_recording(data):
        _decide(model, data, carry, samples, as_json)
        return
    if carry:
        raise ConfigError("run: found --carry without a recording of events, expected both or neither")
    outcome = run_model(model, data=data, data_dir=data_dir, samples=samples)
    if as_json:
        typer.echo(json.dumps(outcome.as_json(), indent=2))
    else:
        print_outcome(outcome)


def _decide(model: Path, data: str, carry: bool, samples: int | None, as_json: bool) -> None:
    from itertools import islice

    from spikepress.live import live

    decisions = live(model, _events(data), carry=carry, where=data)
    for one in islice(decisions, samples):
        typer.echo(json.dumps(one.as_json()) if as_json else one.sentence)


def _events(data: str) -> Iterable[Event]:
    from spikepress.live import PIPE, events_of_file, events_of_lines

    if data == PIPE:
        return events_of_lines(typer.get_text_stream("stdin", errors="replace"))
    return events_of_file(data)
