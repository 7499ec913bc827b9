"""The command that writes artefacts: reads its options, calls one function, prints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from spikepress.options import AsJson, Model

EXPORT_EXAMPLE = "Example: spikepress export runs/first --target c --device stm32f100rb --output fw"


def export(
    model: Model,
    target: Annotated[
        list[str] | None,
        typer.Option(help="spk, onnx, c, fpga or nir; may be repeated; default: spk and onnx."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for the files; default: the run directory.")
    ] = None,
    objective: Annotated[
        str, typer.Option(help="What tables are stored for: flash, speed or balanced.")
    ] = "flash",
    encoding: Annotated[
        str | None,
        typer.Option(
            help="One encoding for all tables, or module:NAME; archive is the smallest, for storage only."
        ),
    ] = None,
    device: Annotated[str | None, typer.Option(help="For c and fpga: the device to write for.")] = None,
    name: Annotated[str, typer.Option(help="For c: what every symbol begins with.")] = "snn",
    lanes: Annotated[int, typer.Option(help="For fpga: synapses added in a clock: 1, 2, 4 or 8.")] = 1,
    dt: Annotated[float, typer.Option(help="For nir: one step, in the unit of its time constants.")] = 1e-4,
    lossy: Annotated[
        bool, typer.Option("--lossy", help="For nir: also what NIR has no words for; says what is lost.")
    ] = False,
    data: Annotated[
        str | None,
        typer.Option(help="With --lossy: a data set or an .npz to measure on; default: the run's own."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Turn a run's network into integers and write it for one or more targets."""
    from runtime.errors import ConfigError
    from spikepress.firmware import FirmwareOptions
    from spikepress.nir_export import NirOptions
    from spikepress.pipeline import export as run_export
    from spikepress.rundir import RunDirectory

    targets = tuple(target or ("spk", "onnx"))
    if data is not None and not lossy:
        raise ConfigError("export: found --data without --lossy, expected both or neither")
    if lossy and "nir" not in targets:
        raise ConfigError("export: found --lossy without --target nir, expected both or neither")
    firmware = None if device is None else FirmwareOptions(device, name, lanes=lanes)
    written = run_export(
        model,
        targets=targets,
        output=output,
        objective=objective,
        encoding=encoding,
        firmware=firmware,
        nir=NirOptions(dt, lossy, data),
    )
    files = {kind: {"path": str(path), "bytes": _bytes(path)} for kind, path in written.items()}
    lines = [f"{x['path']}: {x['bytes']:,} bytes" for x in files.values()]
    if lossy:
        told = json.loads(RunDirectory(written["nir"].parent).nir_loss.read_text(encoding="utf-8"))
        files["nir"] |= {"loss": told}
        lines.append(told["sentence"])
    typer.echo(json.dumps(files, indent=2) if as_json else "\n".join(lines))


def _bytes(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    return sum(
        file.stat().st_size for file in ([path] if path.is_file() else path.rglob("*")) if file.is_file()
    )
