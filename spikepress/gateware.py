"""The FPGA target of ``export``: from a stored program and a part number to a folder of Verilog."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.errors import ConfigError, DataError, UnsupportedError
from spikepress.catalog import Device, Kind, Resource, device
from spikepress.firmware import CONFIG, PROGRAM, REPORT, FirmwareOptions, first_sample

if TYPE_CHECKING:
    from exporter.targets.verilog import Core
    from exporter.targets.verilog_blocks import Blocks

CORE = "snn_core.v"
MOST_GAP_BITS = 32


@dataclass(frozen=True)
class Gateware:
    """A folder read back: its network, and its Verilog and images as they are now."""

    path: Path
    device: str
    core: Core
    files: dict[str, str]


def export_gateware(model: str | Path, output: str | Path, options: FirmwareOptions) -> Path:
    """Writes the folder; refuses first what the core has no form for and what the part cannot hold.

    ConfigError, UnsupportedError or OutputError, each before the first file is written.
    """
    from exporter.targets import spk
    from exporter.targets.c_source import write_files
    from exporter.targets.verilog_fit import fitted
    from exporter.targets.verilog_folder import check_fits, folder
    from runtime import container
    from spikepress.card import program_path

    if options.layout is not None:
        raise ConfigError(
            f"export --encoding: found {options.layout!r} for target fpga, expected none: it has its own"
        )
    path = program_path(model)
    program = container.read(path)
    blocks = device_blocks(device(options.device, options.device_file))
    core = fitted(program, blocks, options.lanes)
    check_fits(core, options.device, blocks)
    where = Path(output)
    write_files(folder(core, options.device, blocks, first_sample(program, path.parent)), where)
    spk.export(program, where / PROGRAM)
    config = path.parent / CONFIG
    if config.exists() and config.resolve() != (where / CONFIG).resolve():
        shutil.copy(config, where / CONFIG)
    return where


def device_blocks(entry: Device) -> Blocks:
    """The block RAM of a device; UnsupportedError for one that is no FPGA."""
    from exporter.targets.verilog_blocks import blocks_of

    if entry.kind is not Kind.FPGA:
        raise UnsupportedError(
            f"device {entry.name}: found a device of kind {entry.kind.value}, expected an fpga"
        )
    return blocks_of(entry.name, entry.available(Resource.BLOCK_RAM))


def read_gateware(path: str | Path) -> Gateware:
    """A folder that ``export_gateware`` wrote; DataError where it is none."""
    from exporter.targets.verilog import describe
    from runtime import container
    from spikepress.rundir import read_json

    where = Path(path)
    for name in (REPORT, PROGRAM, CORE):
        if not (where / name).exists():
            raise DataError(
                f"gateware {where}: found no {name}, expected a folder from `spikepress export --target fpga`"
            )
    told = read_json(where / REPORT)
    form = [told.get(name) for name in ("lanes", "gap_bits")]
    if not all(isinstance(value, int) and 0 <= value < MOST_GAP_BITS for value in form):
        raise DataError(
            f"gateware {where}: found {REPORT} with lanes, gap_bits {form}, expected whole numbers"
        )
    core = describe(container.read(where / PROGRAM), *(int(str(value)) for value in form))
    names = [f for f in where.iterdir() if f.suffix in (".v", ".vh", ".mem")]
    files = {f.name: f.read_text(encoding="utf-8") for f in sorted(names)}
    return Gateware(where, str(told.get("device")), core, files)
