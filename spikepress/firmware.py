"""The C target of ``export``: from a stored program and a part number to a folder that builds."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.errors import ConfigError, DataError, UnsupportedError
from spikepress.catalog import Device, Kind, Resource, device, devices

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from exporter.plan import PlanOptions
    from exporter.targets.c_folder import Board
    from exporter.targets.c_source import Firmware
    from runtime.program import Program

PROGRAM, CONFIG, REPORT = "model.spk", "config.toml", "report.json"


@dataclass(frozen=True)
class FirmwareOptions:
    """For which device, under which symbol prefix, with which encoding of all tables (None: as stored)."""

    device: str
    name: str = "snn"
    layout: str | None = None
    device_file: Path | None = None
    lanes: int = 1
    """Synaptic operations that an FPGA core does in a clock."""


@dataclass(frozen=True)
class Folder:
    """A firmware folder read back: its network, its board, and its files as they are now."""

    path: Path
    firmware: Firmware
    board: Board
    files: Mapping[str, str]


def export_firmware(model: str | Path, output: str | Path, options: FirmwareOptions) -> Path:
    """Writes the folder; refuses, before anything is compiled, what cannot fit. Returns the folder.

    ConfigError, UnsupportedError or OutputError, each before the first file is written.
    """
    from exporter.targets import spk
    from exporter.targets.c_folder import folder
    from exporter.targets.c_source import write_files
    from runtime import container
    from spikepress.card import program_path

    if options.lanes != 1:
        raise ConfigError(f"export --lanes: found {options.lanes} for target c, expected none: fpga has them")
    path = program_path(model)
    program = laid_out(container.read(path), options.layout)
    board = board_of(device(options.device, options.device_file))
    firmware = fitting(program, board, options)
    where = Path(output)
    write_files(folder(firmware, board, first_sample(program, path.parent)), where)
    spk.export(program, where / PROGRAM)
    config = path.parent / CONFIG
    if config.exists() and config.resolve() != (where / CONFIG).resolve():
        shutil.copy(config, where / CONFIG)
    return where


def laid_out(program: Program, layout: str | None) -> Program:
    """The program with every table but diagonals in the encoding ``layout``; None leaves it as it is."""
    from runtime.encodings import CANDIDATES, decode, encode
    from runtime.program import ConvSynapses

    if layout is None:
        return program
    if layout not in CANDIDATES:
        raise ConfigError(f"layout: found {layout!r}, expected one of {', '.join(CANDIDATES)}")
    tables = list(program.tables)
    for p in program.projections:
        table = tables[p.table]
        if table.encoding != "diagonal":
            kernel = p.synapses.kernel if isinstance(p.synapses, ConvSynapses) else (1, 1)
            tables[p.table] = encode(decode(table), layout, table.bits, taps=kernel[0] * kernel[1])
    return replace(program, tables=tuple(tables))


def board_of(entry: Device) -> Board:
    """What an image may take of a device; UnsupportedError for one that runs no C code of ours."""
    from exporter.targets.c_cores import core_of
    from exporter.targets.c_folder import Board

    if entry.kind is not Kind.MCU:
        raise UnsupportedError(
            f"device {entry.name}: found a device of kind {entry.kind.value}, expected a microcontroller"
        )
    flash, ram = entry.available(Resource.FLASH), entry.available(Resource.RAM)
    return Board(entry.name, entry.title, core_of(entry.core), entry.mhz, flash, ram)


def fitting(program: Program, board: Board, options: FirmwareOptions) -> Firmware:
    """The network under the fastest schedule whose memory the board has; UnsupportedError names the section
    that overflows, and the smallest listed part that would hold it."""
    from exporter.plan import plan
    from exporter.targets.c_source import describe
    from spikepress.needs import CODE_BYTES, STACK_BYTES

    found = [describe(program, plan(program, schedule), options.name) for schedule in _fastest_first(program)]
    words = [one for one in found if one.by_rows and board.core.family != "avr"]
    paired = [describe(program, one.plan, options.name, pairs=True) for one in words]
    smallest = min(found, key=lambda firmware: firmware.ram_bytes)
    _check_reach(smallest, board)
    if smallest.data_bytes > board.flash_bytes:
        raise _too_large(board, smallest, ".net_data", smallest.data_bytes, board.flash_bytes, options)
    if smallest.ram_bytes > board.ram_bytes:
        raise _too_large(board, smallest, ".bss", smallest.ram_bytes, board.ram_bytes, options)
    roomy = [one for one in paired if one.paired and one.data_bytes + CODE_BYTES <= board.flash_bytes]
    return next((f for f in [*roomy, *found] if f.ram_bytes + STACK_BYTES <= board.ram_bytes), smallest)


def _fastest_first(program: Program) -> Sequence[PlanOptions]:
    """The schedules that C has. Row by row comes first where a convolution's weights lie whole.

    Their taps are read in place then, where step by step walks a whole row of the table for an event
    (``benchmarks/mnist_16k.toml`` on a Cortex-M4: 383,304 instructions instead of 2,938,139 with lists).
    """
    from exporter.plan import Order, schedules
    from runtime.program import ConvSynapses

    whole = any(
        isinstance(p.synapses, ConvSynapses) and program.tables[p.table].encoding == "dense"
        for p in program.projections
    )
    known = [one for one in schedules(program) if one.order is not Order.LAYERS]
    return sorted(known, key=lambda one: whole and one.order is not Order.ROWS)


def _check_reach(firmware: Firmware, board: Board) -> None:
    """UnsupportedError where the core's compiler or its pointers cannot hold the constants."""
    most = board.core.most_array_bytes
    large = [array for array in firmware.arrays if most is not None and array.bytes > most]
    if large:
        raise UnsupportedError(
            f"device {board.name}: found {', '.join(f'{a.name} of {a.bytes:,} bytes' for a in large)},"
            f" expected arrays of at most {most:,} bytes, as its compiler takes them"
        )
    near = board.core.most_data_bytes
    if near is not None and near < firmware.data_bytes <= board.flash_bytes:
        raise UnsupportedError(
            f"device {board.name}: found {firmware.data_bytes:,} bytes of constants, expected at most"
            f" {near:,}, which 16-bit pointers reach"
        )


