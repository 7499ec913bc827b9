"""Networks that run row by row as C give the engine's spikes and membranes, whatever their shape."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from exporter.plan import Order, PlanOptions, Queues, plan, schedules
from exporter.targets.c_cores import CORES
from exporter.targets.c_pairs import is_paired
from exporter.targets.c_source import describe
from runtime.coding import encode_input
from runtime.encodings import CANDIDATES
from runtime.engine import Engine
from runtime.errors import UnsupportedError
from runtime.program import Program
from runtime.spec import Coding, Fire, InputSpec, Leak, Readout, StateWidth
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


def in_pairs(maps: int = 8, spec: InputSpec | None = None, width: int = 8) -> Program:
    """Two convolutions of ``width`` bits, the second with too many maps to unroll, and a readout."""
    build = Builder(np.random.default_rng(6), spec or frame((1, 12, 12), 1, 2), width, density=0.9)
    graded = neuron(fire=Fire.GRADED, payload_bits=3, threshold_q=(20,), reset_q=(0,))
    first = build.conv(0, maps, kernel=(5, 5), stride=(2, 2), padding=(1, 1))
    build.convolve(0, build.neurons(first.out_shape, graded), first, "dense")
    second = build.conv(1, 70, kernel=(3, 3), stride=(2, 2), padding=(0, 0))
    build.convolve(1, build.neurons(second.out_shape, graded), second, "dense")
    build.linear(2, build.neurons((4,), silent()), "lists")
    return build.program(Readout.MEMBRANE_SUM)


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


def full_and_random(program: Program) -> NDArray[np.int32]:
    """Random frames, then one of the largest values and one of nothing."""
    frames = np.array(random_input(program, 4, seed=3))
    frames[:, 2], frames[:, 3] = (1 << program.input.bits) - 1, 0
    return frames


def paired_of(program: Program) -> frozenset[int]:
    return describe(program, plan(program, ROWS), pairs=True).paired


@pytest.mark.parametrize("bits", [1, 2, 7])
def test_two_sums_in_a_word_are_the_engines(bits: int) -> None:
    program = in_pairs(spec=frame((1, 12, 12), 1, bits))
    assert paired_of(program) == {0, 1}
    frames = full_and_random(program)
    assert_same(run_program(program, frames, ROWS, pairs=True), expected_of(program, frames))


@pytest.mark.parametrize("width", [2, 3, 4])
def test_narrow_weights_share_words_too(width: int) -> None:
    program = in_pairs(width=width)
    assert paired_of(program) == {0, 1}
    frames = full_and_random(program)
    assert_same(run_program(program, frames, ROWS, pairs=True), expected_of(program, frames))


@pytest.mark.parametrize(
    "core", [on(core, core) for core in ("cortex-m0", "cortex-m4", "cortex-m33", "rv32i", "rv32ec")]
)
def test_two_sums_in_a_word_are_the_engines_on_a_core(core: str) -> None:
    need(core)
    program = in_pairs()
    frames = full_and_random(program)
    assert_same(run_on_core(program, CORES[core], frames, ROWS, pairs=True), expected_of(program, frames))


def test_only_sums_that_16_bits_hold_share_a_word() -> None:
    assert paired_of(in_pairs(maps=8)) == {0, 1}
    assert paired_of(in_pairs(spec=frame((1, 12, 12), 1, 11))) == {1}  # samples up to 2047
    assert paired_of(in_pairs(maps=7)) == {1}  # an odd map has no partner
    signed = frame((1, 12, 12), 1, 2, signed=True)
    assert paired_of(in_pairs(spec=signed)) == {1}
    assert not describe(in_pairs(), plan(in_pairs(), ROWS)).paired


def test_pairs_reach_the_ends_of_16_bits_and_no_further() -> None:
    """The largest sum is 2^15 - 1 and the smallest -2^15; one beyond is refused, and both ends are exact."""
    for ends, fits in (((32767, -32768), True), ((32768, -32768), False), ((32767, -32769), False)):
        program = reaching(*ends)
        assert is_paired(program, program.projections[0], 0) is fits
    program = reaching(32767, -32768)
    frames = np.full((1, 1, 1, 20, 20), 1, np.int32)
    found = run_program(program, frames, ROWS, pairs=True)
    assert_same(found, Engine(program).run(frames, trace=True).trace)
    assert sorted(np.unique(found.membranes["p1"])) == [-32768, 32767]


def reaching(high: int, low: int) -> Program:
    """One convolution over a whole frame of 20 x 20 bits, whose two maps reach ``high`` and ``low``."""
    build = Builder(np.random.default_rng(1), frame((1, 20, 20), 1, 1))
    conv = build.conv(0, 2, kernel=(20, 20), stride=(1, 1), padding=(0, 0))
    kept = silent(width=StateWidth.INT32, v_min=-(1 << 30), v_max=1 << 30)
    build.convolve(0, build.neurons(conv.out_shape, kept), conv, "dense")
    weights = np.zeros((2, 400), np.int32)
    for row, end in zip(weights, (high, low), strict=True):
        row[: abs(end) // 127] = np.sign(end) * 127
        row[399] = np.sign(end) * (abs(end) % 127)
    build.matrices[0] = (weights.reshape(1, 800), "dense", 8)
    return build.program(Readout.MEMBRANE_LAST)


@pytest.mark.parametrize(("pairs", "dropped"), [(False, 6), (True, 6), (True, 10)])
def test_samples_lose_their_lowest_bits_in_the_firmware(pairs: bool, dropped: int) -> None:
    spec = InputSpec((1, 12, 12), Coding.DIRECT, 1, bits=2, constant=True, sample_shift=dropped)
    program = in_pairs(spec=spec)
    raw = np.random.default_rng(8).integers(0, 1 << 2 + dropped, (4, 144))
    frames = np.array(encode_input(raw, spec))
    assert set(np.unique(frames)) == {0, 1, 2, 3}
    assert_same(run_program(program, frames, ROWS, pairs=pairs), expected_of(program, frames))
    assert_same(run_program(program, frames), expected_of(program, frames))


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
