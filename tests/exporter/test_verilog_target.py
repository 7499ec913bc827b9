"""The Verilog target: images as the lists, what is refused, and the core in a simulator."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exporter.targets.c_arithmetic import terms
from exporter.targets.c_source import write_files
from exporter.targets.verilog import describe, sources
from exporter.targets.verilog_beats import beats
from exporter.targets.verilog_blocks import EBR, KBIT_18, Blocks, blocks_of
from exporter.targets.verilog_clocks import clocks, synops
from exporter.targets.verilog_folder import check_fits, folder
from exporter.targets.verilog_memory import Memory
from runtime.encodings import decode
from runtime.engine import Engine
from runtime.errors import ConfigError, DataError, UnsupportedError
from runtime.program import Program, Window
from runtime.spec import Coding, InputSpec, Leak, Readout, Reset
from spikepress.exactness import compare
from spikepress.tools.rtl import outputs, trace_of
from tests.builders.programs import Builder, events, mlp, neuron, random_input, silent

UP5K = blocks_of("ice40up5k", 30 << 12)


def test_the_images_give_back_every_weight_of_every_list() -> None:
    core = describe(mlp((6, 8, 4)))
    files = sources(core)
    begins = [int(line, 16) for line in files["ptr.mem"].split()]
    words = [int(line, 16) for line in files["weights.mem"].split()]
    assert begins[-1] == len(words) == core.sizes["SYNAPSES"]
    row, bits = 0, core.images.synapse_fields
    for table in core.program.tables:
        weights = decode(table)
        found = np.zeros_like(weights)
        for source in range(len(weights)):
            for word in words[begins[row] : begins[row + 1]]:
                weight, sign = word >> bits["distance"], 1 << bits["weight"] - 1
                found[source, word & 7] = (weight ^ sign) - sign
            row += 1
        np.testing.assert_array_equal(found, weights)


def test_the_beats_of_a_value_are_the_signed_digits_that_make_it() -> None:
    core = describe(direct("direct held signed"))
    values = np.array([0, 1, -1, 3, 7, 85, 255, -255, -170, 128, 96])
    found = np.zeros(11, np.int64)
    stream = beats(core, np.stack([values] * 5))
    assert stream[-1] == 1 << core.sizes["BEAT_BITS"]
    for beat in stream[:-1]:
        source, digit = beat & 15, beat >> core.sizes["INPUT_BITS"]
        shifts = core.sizes["DIGIT_BITS"] - 1
        found[source] += (-1 if digit >> shifts else 1) << (digit & ((1 << shifts) - 1))
    np.testing.assert_array_equal(found, values)
    assert len(stream) - 1 == sum(len(terms(abs(int(value)))) for value in values)


def test_two_descriptions_give_the_same_files() -> None:
    assert sources(describe(mlp())) == sources(describe(mlp()))


def test_everything_without_a_form_in_the_core_is_named_at_once() -> None:
    build = Builder(np.random.default_rng(0), events((2, 6, 6)))
    first = build.pooled_neurons((2, 6, 6), Window((2, 2), (2, 2)))
    build.convolve(0, first, build.conv(0, 2))
    second = build.neurons((4,))
    build.linear(first, second, delay=1)
    build.linear(0, second)
    with pytest.raises(UnsupportedError, match=r"p1: pooling of currents.*read 2 times.*s1: a delay of 1"):
        describe(build.program())
    counts = replace(mlp(), input=replace(mlp().input, bits=4))
    with pytest.raises(UnsupportedError, match="events input of 4 bits"):
        describe(counts)


@pytest.mark.parametrize(
    ("words", "bits", "shapes", "expected"),
    [(256, 16, EBR, 1), (257, 16, EBR, 2), (5082, 16, EBR, 20), (794, 13, EBR, 4), (1024, 17, KBIT_18, 1)],
)
def test_blocks_of_a_memory_are_the_fewest_over_all_shapes(
    words: int, bits: int, shapes: tuple[tuple[int, int], ...], expected: int
) -> None:
    assert Blocks("b", 1, shapes).needed(Memory("m", words, bits)) == expected


ROM, RAM = False, True
COUNTED = {
    "ice40up5k": [
        (4762, 4, RAM, 5),
        (1069, 15, RAM, 5),
        (13491, 7, ROM, 25),
        (4422, 16, ROM, 18),
        (11901, 23, ROM, 69),
        (15383, 17, RAM, 68),
        (18682, 8, RAM, 38),
        (18698, 20, RAM, 95),
        (8228, 23, ROM, 49),
        (14637, 9, RAM, 34),
        (8130, 15, RAM, 30),
    ],
    "ecp5-25f": [
        (1069, 15, RAM, 2),
        (13491, 7, ROM, 6),
        (11901, 23, ROM, 16),
        (15383, 17, RAM, 16),
        (18682, 8, RAM, 10),
        (4234, 12, RAM, 5),
        (18698, 20, RAM, 25),
        (9942, 23, RAM, 15),
        (4391, 22, ROM, 6),
        (14637, 9, RAM, 8),
    ],
}
"""Words, bits, and the blocks that yosys 0.70 took."""


@pytest.mark.parametrize("device", sorted(COUNTED))
def test_blocks_are_those_that_synthesis_took(device: str) -> None:
    blocks = blocks_of(device, 1 << 20)
    rng = np.random.default_rng(0)
    for words, bits, written, expected in COUNTED[device]:
        image = None if written else tuple(rng.integers(0, 1 << bits, words).tolist())
        assert blocks.needed(Memory("m", words, bits, image)) == expected


def test_columns_that_never_change_take_no_block() -> None:
    image = tuple((word & 0xFF) | 0x300 for word in range(512))
    assert Memory("m", 512, 12, image).varying == 8
    assert UP5K.needed(Memory("m", 512, 12, image)) == 1


def test_a_net_that_is_too_big_names_the_memory_and_the_blocks_that_are_missing() -> None:
    core = describe(mlp((300, 200, 10), density=0.5))
    with pytest.raises(
        UnsupportedError, match=r"found memory weights of \d+ and \d+ EBR.*at most 30: \d+ too"
    ):
        check_fits(core, "ice40up5k", UP5K)
    check_fits(core, "ecp5-25f", blocks_of("ecp5-25f", 56 * 18 << 10))


def test_a_sample_of_another_shape_is_refused() -> None:
    with pytest.raises(DataError, match="test bench: found shape"):
        folder(describe(mlp()), "ice40up5k", UP5K, np.zeros((6, 5), np.int32))


def net(case: str) -> Program:
    """Nets that use each rule of the core, two layers each."""
    sizes = {"many layers": (9, 12, 3, 8, 5), "wide layer": (5, 300, 3), "empty lists": (30, 8, 4)}
    if case in sizes:
        return mlp(sizes[case], density=0.05 if case == "empty lists" else 0.5)
    if case == "membranes":
        build = Builder(np.random.default_rng(1), events((7,)))
        build.linear(0, build.neurons((9,)))
        build.linear(1, build.neurons((3,), silent()))
        return build.program(Readout.MEMBRANE_MAX)
    if case.startswith("direct"):
        return direct(case)
    if case in SHARED:
        return shared(case)
    hidden = {
        "own thresholds": {"threshold_q": tuple(range(5, 14)), "reset_q": tuple(range(5, 14))},
        "clamps": {"v_min": -6, "v_max": 9, "threshold_q": (8,), "leak": Leak((2, 4))},
        "reset to value": {"reset": Reset.VALUE, "reset_q": (-3,), "bias_q": tuple(range(-4, 5))},
        "no leak": {"leak": Leak(()), "start_q": (7,), "threshold_q": (20,), "reset": Reset.NONE},
    }[case]
    build = Builder(np.random.default_rng(2), events((7,)))
    build.linear(0, build.neurons((9,), neuron(**hidden)), shift=1)
    build.linear(1, build.neurons((3,)))
    return build.program(Readout.MEMBRANE_SUM)


def shared(case: str) -> Program:
    """Nets whose sources share lists, and nets with more than a chain."""
    build = Builder(np.random.default_rng(7), events((2, 7, 6)), density=0.6)
    if case.startswith("convolution"):
        options: dict[str, Any] = {
            "convolution": {},
            "convolution with strides": {"stride": (2, 3), "padding": (2, 0)},
            "convolution with dilation": {"dilation": (2, 1), "padding": (0, 2), "kernel": (2, 3)},
            "convolution in groups": {"groups": 2, "stride": (1, 2)},
            "convolution after pooling": {"pool": Window((2, 2), (2, 2))},
        }[case]
        synapses = build.conv(0, 4, **options)
        build.convolve(0, build.neurons(synapses.out_shape), synapses, pool=options.get("pool"))
        deeper = build.conv(1, 3)
        build.convolve(1, build.neurons(deeper.out_shape), deeper)
        build.linear(2, build.neurons((3,)))
        return build.program()
    if case.startswith("gate"):
        window = Window((3, 2), (2, 2), (1, 1)) if "padded" in case else Window((2, 2), (2, 2))
        gate = build.gate(0, window)
        synapses = build.conv(gate, 3)
        first = build.neurons(synapses.out_shape)
        build.convolve(gate, first, synapses)
        build.linear(build.gate(first, window), build.neurons((3,)))
        return build.program()
    if case == "pooled linear":
        build.linear(0, build.neurons((5,)), pool=Window((2, 2), (2, 2)))
        build.linear(1, build.neurons((3,)))
        return build.program()
    first = build.neurons((9,))
    build.linear(0, first)
    if case == "recurrent":
        build.linear(first, first, delay=1, shift=1)
        build.diagonal(first, first, delay=1)
    if case == "recurrent over layers":
        second = build.neurons((5,))
        build.linear(first, second)
        build.linear(second, first, delay=1)
    if case == "recurrent output":
        last = build.neurons((3,))
        build.linear(first, last)
        build.linear(last, last, delay=1)
        return build.program()
    if case == "residual":
        second, third = build.neurons((9,)), build.neurons((9,))
        build.linear(first, second)
        build.linear(second, third)
        build.diagonal(first, third, shift=2)
    build.linear(len(build.populations) - 1, build.neurons((3,)))
    return build.program()


def direct(case: str) -> Program:
    """Values in place of spikes: held for a sample or new in each step, rounded or not, signed or not."""
    held, shift = "held" in case, -5 if "rounded" in case else 1
    bits = 1 if "one bit" in case else 8
    spec = InputSpec((11,), Coding.DIRECT, 5, bits=bits, signed="signed" in case, constant=held)
    build = Builder(np.random.default_rng(5), spec, density=0.7)
    hidden = neuron(threshold_q=(30,), reset_q=(30,))
    if "kernels" in case:
        build = Builder(np.random.default_rng(5), replace(spec, shape=(1, 5, 6)), density=0.7)
        synapses = build.conv(0, 3, stride=(2, 1))
        build.convolve(0, build.neurons(synapses.out_shape, hidden), synapses, shift=shift)
        build.linear(1, 1, delay=1)
    else:
        build.linear(0, build.neurons((9,), hidden), shift=shift)
    build.linear(1, build.neurons((3,)))
    return build.program()


SHARED = (
    "convolution",
    "convolution with strides",
    "convolution with dilation",
    "convolution in groups",
    "convolution after pooling",
    "gate",
    "gate, padded",
    "pooled linear",
    "recurrent",
    "recurrent over layers",
    "recurrent output",
    "residual",
)
CASES = (
    *SHARED,
    "direct kernels held rounded",
    "direct kernels signed",
    "direct held rounded",
    "direct held signed",
    "direct signed rounded",
    "direct one bit held",
    "direct",
    "many layers",
    "wide layer",
    "empty lists",
    "membranes",
    "own thresholds",
    "clamps",
    "reset to value",
    "no leak",
)


LAID = [("many layers", 4, 0), ("wide layer", 2, 0), ("recurrent", 8, 0), ("direct held signed", 4, 0)]
LAID += [("wide layer", 1, 3), ("empty lists", 1, 1), ("residual", 1, 2), ("direct", 1, 2)]


@pytest.mark.parametrize(("case", "lanes", "gap_bits"), LAID)
def test_lanes_and_gaps_change_no_value(case: str, lanes: int, gap_bits: int, tmp_path: Path) -> None:
    if shutil.which("iverilog") is None:
        pytest.skip("iverilog is not installed: apt-get install iverilog")
    program = net(case)
    core, sample = describe(program, lanes, gap_bits), random_input(program, 3, seed=3)
    trace = Engine(program).run(sample, trace=True).trace
    assert trace is not None
    found = outputs(sources(core), core, sample, "iverilog")
    leg = compare("rtl", trace, trace_of(core, found))
    assert (leg.differing_spikes, leg.differing_membranes, leg.differing_predictions) == (0, 0, 0)
    np.testing.assert_array_equal(found[:, -2], clocks(core, sample, trace))
    np.testing.assert_array_equal(found[:, -1], synops(describe(program), sample, trace))


def test_lanes_and_gaps_do_not_go_with_each_other_nor_with_shared_lists() -> None:
    with pytest.raises(ConfigError, match="found 4 lanes, expected one of 1, 2, 4, 8, without gaps"):
        describe(mlp(), 4, 3)
    with pytest.raises(ConfigError, match="found 3 lanes"):
        describe(mlp(), 3)
    with pytest.raises(UnsupportedError, match="found convolution or pooling with lanes"):
        describe(shared("convolution"), 2)


@pytest.mark.parametrize("case", CASES)
def test_the_test_bench_finds_every_spike_membrane_score_and_clock(case: str, tmp_path: Path) -> None:
    if shutil.which("iverilog") is None:
        pytest.skip("iverilog is not installed: apt-get install iverilog")
    program = net(case)
    core, sample = describe(program), random_input(program, 1, seed=3)
    write_files(folder(core, "ice40up5k", UP5K, sample[:, 0]), tmp_path)
    lines = _bench(tmp_path)
    trace = Engine(program).run(sample, trace=True).trace
    assert trace is not None
    assert lines[-1] == "PASS"
    assert lines[-2] == f"clocks {clocks(core, sample, trace)[0]}"
    assert [int(line.split()[1]) for line in lines[:-2]] == trace.scores[0].tolist()
    assert any(spikes.any() for spikes in trace.spikes.values())


def test_the_test_bench_fails_when_one_weight_differs(tmp_path: Path) -> None:
    if shutil.which("iverilog") is None:
        pytest.skip("iverilog is not installed: apt-get install iverilog")
    program = mlp()
    sample = np.ones((6, 6), np.int32)
    files = folder(describe(program), "ice40up5k", UP5K, sample)
    first, rest = files["weights.mem"].split("\n", 1)
    write_files({**files, "weights.mem": f"{int(first, 16) ^ 0x10:02x}\n{rest}"}, tmp_path)
    assert _bench(tmp_path)[-1].startswith("FAIL: ")


def _bench(where: Path) -> list[str]:
    """What the test bench prints."""
    build = ["iverilog", "-g2005", "-o", "bench.vvp", "bench.v", "snn_core.v"]
    subprocess.run(build, cwd=where, check=True, capture_output=True)
    done = subprocess.run(["vvp", "bench.vvp"], cwd=where, check=True, capture_output=True, text=True)
    assert "WARNING" not in done.stdout + done.stderr
    return done.stdout.split("\n")[:-1]
