"""Runs generated C on this computer, built to stop at the first undefined behaviour, and gives its trace."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from exporter.plan import PlanOptions, plan
from exporter.targets.c_source import Firmware, describe, sources, watchers
from runtime.errors import ModelError
from runtime.program import NeuronPopulation, Program, n_neurons
from runtime.trace import Trace
from spikepress.tools.compiler import STRICT, build

WATCHED = ("-O1", "-DSNN_WATCH", "-fsanitize=undefined", "-fsanitize-trap=undefined")
"""Undefined behaviour ends the program by a signal: that needs no library of the sanitizer."""

Coded = NDArray[np.integer]
Whole = NDArray[np.int32]


def run_program(
    program: Program, coded: Coded, options: PlanOptions | None = None, *, pairs: bool = False
) -> Trace:
    """Trace of ``program`` as C on coded input (steps, samples, *shape)."""
    firmware = describe(program, plan(program, options or PlanOptions()), pairs=pairs)
    return trace_of_build(build_host(firmware), program, coded)


def build_host(firmware: Firmware) -> Path:
    """The program that reads samples and writes all the network does."""
    files = {**sources(firmware), **watchers(firmware)}
    del files["core.c"]
    return build(files, ("-std=c99", *STRICT, *WATCHED), "host")


def trace_of_build(executable: Path, program: Program, coded: Coded) -> Trace:
    """The trace that a host build gives; ModelError where it stops."""
    steps, samples = coded.shape[:2]
    if steps != program.input.n_steps:
        raise ModelError(f"C code: found {steps} steps, expected the {program.input.n_steps} it was made for")
    frames = np.ascontiguousarray(coded.swapaxes(0, 1), "<i4")
    done = subprocess.run([str(executable)], input=frames.tobytes(), capture_output=True, check=False)
    if done.returncode != 0:
        raise ModelError(
            f"C code: found exit status {done.returncode}, expected 0 (negative: a signal, as at undefined"
            " behaviour)"
        )
    return read_trace(np.frombuffer(done.stdout, "<i4").reshape(samples, -1), program)


def read_trace(values: Whole, program: Program) -> Trace:
    """The trace in what a watched build writes, (samples, values)."""
    samples, steps = len(values), program.input.n_steps
    layers = list(layers_of(program))
    outputs = n_neurons(program.populations[program.output])
    body = values[:, : values.shape[1] - outputs - 1].reshape(samples, steps, -1).swapaxes(0, 1)
    spikes, membranes, at = {}, {}, 0
    for name, size in layers:
        spikes[name] = np.ascontiguousarray(body[:, :, at : at + size])
        membranes[name] = np.ascontiguousarray(body[:, :, at + size : at + 2 * size])
        at += 2 * size
    scores = values[:, -outputs - 1 : -1].astype(np.int64)
    return Trace(spikes, membranes, scores, values[:, -1].astype(np.int64))


def layers_of(program: Program) -> Iterator[tuple[str, int]]:
    for population in program.populations:
        if isinstance(population, NeuronPopulation):
            yield population.name, n_neurons(population)
