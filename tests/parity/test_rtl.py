"""The Verilog core, simulated, does what the reference and the engine do: every spike, membrane and score;
its clocks are those of the formula, and its synaptic operations those that the engine counts."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from numpy.typing import NDArray

from exporter.lower import lower
from exporter.reference import run
from exporter.targets.verilog import describe, sources
from exporter.targets.verilog_clocks import clocks
from exporter.targets.verilog_layers import unsupported
from runtime.engine import Engine
from runtime.program import Program
from runtime.spec import Coding
from runtime.trace import Trace
from spikepress.exactness import compare
from spikepress.tools.rtl import outputs, trace_of
from tests.builders.graphs import CASES, coded, whole
from tests.builders.programs import random_input
from tests.builders.zoo import random_program

REFUSED = {
    "new current",
    "old current",
    "graded",
    "graded to value",
    "payloads",
    "current pool",
    "recurrent",
    "flat current",
    "pooled sum",
}
"""Synaptic currents, graded spikes, pooled currents, longer delays, an input that is heard twice."""
DRAWN = [seed for seed in range(1_500) if not unsupported(random_program(seed))]
FIRST = 12


@pytest.fixture(autouse=True)
def icarus() -> None:
    if shutil.which("iverilog") is None:
        pytest.skip("iverilog is not installed: apt-get install iverilog")


def held(program: Program, frames: NDArray[np.int32], reference: Trace) -> None:
    """The core of a program to a trace of the same input."""
    core = describe(program)
    found = outputs(sources(core), core, frames, "iverilog")
    leg = compare("rtl", reference, trace_of(core, found))
    assert (leg.differing_spikes, leg.differing_membranes, leg.differing_predictions) == (0, 0, 0)
    np.testing.assert_array_equal(found[:, -2], clocks(core, frames, reference))
    if program.input.coding is not Coding.DIRECT:
        counts = Engine(program).run(np.ascontiguousarray(frames)).counts
        assert found[:, -1].sum() == counts.effective_acs


@pytest.mark.parametrize("case", [case for case in CASES if case not in REFUSED])
@pytest.mark.parametrize("bits", [8, 3])
def test_the_core_does_what_the_reference_does(case: str, bits: int) -> None:
    graph = whole(case, seed=bits, bits=bits)
    frames = coded(graph, seed=6, samples=5)
    held(lower(graph), frames, run(graph, frames))


@pytest.mark.parametrize("case", sorted(REFUSED))
def test_what_it_has_no_form_for_is_refused(case: str) -> None:
    assert unsupported(lower(whole(case, seed=8, bits=8)))


@pytest.mark.parametrize(
    "seed",
    [
        seed if number < FIRST else pytest.param(seed, marks=pytest.mark.long)
        for number, seed in enumerate(DRAWN)
    ],
)
def test_the_core_of_a_drawn_network_does_what_the_engine_does(seed: int) -> None:
    program = random_program(seed)
    frames = random_input(program, 5, seed=seed)
    trace = Engine(program).run(frames, trace=True).trace
    assert trace is not None
    held(program, frames, trace)
