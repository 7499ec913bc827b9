"""What synthesis of a folder came to, kept in the folder under a digest of all that it came from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path

from exporter.files import write_whole
from runtime.errors import DataError
from spikepress.rundir import read_json
from spikepress.tools.synth import Netlist, Placed

KEPT = "synth.json"


@dataclass(frozen=True)
class Known:
    """Of one digest: the netlist, and each seed that was placed."""

    key: str
    netlist: Netlist | None = None
    placed: Mapping[int, Placed] = field(default_factory=dict)


def digest(files: Mapping[str, str], device: str, packages: tuple[str, ...]) -> str:
    """Of the Verilog and its images, the device and the versions of the tools."""
    parts = [device, *(f"{name} {version(name.replace('_', '-'))}" for name in packages)]
    parts += [f"{name}\n{text}" for name, text in sorted(files.items())]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def known(folder: Path, key: str) -> Known:
    """What is kept under this digest; nothing where the file is missing, damaged or of another one."""
    try:
        told = read_json(folder / KEPT)
        if told["key"] != key:
            return Known(key)
        netlist = Netlist(**{name: int(value) for name, value in told["netlist"].items()})  # type: ignore[attr-defined]
        rows = told["placed"].items()  # type: ignore[attr-defined]
        placed = {int(seed): _placed(row) for seed, row in rows}
    except (DataError, KeyError, TypeError, ValueError, AttributeError):
        return Known(key)
    return Known(key, netlist, placed)


def _placed(row: Mapping[str, object]) -> Placed:
    used = {str(role): (int(pair[0]), int(pair[1])) for role, pair in row["used"].items()}  # type: ignore[attr-defined]
    mhz = row["mhz"]
    if not isinstance(mhz, float) or mhz <= 0 or not {"lc", "ram"} <= set(used):
        raise ValueError("no figures")
    return Placed(used, mhz)


def keep(folder: Path, found: Known) -> None:
    """OutputError where the folder cannot be written."""
    assert found.netlist is not None
    placed = {str(seed): asdict(one) for seed, one in sorted(found.placed.items())}
    text = json.dumps({"key": found.key, "netlist": asdict(found.netlist), "placed": placed}, indent=2)
    write_whole(folder / KEPT, f"{text}\n".encode())
