"""What one more synaptic operation, event and neuron's step cost on an emulated core, in instructions.

Two networks, 784-128-10, that differ in density (5 and 50 %), at two input rates: least squares of
``a * synops + b * events + c * neurons * steps`` over the samples of both. The cost of an event includes the
board's call and the push of an input event.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from exporter.plan import plan
from exporter.targets.c_cores import Core
from exporter.targets.c_folder import Board, folder
from exporter.targets.c_source import describe
from runtime.encodings import encode
from runtime.engine import Engine
from runtime.program import InputPopulation, LinearSynapses, NeuronPopulation, Program, Projection
from runtime.spec import Coding, Fire, InputSpec, IntegerNeuron, Leak, Readout, Reset, StateWidth
from spikepress.tools import elf
from spikepress.tools.cross import build_for_core
from spikepress.tools.inference import infer
from spikepress.tools.machine import Memories

SIZES, STEPS, BITS = (784, 128, 10), 16, 8
THRESHOLDS = {0.05: 40, 0.5: 150}
"""By density: about as many hidden spikes in either network."""
RATES = (0.02, 0.1)
SAMPLES = 3
FLASH, RAM = 1 << 20, 1 << 16


@dataclass(frozen=True)
class Cost:
    """Instructions each; ``residual``: the largest error of the fit, as a share of the whole."""

    core: str
    encoding: str
    synop: float
    event: float
    neuron_step: float
    residual: float


def cost(core: Core, encoding: str) -> Cost:
    """The fit for tables in one encoding."""
    rows = np.concatenate([measured(core, density, encoding) for density in THRESHOLDS])
    found, *_ = np.linalg.lstsq(rows[:, :3], rows[:, 3], rcond=None)
    error = np.abs(rows[:, :3] @ found - rows[:, 3]) / rows[:, 3]
    return Cost(core.name, encoding, *(float(value) for value in found), float(error.max()))


def measured(core: Core, density: float, encoding: str) -> NDArray[np.float64]:
    """(synaptic operations, events, neuron steps, instructions) of each sample."""
    program = network(density, encoding)
    firmware = describe(program, plan(program))
    files = folder(firmware, Board("fit", "fit", core, 1, FLASH, RAM))
    network_files = {name: text for name, text in files.items() if "/" not in name}
    image = elf.read(build_for_core(network_files, core, "-Wl,--gc-sections"))
    rng, rows = np.random.default_rng(0), []
    for rate in RATES:
        coded = (rng.random((STEPS, SAMPLES, SIZES[0])) < rate).astype(np.int32)
        done, _ = infer(image, core, Memories(FLASH, RAM), firmware, coded)
        for sample, one in enumerate(done):
            counts = Engine(program).run(np.ascontiguousarray(coded[:, sample : sample + 1])).counts
            events = sum(part.events for part in counts.projections.values())
            rows.append((counts.effective_acs, events, counts.neuron_updates, one.count.instructions))
    return np.array(rows, np.float64)


def network(density: float, encoding: str) -> Program:
    """Random weights of -7 to 7 at this density, leaky neurons that reset by subtraction."""
    rng = np.random.default_rng(5)
    model = _neuron(THRESHOLDS[density])
    tables = []
    for rows, columns in pairwise(SIZES):
        kept = rng.random((rows, columns)) < density
        tables.append(encode((rng.integers(-7, 8, (rows, columns)) * kept).astype(np.int32), encoding, BITS))
    return Program(
        InputSpec((SIZES[0],), Coding.EVENTS, STEPS),
        (InputPopulation("input", SIZES[:1]), *(NeuronPopulation(f"n{n}", (n,), model) for n in SIZES[1:])),
        tuple(Projection(f"s{k}", k, k + 1, LinearSynapses(), k) for k in range(len(tables))),
        tuple(tables),
        len(tables),
        Readout.COUNT,
    )


def _neuron(threshold: int) -> IntegerNeuron:
    return IntegerNeuron(
        Leak((4,)),
        Fire.BINARY,
        Reset.SUBTRACT,
        StateWidth.INT16,
        StateWidth.INT16.lowest,
        StateWidth.INT16.highest,
        0,
        (threshold,),
        (threshold,),
        (0,),
        (0,),
    )
