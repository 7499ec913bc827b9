"""The whole folder for an FPGA: core, images, test bench with golden traces, report, README."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporter.targets.c_source import render
from exporter.targets.verilog import Core, sources
from exporter.targets.verilog_beats import beats
from exporter.targets.verilog_blocks import Blocks
from exporter.targets.verilog_board import board_files
from exporter.targets.verilog_clocks import clocks, synops
from exporter.targets.verilog_memory import Memory
from runtime.engine import Engine
from runtime.errors import DataError, UnsupportedError
from runtime.trace import Trace


def folder(
    core: Core, device: str, blocks: Blocks, sample: NDArray[np.int32] | None = None
) -> dict[str, str]:
    """Every file by name. ``sample`` (steps, *shape), coded, goes into the test bench; none: silence."""
    spec = core.program.input
    frames = np.zeros((spec.n_steps, *spec.shape), np.int32) if sample is None else sample
    if frames.shape != (spec.n_steps, *spec.shape):
        raise DataError(f"test bench: found shape {frames.shape}, expected {(spec.n_steps, *spec.shape)}")
    coded = np.ascontiguousarray(frames[:, None])
    trace = Engine(core.program).run(coded, trace=True).trace
    assert trace is not None
    stream = beats(core, frames)
    board = board_files(device)
    context = {"core": core, "device": device, "blocks": blocks, "beats": stream, "files": sorted(board)}
    figures = {
        **report(core, device, blocks),
        "bench": {"clocks": int(clocks(core, coded, trace)[0]), "synops": int(synops(core, coded, trace)[0])},
    }
    return {
        **sources(core),
        "snn_serial.v": render("snn_serial.v.j2", {}),
        **board,
        "bench.v": render("fpga_bench.v.j2", context),
        "beats.mem": Memory("beats", len(stream), core.sizes["BEAT_BITS"] + 1, tuple(stream)).text,
        "golden.mem": _golden(core, trace).text,
        "README.md": render("fpga_README.md.j2", context),
        "report.json": json.dumps(figures, indent=2) + "\n",
    }


def report(core: Core, device: str, blocks: Blocks) -> Mapping[str, Any]:
    """What is known before synthesis: sizes exactly, blocks of memory in closed form."""
    return {
        "device": device,
        "lanes": core.lanes,
        "gap_bits": core.gap_bits,
        "synapses": core.synapses,
        "neurons": core.sizes["NEURONS"],
        "membrane_bits": core.sizes["MEMBRANE_BITS"],
        "memories": [
            {"name": m.name, "words": m.words, "bits": m.bits, "blocks_estimated": blocks.needed(m)}
            for m in core.memories
        ],
        "block_kind": blocks.name,
        "blocks_estimated": blocks.total(core.memories),
        "blocks_available": blocks.count,
    }


def check_fits(core: Core, device: str, blocks: Blocks) -> None:
    """UnsupportedError names the largest memory, and by how many blocks the core is too big."""
    needed = blocks.total(core.memories)
    if needed > blocks.count:
        largest = max(core.memories, key=blocks.needed)
        raise UnsupportedError(
            f"device {device}: found memory {largest.name} of {blocks.needed(largest):,} and {needed:,}"
            f" {blocks.name} in all, expected at most {blocks.count:,}: {needed - blocks.count:,} too many"
        )


def _golden(core: Core, trace: Trace) -> Memory:
    """{spike, membrane} of every neuron of every step."""
    bits = core.sizes["MEMBRANE_BITS"]
    names = [layer.name for layer in core.stages if layer.traced]
    spikes = np.concatenate([trace.spikes[name][:, 0] for name in names], axis=1).astype(np.int64)
    membranes = np.concatenate([trace.membranes[name][:, 0] for name in names], axis=1).astype(np.int64)
    words = (spikes << bits) | (membranes & ((1 << bits) - 1))
    return Memory("golden", words.size, bits + 1, tuple(words.ravel().tolist()))
