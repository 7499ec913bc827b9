"""Whole traces of generated C, on this computer or an emulated core, beside the engine's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from exporter.plan import Order, PlanOptions, Queues, plan
from exporter.targets.c_cores import CORES
from exporter.targets.c_source import describe
from runtime import container
from runtime.coding import encode_input
from runtime.engine import Engine
from runtime.program import Program
from runtime.trace import Trace
from spikepress.exactness import compare
from spikepress.rundir import RunDirectory
from spikepress.samples import samples_of_test
from spikepress.tools.cross import Watched
from spikepress.tools.host import build_host, trace_of_build

CHUNK = 250
STEPS, ROWS = PlanOptions(), PlanOptions(Order.ROWS, Queues.BITMAPS)


def exact(name: str, run: str, leg: str, count: int, options: PlanOptions = STEPS) -> dict[str, Any]:
    """Values that differ over the first ``count`` test samples, and the accuracy of the C code on them, under
    the schedule ``options``."""
    folder = RunDirectory(Path(run))
    program = container.read(folder.program)
    test = samples_of_test(folder)
    labels = np.asarray(test.y[:count])
    runs, engine = _runner(program, leg, options), Engine(program)
    differ = {"spikes": 0, "membranes": 0, "answers": 0}
    right = 0
    for start in range(0, len(labels), CHUNK):
        coded = np.ascontiguousarray(encode_input(test.x[start : min(start + CHUNK, count)], program.input))
        expected, found = engine.run(coded, trace=True).trace, runs(coded)
        assert expected is not None
        told = compare(leg, expected, found)
        differ["spikes"] += told.differing_spikes
        differ["membranes"] += told.differing_membranes
        differ["answers"] += told.differing_predictions
        right += int(np.sum(found.predictions == labels[start : start + CHUNK]))
    return {
        "model": name,
        "leg": leg,
        "samples": len(labels),
        "accuracy": right / len(labels),
        "differ": differ,
    }


def _runner(program: Program, leg: str, options: PlanOptions) -> Callable[..., Trace]:
    firmware = describe(program, plan(program, options), pairs=True)
    if leg != "host":
        return Watched(firmware, CORES[leg]).run
    built = build_host(firmware)
    return lambda coded: trace_of_build(built, program, coded)
