"""The C target: constants as shifts, arrays as stored, memory as planned, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from exporter.lower import lower
from exporter.plan import Memory, Order, PlanOptions, plan, schedules
from exporter.targets.c_arithmetic import reciprocal, terms
from exporter.targets.c_cores import CORES, core_of
from exporter.targets.c_folder import Board, folder
from exporter.targets.c_neurons import can_clamp
from exporter.targets.c_source import describe, tidy, write_files
from runtime.engine import Engine
from runtime.errors import ConfigError, DataError, OutputError, UnsupportedError
from runtime.program import NeuronPopulation
from runtime.spec import Coding, Leak, Readout, StateWidth
from tests.builders.graphs import CASES, whole
from tests.builders.programs import Builder, events, mlp, neuron, random_input, silent
from tests.builders.zoo import ZOO, random_program


@pytest.mark.parametrize("factor", [1, 3, 5, 7, 9, 25, 144, 169, 255, 784, 65535])
def test_a_factor_is_the_sum_of_its_terms(factor: int) -> None:
    assert sum((-1 if t.negative else 1) << t.shift for t in terms(factor)) == factor


@pytest.mark.parametrize("divisor", [3, 5, 7, 9, 25, 28, 100, 169, 784])
def test_a_reciprocal_divides_every_number_below_its_limit_within_32_bits(divisor: int) -> None:
    limit = 7000
    factor, shift = reciprocal(divisor, limit)
    x = np.arange(limit, dtype=np.int64)
    np.testing.assert_array_equal(x * factor >> shift, x // divisor)
    assert factor * (limit - 1) < 1 << 32


def test_a_division_beyond_32_bits_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="divide by 7"):
        reciprocal(7, 1 << 24)


@pytest.mark.parametrize("case", CASES)
def test_arrays_take_no_more_than_the_plans_flash_and_the_struct_is_the_plans_ram(case: str) -> None:
    program = lower(whole(case))
    memory = plan(program)
    found = describe(program, memory)
    assert 0 < found.data_bytes <= memory.total(Memory.FLASH)
    assert found.ram_bytes == memory.ram_bytes + 4 * len(found.memory.counters)
    stored = {buffer.offset: buffer.bytes for buffer in memory.buffers}
    assert all(stored[member.offset] >= 0 for member in found.memory.members)


def test_everything_without_a_c_form_is_named_at_once() -> None:
    program = mlp()
    late = replace(program, input=replace(program.input, coding=Coding.LATENCY))
    layers = next(o for o in schedules(late) if o.order is Order.LAYERS)
    with pytest.raises(UnsupportedError, match="latency coding, the schedule layer by layer"):
        describe(late, plan(late, layers))


def test_scores_that_could_leave_32_bits_are_refused() -> None:
    build = Builder(np.random.default_rng(0), events((4,), n_steps=8))
    wide = {"width": StateWidth.INT32, "v_min": -(1 << 30), "v_max": (1 << 30) - 1}
    build.linear(0, build.neurons((3,), neuron(**wide)))
    with pytest.raises(UnsupportedError, match="scores that could reach"):
        _described(build.program(Readout.MEMBRANE_SUM))
    build.linear(1, build.neurons((3,), silent(**wide)))
    assert _described(build.program(Readout.MEMBRANE_SUM))


def _described(program: object) -> object:
    return describe(program, plan(program))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, False),
        ({"v_min": -200, "v_max": 200}, True),
        ({"leak": Leak(())}, True),
        ({"reset_q": (-3,)}, True),
        ({"synaptic_leak": Leak((1,))}, True),
    ],
)
def test_a_clamp_is_left_out_only_where_no_input_can_reach_it(changes: dict, expected: bool) -> None:  # type: ignore[type-arg]
    build = Builder(np.random.default_rng(0), events((20,), n_steps=50))
    build.linear(0, build.neurons((3,), neuron(**changes)))
    assert can_clamp(build.program(), 1) is expected


def test_without_the_clamp_no_membrane_leaves_what_the_proof_says() -> None:
    for seed in range(30):
        program = random_program(seed)
        trace = Engine(program).run(random_input(program, 8, seed, density=0.9), trace=True).trace
        assert trace is not None
        for number, population in enumerate(program.populations):
            if isinstance(population, NeuronPopulation) and not can_clamp(program, number):
                found = trace.membranes[population.name]
                assert population.neuron.v_min < found.min()
                assert found.max() < population.neuron.v_max


@pytest.mark.parametrize("name", ["", "Net", "1st", "a-b", "x" * 40])
def test_a_name_that_is_no_prefix_of_symbols_is_refused(name: str) -> None:
    program = mlp()
    with pytest.raises(ConfigError, match="name: found"):
        describe(program, plan(program), name)


def test_two_descriptions_give_the_same_text_and_every_symbol_has_the_prefix() -> None:
    program = ZOO["max pool"]("rice")
    board = Board("d", "D", CORES["cortex-m0"], 1, 1 << 16, 1 << 13)
    files = [folder(describe(program, plan(program), "eye"), board) for _ in range(2)]
    assert files[0] == files[1]
    assert "snn_" not in files[0]["snn.c"].replace("snn_api", "")


def test_the_linker_script_gives_away_exactly_the_boards_bytes() -> None:
    program = mlp()
    board = Board("d", "D", CORES["rv32ec"], 1, 16128, 1920)
    script = folder(describe(program, plan(program)), board)["link.ld"]
    assert "LENGTH = 16128" in script
    assert "LENGTH = 1920" in script


def test_a_sample_of_another_shape_is_refused() -> None:
    program = mlp()
    board = Board("d", "D", CORES["rv32ec"], 1, 16128, 1920)
    with pytest.raises(DataError, match="self-test sample"):
        folder(describe(program, plan(program)), board, np.zeros((6, 7), np.int32))


def test_a_core_without_c_code_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="found '2 x LX6'"):
        core_of("2 x LX6")


def test_a_place_that_cannot_be_written_is_refused(tmp_path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="expected a folder that can be written"):
        write_files({"a.c": ""}, tmp_path / "file" / "inside")


def test_text_is_indented_by_its_braces() -> None:
    text = "int f(void)\n{\n/* a {\n   b */\nif (1) {\nreturn 1;\n\n}\nreturn 0;\n}\n"
    tidied = "int f(void)\n{\n    /* a {\n   b */\n    if (1) {\n        return 1;\n    }\n    return 0;\n}\n"
    assert tidy(text) == tidied


def test_the_schedule_is_told_by_the_plan_options() -> None:
    assert PlanOptions().sentence == "step by step, events in lists"
