"""The whole folder for a device: the network, start-up code, linker script, Makefile and a self-test."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporter.targets.c_cores import Core
from exporter.targets.c_source import Firmware, context_of, render, sources, watchers
from runtime.engine import Engine
from runtime.errors import DataError
from runtime.trace import Trace

OPTIMIZE = "-O2"
BOARD = ("main.c", "board.h", "board.c", "link.ld")
BUILDS = ("Makefile", "CMakeLists.txt", "library.json")


@dataclass(frozen=True)
class Board:
    """What a device offers the image: its name, core, clock, and the bytes the linker may give away."""

    name: str
    title: str
    core: Core
    mhz: int
    flash_bytes: int
    ram_bytes: int


def folder(firmware: Firmware, board: Board, sample: NDArray[np.int32] | None = None) -> dict[str, str]:
    """Every file by name. ``sample`` (steps, *shape), coded, goes into the self-test; none: silence."""
    context: dict[str, Any] = {
        **context_of(firmware),
        "board": board,
        "core": board.core,
        "optimize": OPTIMIZE,
    }
    steps = firmware.program.input.n_steps
    shape = firmware.program.input.shape
    frames = np.zeros((steps, *shape), np.int32) if sample is None else np.asarray(sample, np.int32)
    if frames.shape != (steps, *shape):
        raise DataError(f"self-test sample: found shape {frames.shape}, expected {(steps, *shape)}")
    files = sources(firmware)
    files |= {f"test/{name}": text for name, text in watchers(firmware).items()}
    for name in (*BOARD, *BUILDS, "README.md"):
        files[name] = render(f"{name}.j2", context)
    files["start.c"] = start_code(board.core)
    files["test/selftest.c"] = render("selftest.c.j2", {**context, **_expected(firmware, frames)})
    files["report.json"] = json.dumps(report(firmware, board), indent=2) + "\n"
    return files


def start_code(core: Core) -> str:
    """``start.c`` of a core."""
    return render(f"start_{core.family}.c.j2", {"core": core})


def linker_script(firmware: Firmware, board: Board) -> str:
    return render(
        "link.ld.j2", {"n": firmware.prefix, "firmware": firmware, "board": board, "core": board.core}
    )


def report(firmware: Firmware, board: Board) -> Mapping[str, Any]:
    """What was known before anything was compiled, exactly: constant data and the network's struct."""
    plan = firmware.plan
    return {
        "name": firmware.prefix,
        "device": board.name,
        "core": board.core.name,
        "mhz": board.mhz,
        "flash_budget_bytes": board.flash_bytes,
        "ram_budget_bytes": board.ram_bytes,
        "data_bytes": firmware.data_bytes,
        "ram_struct_bytes": firmware.ram_bytes,
        "schedule": plan.options.sentence,
        "pairs": bool(firmware.paired),
        "arrays": [{"name": a.name, "bytes": a.bytes, "what": a.what} for a in firmware.arrays],
        "ram": [
            {"layer": b.layer, "kind": b.kind, "bytes": b.bytes, "offset": b.offset} for b in plan.buffers
        ],
        "encodings": [table.encoding for table in firmware.program.tables],
    }


def _expected(firmware: Firmware, frames: NDArray[np.int32]) -> dict[str, Any]:
    """What the self-test holds its run against, from the engine."""
    program = firmware.program
    trace = Engine(program).run(np.ascontiguousarray(frames[:, None]), trace=True).trace
    assert trace is not None
    shown = frames[:1] if program.input.constant else frames
    at = np.flatnonzero(shown.ravel())
    return {
        "test_at": at.tolist(),
        "test_values": shown.ravel()[at].tolist(),
        "test_checksum": checksum(trace, [p.name for p in firmware.neurons]),
        "test_scores": trace.scores[0].tolist(),
    }


def checksum(trace: Trace, names: list[str]) -> int:
    """Of every payload and stored membrane of sample 0, step by step: rotate by five, exclusive or."""
    steps = len(next(iter(trace.membranes.values())))
    value = 0
    for step in range(steps):
        for name in names:
            for found in (trace.spikes[name][step, 0], trace.membranes[name][step, 0]):
                for item in found.ravel().tolist():
                    value = ((value << 5 | value >> 27) ^ item) & 0xFFFFFFFF
    return value