def _too_large(
    board: Board, firmware: Firmware, section: str, needed: int, available: int, options: FirmwareOptions
) -> UnsupportedError:
    part = _smallest_part(firmware, devices(options.device_file))
    other = f"the smallest listed part that would hold it is {part}" if part else "no listed part holds it"
    return UnsupportedError(
        f"device {board.name}: found section {section} of {needed:,} bytes, expected at most"
        f" {available:,}; {other}"
    )


def _smallest_part(firmware: Firmware, entries: Sequence[Device]) -> str | None:
    """The part with the least flash, then RAM, that holds data and struct beside estimated code and stack."""
    from exporter.targets.c_cores import NAMES
    from spikepress.needs import CODE_BYTES, STACK_BYTES

    able = [
        entry
        for entry in entries
        if entry.kind is Kind.MCU
        and entry.core in NAMES
        and entry.available(Resource.FLASH) >= firmware.data_bytes + CODE_BYTES
        and entry.available(Resource.RAM) >= firmware.ram_bytes + STACK_BYTES
    ]
    sizes = {e.name: (e.available(Resource.FLASH), e.available(Resource.RAM)) for e in able}
    return min(sizes, key=lambda name: sizes[name], default=None)


def first_sample(program: Program, run: Path) -> NDArray[np.int32] | None:
    """The first test sample, coded, for the self-test; None where there is no data."""
    from runtime.coding import encode_input
    from runtime.errors import SpikepressError
    from spikepress.rundir import RunDirectory
    from spikepress.samples import samples_of_test

    try:
        found = samples_of_test(RunDirectory(run))
    except SpikepressError:
        return None
    coded: NDArray[np.int32] = encode_input(found.x[:1], program.input)[:, 0]
    return coded


def read_folder(path: str | Path) -> Folder:
    """A folder that ``export_firmware`` wrote; DataError where it is none."""
    from exporter.plan import plan
    from exporter.targets.c_source import describe
    from runtime import container
    from spikepress.rundir import read_json

    where = Path(path)
    for name in (REPORT, PROGRAM):
        if not (where / name).exists():
            raise DataError(
                f"firmware {where}: found no {name}, expected a folder from `spikepress export --target c`"
            )
    told = read_json(where / REPORT)
    program = container.read(where / PROGRAM)
    firmware = describe(
        program, plan(program, _options(told, where)), str(told["name"]), pairs=told.get("pairs") is True
    )
    names = [f for f in where.iterdir() if f.suffix in (".c", ".h", ".ld")]
    return Folder(
        where, firmware, _board(told, where), {f.name: f.read_text(encoding="utf-8") for f in names}
    )


def _options(told: Mapping[str, object], where: Path) -> PlanOptions:
    from exporter.plan import Order, PlanOptions, Queues

    for options in (PlanOptions(order, queues) for order in Order for queues in Queues):
        if told.get("schedule") == options.sentence:
            return options
    raise DataError(f"{where / REPORT}: found schedule {told.get('schedule')!r}, expected one of `export`")


def _board(told: Mapping[str, object], where: Path) -> Board:
    from exporter.targets.c_cores import core_of
    from exporter.targets.c_folder import Board

    sizes = [told.get("flash_budget_bytes"), told.get("ram_budget_bytes")]
    if not all(isinstance(size, int) for size in sizes):
        raise DataError(f"{where / REPORT}: found budgets {json.dumps(sizes)}, expected whole numbers")
    flash, ram = (int(str(size)) for size in sizes)
    name, mhz = str(told.get("device")), told.get("mhz")
    return Board(name, name, core_of(str(told.get("core"))), mhz if isinstance(mhz, int) else 0, flash, ram)
