"""Generated C, built for this computer to stop at undefined behaviour, does what engine and reference do."""

from __future__ import annotations

import re

import numpy as np
import pytest

from exporter.lower import lower
from exporter.plan import PlanOptions, Queues, plan
from exporter.reference import run as run_reference
from exporter.targets.c_source import describe, sources
from runtime.bounds import largest_total
from runtime.encodings import CANDIDATES, encode
from runtime.engine import Engine
from runtime.program import Program
from runtime.spec import Coding, InputSpec, StateWidth
from runtime.trace import Trace
from spikepress.tools import host
from tests.builders.graphs import CASES, coded, whole
from tests.builders.programs import Builder, events, mlp, neuron, random_input
from tests.builders.zoo import ZOO, random_program

LISTS, BITMAPS = (PlanOptions(queues=queues) for queues in Queues)
ROTATED = [
    (case, CANDIDATES[k % len(CANDIDATES)], (LISTS, BITMAPS)[k % 2])
    for k, case in enumerate(name for name in ZOO if name not in ("conv", "linear"))
]
SOME = ("convolution", "gate", "current pool", "recurrent", "residual", "graded", "new current")


def assert_same(found: Trace, expected: Trace) -> None:
    assert found.membranes.keys() == expected.membranes.keys()
    for name in expected.membranes:
        np.testing.assert_array_equal(found.spikes[name], expected.spikes[name], name)
        np.testing.assert_array_equal(found.membranes[name], expected.membranes[name], name)
    np.testing.assert_array_equal(found.scores, expected.scores)
    np.testing.assert_array_equal(found.predictions, expected.predictions)


def assert_exact(program: Program, options: PlanOptions, samples: int = 6) -> None:
    frames = np.ascontiguousarray(random_input(program, samples, seed=3))
    expected = Engine(program).run(frames, trace=True).trace
    assert expected is not None
    assert any(spikes.any() for spikes in expected.spikes.values())
    assert_same(host.run_program(program, frames, options), expected)


def spiking_program(seed: int) -> Program:
    """The first random program of this seed, 1000 more and so on that spikes: some are silent."""
    while True:
        program = random_program(seed)
        trace = Engine(program).run(random_input(program, 6, seed=3), trace=True).trace
        assert trace is not None
        if any(spikes.any() for spikes in trace.spikes.values()):
            return program
        seed += 1000


@pytest.mark.parametrize(("case", "encoding", "options"), ROTATED)
def test_every_feature_gives_the_engines_spikes_and_membranes(
    case: str, encoding: str, options: PlanOptions
) -> None:
    assert_exact(ZOO[case](encoding), options)


@pytest.mark.parametrize("encoding", CANDIDATES)
def test_every_encoding_is_read_right_in_a_convolution_and_a_linear_layer(encoding: str) -> None:
    assert_exact(ZOO["conv"](encoding), LISTS)


@pytest.mark.parametrize("bits", [1, 2, 3, 4])
def test_narrow_weights_are_read_right(bits: int) -> None:
    encodings = ("dense", "lists", "packed", "signs") if bits == 1 else ("lists", "gaps", "bitmap", "dense")
    build = Builder(np.random.default_rng(bits), events((9,)))
    lively = neuron(threshold_q=(2,), reset_q=(2,))
    last = 0
    for encoding in encodings:
        build.bits = bits
        last, before = build.neurons((10 + last,), lively), last
        build.linear(before, last, encoding)
        if bits == 1:
            matrix, name, width = build.matrices[-1]
            kept = np.where(matrix == 0, 1, matrix) if encoding == "dense" else matrix
            build.matrices[-1] = (np.sign(kept), name, width)
    assert_exact(build.program(), LISTS)


@pytest.mark.parametrize("encoding", ["lists", "dense", "rice"])
@pytest.mark.parametrize("signed", [False, True])
def test_every_payload_of_eight_bits_is_added_right(signed: bool, encoding: str) -> None:
    spec = InputSpec((256,), Coding.DIRECT, 2, bits=8, signed=signed)
    program = mlp((256, 20, 4), encoding=encoding, spec=spec, seed=1)
    firmware = describe(program, plan(program))
    assert firmware.synapses[0].digits is (encoding != "rice")
    values = np.arange(256, dtype=np.int32)
    frames = np.stack([values, 255 - values])[:, None]
    frames = frames * np.where(values % 3 == 0, -1, 1).astype(np.int32) if signed else frames
    expected = Engine(program).run(np.ascontiguousarray(frames), trace=True).trace
    assert expected is not None
    assert_same(host.run_program(program, frames), expected)


def test_payloads_are_added_bit_by_bit_where_sums_have_no_bit_to_spare() -> None:
    build = Builder(np.random.default_rng(0), InputSpec((100,), Coding.DIRECT, 2, bits=14), density=1.0)
    wide = {"width": StateWidth.INT32, "v_min": -(1 << 20), "v_max": 1 << 20}
    build.linear(0, build.neurons((3,), neuron(**wide)), shift=8)
    program = build.program()
    assert 1 << 30 < largest_total(program, 1) < 1 << 31
    assert not describe(program, plan(program)).synapses[0].digits


@pytest.mark.parametrize("case", SOME)
def test_quantized_graphs_give_the_references_spikes_and_membranes(case: str) -> None:
    graph = whole(case, seed=4, bits=8)
    frames = np.ascontiguousarray(coded(graph, seed=5))
    assert_same(host.run_program(lower(graph), frames), run_reference(graph, frames))


@pytest.mark.long
@pytest.mark.parametrize("options", [LISTS, BITMAPS], ids=["lists", "bitmaps"])
@pytest.mark.parametrize("seed", range(40))
def test_random_programs_give_the_engines_spikes_and_membranes(seed: int, options: PlanOptions) -> None:
    assert_exact(spiking_program(seed), options)


@pytest.mark.long
@pytest.mark.parametrize("bits", [8, 4, 2])
@pytest.mark.parametrize("case", CASES)
def test_all_quantized_graphs_give_the_references_spikes_and_membranes(case: str, bits: int) -> None:
    graph = whole(case, seed=bits, bits=bits)
    frames = np.ascontiguousarray(coded(graph, samples=32, seed=5))
    options = (LISTS, BITMAPS)[bits == 4]
    assert_same(host.run_program(lower(graph), frames, options), run_reference(graph, frames))


def test_a_wrong_weight_is_seen() -> None:
    program = mlp(seed=4)
    table = program.tables[0]
    changed = encode(np.zeros((table.rows, table.columns), np.int32), "lists", table.bits)
    broken = Program(
        program.input,
        program.populations,
        program.projections,
        (changed, *program.tables[1:]),
        program.output,
        program.readout,
    )
    frames = np.ascontiguousarray(random_input(program, 6, seed=3))
    expected = Engine(program).run(frames, trace=True).trace
    assert expected is not None
    with pytest.raises(AssertionError):
        assert_same(host.run_program(broken, frames), expected)


def test_generated_c_holds_no_product_no_division_no_float_and_nothing_static() -> None:
    program = ZOO["conv strided"]("huffman")
    text = sources(describe(program, plan(program)))["snn.c"]
    code = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    assert not re.search(r"\b(float|double|malloc|memcpy|memset)\b", code)
    assert not re.search(r"[\w\])] (\*|/|%) [\w(]", code)
    variables = [line for line in code.splitlines() if line.startswith("static") and line.endswith(";")]
    assert variables == []
