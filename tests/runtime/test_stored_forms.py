"""Tables run from their stored bytes, and every byte of a section counts."""

import tracemalloc

import numpy as np
import pytest

from runtime.container import from_bytes, header_bytes, to_bytes
from runtime.encodings import CANDIDATES, ENCODINGS, check_table, encode
from runtime.engine import Engine, Objective
from runtime.errors import ModelError
from runtime.program import EncodedMatrix
from tests.builders.programs import mlp, random_input
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
@pytest.mark.parametrize("case", ["linear", "conv"])
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


@pytest.mark.parametrize("name", RUN_AS_STORED)
def test_running_from_flash_form_makes_no_expanded_copy(name):
    """Beside the table, loading keeps addresses of rows and neurons; running allocates next to nothing."""
    rows, columns = 1200, 4000
    density = 0.3
    rng = np.random.default_rng(1)
    signs = rng.choice([-1, 1], (rows, columns)) * (rng.random((rows, columns)) < density)
    program = mlp((rows, columns), encoding="lists", density=0.0)
    table = encode(signs.astype(np.int32), name, 8)
    program = type(program)(**{**vars(program), "tables": (table,)})
    Engine(program).run(random_input(program, samples=1))
    nonzeros = int(np.count_nonzero(signs))

    tracemalloc.start()
    engine = Engine(program)
    kept_by_loading = tracemalloc.get_traced_memory()[0]
    coded = random_input(program, samples=1)
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    engine.run(coded)
    peak = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    assert kept_by_loading < nonzeros // 2, "one byte for every second weight would be a copy"
    assert peak < nonzeros, "a run needs buffers of neurons and steps alone"
