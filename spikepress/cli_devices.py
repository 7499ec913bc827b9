"""The command that lists devices: reads its options, calls one function, prints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from spikepress.options import AsJson, DeviceFile
from spikepress.sizes import size_of

DEVICES_EXAMPLE = "Example: spikepress devices --model runs/first/model.spk --kind mcu --fits"


def devices(
    model: Annotated[Path | None, typer.Option(help="Judge this model on every device.")] = None,
    kind: Annotated[str | None, typer.Option(help="Only mcu, fpga or neuromorphic ones.")] = None,
    core: Annotated[str | None, typer.Option(help="Only where the core's name contains this.")] = None,
    vendor: Annotated[str | None, typer.Option(help="Only where the vendor's name contains this.")] = None,
    find: Annotated[
        str | None, typer.Option(help="Only where name, title, vendor or core contains this.")
    ] = None,
    min_flash: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Only with so much usable flash: 30000, 32K.")
    ] = None,
    min_ram: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Only with so much usable RAM: 1800, 2K.")
    ] = None,
    fits: Annotated[
        bool | None, typer.Option("--fits/--fits-not", help="Only those the model fits, or does not.")
    ] = None,
    own: DeviceFile = None,
    as_json: AsJson = False,
) -> None:
    """List the devices in the catalogue, or which of them a model fits."""
    from runtime.errors import ConfigError
    from spikepress.catalog import Wanted, device_json, judge_all, matching
    from spikepress.catalog import devices as all_devices
    from spikepress.terminal import print_devices, print_verdicts

    least = size_of("--min-flash", min_flash), size_of("--min-ram", min_ram)
    entries = matching(all_devices(own), Wanted(kind, core, vendor, find, *least))
    if model is None:
        if fits is not None:
            raise ConfigError("devices: found --fits without --model, expected a model to judge")
        if as_json:
            _print_json([device_json(entry) for entry in entries])
        else:
            print_devices(entries)
        return
    from spikepress.needs import needs_of_model
    from spikepress.page import verdict_json

    verdicts = [v for v in judge_all(needs_of_model(model), entries) if fits is None or v.fits is fits]
    if as_json:
        _print_json([verdict_json(verdict) for verdict in verdicts])
    else:
        print_verdicts(verdicts)


def _print_json(values: object) -> None:
    typer.echo(json.dumps(values, indent=2))
