"""The commands that ask what fits: each reads its options, calls one function, prints, sets the status."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from spikepress.options import AsJson, Data, DataDir, DeviceFile, Samples
from spikepress.progress import shown
from spikepress.sizes import size_of

FIT_EXAMPLE = "Example: spikepress fit runs/first --device atmega328p"
COMPARE_EXAMPLE = "Example: spikepress compare runs/first runs/first/fit/atmega328p"


def fit(
    run_dir: Annotated[Path, typer.Argument(metavar="RUN", help="A run directory with a trained network.")],
    device: Annotated[str | None, typer.Option(help="Fit this device (see `spikepress devices`).")] = None,
    flash: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Flash to stay within, code included: 30000, 32K.")
    ] = None,
    ram: Annotated[
        str | None, typer.Option(metavar="SIZE", help="RAM to stay within, stack included: 1800, 2K.")
    ] = None,
    synops: Annotated[
        float | None, typer.Option(help="Mean additions of an inference to stay within.")
    ] = None,
    latency: Annotated[
        float | None,
        typer.Option(
            metavar="MS",
            help="Milliseconds of a mean inference to stay within, on a device whose core is timed.",
        ),
    ] = None,
    accuracy: Annotated[
        float | None,
        typer.Option(help="Least accuracy on validation samples; default: 0.9 of the trained network's."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Run directory to write the model to; default: RUN/fit/NAME.")
    ] = None,
    thorough: Annotated[
        bool, typer.Option("--thorough", help="Try every combination of choices; takes many times as long.")
    ] = False,
    own: DeviceFile = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Compress a run's trained network until it fits a device or a budget; exit 1 when nothing does.

    Searches sparsity, hidden neurons, bits, blocks, encodings and schedule, without training, and writes
    the most accurate model that fits as a run directory of its own. Sizes may end in K or KiB (1,024
    bytes) or kB (1,000).
    """
    from spikepress.fitting import Limits
    from spikepress.fitting import fit as run_fit
    from spikepress.terminal_fit import print_fit

    limits = Limits(size_of("--flash", flash), size_of("--ram", ram), synops, latency, accuracy)
    with shown() as notify:
        result = run_fit(
            run_dir,
            device=device,
            limits=limits,
            device_file=own,
            output=output,
            data_dir=data_dir,
            thorough=thorough,
            notify=notify,
        )
    if as_json:
        typer.echo(json.dumps(result.as_json(), indent=2))
    else:
        print_fit(result)
    raise typer.Exit(0 if result.fits else 1)


def compare(
    models: Annotated[list[Path], typer.Argument(metavar="A B …", help="Run directories or .spk files.")],
    data: Data = None,
    data_dir: DataDir = None,
    samples: Samples = None,
    as_json: AsJson = False,
) -> None:
    """Set models side by side, beside the sizes of other formats, and say what changed between them."""
    from spikepress.comparing import compare as run_compare
    from spikepress.terminal_compare import print_comparison

    with shown() as notify:
        result = run_compare(models, data=data, data_dir=data_dir, samples=samples, notify=notify)
    if as_json:
        typer.echo(json.dumps(result.as_json(), indent=2))
    else:
        print_comparison(result)
