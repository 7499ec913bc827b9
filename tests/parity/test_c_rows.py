"""Networks that run row by row as C give the engine's spikes and membranes, whatever their shape."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from exporter.plan import Order, PlanOptions, Queues, plan, schedules
from exporter.targets.c_cores import CORES
from runtime.encodings import CANDIDATES
from runtime.engine import Engine
from runtime.errors import UnsupportedError
from runtime.program import Program
from runtime.spec import Coding, Fire, InputSpec, Leak, Readout
from runtime.trace import Trace
from spikepress.tools.cross import run_on_core
from spikepress.tools.host import run_program
from tests.builders.programs import Builder, mlp, neuron, random_input, silent
from tests.builders.zoo import ZOO
from tests.parity.test_c_host import assert_same
from tests.tiers import need, on

ROWS = PlanOptions(Order.ROWS, Queues.BITMAPS)


def frame(shape: tuple[int, ...], steps: int, bits: int, *, signed: bool = False) -> InputSpec:
    return InputSpec(shape, Coding.DIRECT, steps, bits=bits, signed=signed, constant=True)


def two_maps(encoding: str) -> Program:
    """Two convolutions of payloads, strides and padding, then a readout that sums its membranes."""
    build = Builder(np.random.default_rng(1), frame((1, 11, 9), 1, 8), density=0.7)
    graded = neuron(fire=Fire.GRADED, payload_bits=3, threshold_q=(60,), reset_q=(0,))
    first = build.conv(0, 9, kernel=(5, 5), stride=(2, 2), padding=(1, 2))
    build.convolve(0, build.neurons(first.out_shape, graded), first, encoding)
    second = build.conv(1, 5, kernel=(3, 3), stride=(2, 2), padding=(0, 1))
    build.convolve(1, build.neurons(second.out_shape, graded), second, encoding)
    build.linear(2, build.neurons((4,), silent()), encoding)
    return build.program(Readout.MEMBRANE_SUM)


def several_steps(encoding: str) -> Program:
    """Binary spikes over several steps, leaks and parameters by channel and by neuron, signed input."""
    build = Builder(np.random.default_rng(2), frame((2, 6, 7), 4, 3, signed=True), density=0.6)
    by_channel = neuron(threshold_q=(20, 30, 25), reset_q=(20, 30, 25), bias_q=(1, -2, 0), leak=Leak((2, 3)))
    first = build.conv(0, 3, kernel=(3, 3), stride=(1, 1), padding=(1, 1))
    build.convolve(0, build.neurons(first.out_shape, by_channel), first, encoding, shift=1)
    second = build.conv(1, 2, kernel=(2, 3), stride=(3, 1), padding=(0, 0))
    size = int(np.prod(second.out_shape))
    levels = tuple(range(6, 6 + size))
    build.convolve(
        1, build.neurons(second.out_shape, neuron(threshold_q=levels, reset_q=levels)), second, encoding
    )
    build.linear(2, build.neurons((11,)), encoding)
    build.linear(3, build.neurons((3,)), encoding, shift=1)
    return build.program(Readout.COUNT)


def one_row(encoding: str) -> Program:
    """No map at all: a frame into two layers."""
    return mlp((30, 20, 5), encoding=encoding, spec=frame((30,), 3, 5), seed=4)


NETS: dict[str, Callable[[str], Program]] = {
    "two maps": two_maps,
    "several steps": several_steps,
    "one row": one_row,
}
ROTATED = [(list(NETS)[k % 3], encoding) for k, encoding in enumerate(CANDIDATES)]
CASES = [pair for pair in itertools.product(NETS, CANDIDATES) if pair not in ROTATED]


def expected_of(program: Program, frames: NDArray[np.int32]) -> Trace:
    """The engine's trace; every population that can fire does."""
    trace = Engine(program).run(frames, trace=True).trace
    assert trace is not None
    fires = [p.name for p in program.populations[1:] if p.neuron.fire is not Fire.SILENT]  # type: ignore[union-attr]
    assert all(trace.spikes[name].any() for name in fires)
    return trace


def assert_exact_here(case: str, encoding: str) -> None:
    program = NETS[case](encoding)
    frames = np.ascontiguousarray(random_input(program, 4, seed=3))
    assert_same(run_program(program, frames, ROWS), expected_of(program, frames))


@pytest.mark.parametrize(("case", "encoding"), [("two maps", "dense"), *ROTATED])
def test_every_encoding_gives_the_engines_spikes_and_membranes(case: str, encoding: str) -> None:
    assert_exact_here(case, encoding)


@pytest.mark.long
@pytest.mark.parametrize(("case", "encoding"), CASES)
def test_every_network_gives_them_in_every_encoding(case: str, encoding: str) -> None:
    assert_exact_here(case, encoding)


@pytest.mark.parametrize(
    ("core", "case", "encoding"),
    [
        on("cortex-m0", "cortex-m0", "two maps", "dense"),
        on("rv32ec", "rv32ec", "two maps", "dense"),
        on("cortex-m4", "cortex-m4", "several steps", "dense"),
        on("rv32ec", "rv32ec", "several steps", "lists"),
        on("avr", "avr", "two maps", "dense"),
        on("avr", "avr", "several steps", "gaps"),
    ],
)
def test_a_core_gives_the_engines_spikes_and_membranes(core: str, case: str, encoding: str) -> None:
    need(core)
    program = NETS[case](encoding)
    frames = np.ascontiguousarray(random_input(program, 3, seed=3))
    assert_same(run_on_core(program, CORES[core], frames, ROWS), expected_of(program, frames))


def test_a_row_at_a_time_needs_less_memory_than_a_layer() -> None:
    program = two_maps("dense")
    found = {options.order: plan(program, options).ram_bytes for options in schedules(program)}
    assert found[Order.ROWS] < found[Order.LAYERS] < found[Order.STEPS]


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("max pool", "changes from step to step, the pool of"),
        ("residual", "2 projections into"),
        ("recurrent", "delays"),
    ],
)
def test_what_cannot_run_row_by_row_is_refused_with_all_its_reasons(case: str, words: str) -> None:
    program = ZOO[case]("lists")
    assert Order.ROWS not in {options.order for options in schedules(program)}
    with pytest.raises(UnsupportedError, match=words):
        plan(program, ROWS)
