"""Tables run from their stored bytes, and every byte of a section counts."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from runtime.container import from_bytes, header_bytes, to_bytes
from runtime.encodings import CANDIDATES, ENCODINGS, check_table, encode
from runtime.engine import Engine, Objective
from runtime.errors import ModelError
from runtime.program import EncodedMatrix
from tests.builders.programs import Builder, events, mlp, random_input
from tests.builders.zoo import ZOO

RUN_AS_STORED = [*CANDIDATES, "signs"]
MATRIX = (np.random.default_rng(0).integers(-1, 2, (40, 300)) * (np.arange(300) % 3 > 0)).astype(np.int32)


@pytest.mark.parametrize("name", [*RUN_AS_STORED, "archive"])
def test_one_byte_more_in_any_section_is_refused(name):
    table = encode(MATRIX, name, 8)
    for part, array in table.arrays.items():
        for longer in (
            np.concatenate([array, np.zeros(1, array.dtype)]),
            np.concatenate([array, array[-1:]]) if array.size else np.ones(1, array.dtype),
        ):
            arrays = {**table.arrays, part: longer}
            with pytest.raises(ModelError):
                check_table(EncodedMatrix(name, table.rows, table.columns, table.bits, arrays))


@pytest.mark.parametrize("name", [*CANDIDATES, "archive"])
@pytest.mark.parametrize("case", ["linear", "conv", "recurrent"])
def test_an_archive_and_every_stored_form_run_alike(name, case):
    program, plain = ZOO[case](name), ZOO[case]("lists")
    coded = random_input(program)
    expected = Engine(plain).run(coded)
    for objective in Objective:
        found = Engine(from_bytes(to_bytes(program)), objective).run(coded)
        np.testing.assert_array_equal(found.scores, expected.scores)
        assert found.counts.effective_acs == expected.counts.effective_acs


def test_an_archive_is_expanded_before_it_runs_and_says_so():
    program = mlp((60, 80, 10), encoding="archive", density=0.1)
    engine = Engine(program)
    assert engine.execution_bytes > engine.stored_bytes
    assert not ENCODINGS["archive"].executable
    sections = len(to_bytes(program)) - header_bytes(program)
    assert sections < len(to_bytes(mlp((60, 80, 10), encoding="rice", density=0.1)))


def wired(case):
    """A program of one kind of projections, without weights, and the kernel cells of its tables."""
    shape = (100, 4, 4) if case == "conv" else (800,)
    build = Builder(np.random.default_rng(1), events(shape, n_steps=3), density=0.0)
    if case == "conv":
        synapses = build.conv(0, 300)
        build.convolve(0, build.neurons(synapses.out_shape), synapses)
        return build.program(), 9
    post = build.neurons((600,))
    build.linear(0, post)
    if case == "recurrent":
        build.linear(post, post, delay=1)
    return build.program(), 1


def with_weights(program, name, taps, density):
    """The program with signs in its tables, stored in one encoding; and how many there are."""
    rng, tables, kept = np.random.default_rng(2), [], 0
    for table in program.tables:
        shape = table.rows, table.columns
        signs = rng.choice([-1, 1], shape) * (rng.random(shape) < density)
        tables.append(encode(signs.astype(np.int32), name, 8, taps=taps))
        kept += int(np.count_nonzero(signs))
    return replace(program, tables=tuple(tables)), kept


def memory(program):
    """Bytes that an engine keeps from loading, that it took at most on the way, and that a run takes."""
    coded = random_input(program, samples=1)
    Engine(program).run(coded)
    tracemalloc.start()
    engine = Engine(program)
    kept, loading = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    engine.run(coded)
    running = tracemalloc.get_traced_memory()[1] - kept
    tracemalloc.stop()
    return kept, loading, running


@pytest.mark.parametrize("name", RUN_AS_STORED)
@pytest.mark.parametrize("case", ["linear", "conv", "recurrent"])
def test_running_from_flash_form_makes_no_expanded_copy(name, case):
    """Beside the tables an engine needs what it needs without any weight; checking looks at parts."""
    wiring, taps = wired(case)
    program, weights = with_weights(wiring, name, taps, 0.3)
    kept, loading, running = memory(program)
    without = memory(with_weights(wiring, name, taps, 0.0)[0])
    stored = sum(array.nbytes for table in program.tables for array in table.arrays.values())
    assert kept - without[0] < weights // 2, "half a byte for every weight would be a copy"
    assert loading - kept < stored
    assert running - without[2] < weights // 2
    assert Engine(program).execution_bytes == stored
