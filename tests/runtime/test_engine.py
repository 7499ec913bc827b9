"""The engine against a second interpreter, and against itself in its other ways of running."""

import numpy as np
import pytest

from runtime.check import check_program
from runtime.engine import Engine, Objective
from runtime.errors import DataError
from runtime.spec import Coding, InputSpec, Readout
from tests.builders.programs import mlp, neuron, random_input
from tests.builders.zoo import SPARSE_AND_DENSE, ZOO, random_program
from tests.runtime import interpreter


def assert_same_trace(found, expected):
    assert found.spikes.keys() == expected.spikes.keys()
    for name in expected.spikes:
        np.testing.assert_array_equal(found.spikes[name], expected.spikes[name], err_msg=name)
        np.testing.assert_array_equal(found.membranes[name], expected.membranes[name], err_msg=name)
    np.testing.assert_array_equal(found.scores, expected.scores)


def assert_matches_interpreter(program, coded, objective):
    spikes, membranes, scores, operations = interpreter.run(program, coded)
    result = Engine(program, objective).run(coded, trace=True)
    for name in spikes:
        np.testing.assert_array_equal(result.trace.spikes[name], spikes[name], err_msg=name)
        np.testing.assert_array_equal(result.trace.membranes[name], membranes[name], err_msg=name)
    np.testing.assert_array_equal(result.scores, scores)
    np.testing.assert_array_equal(result.predictions, scores.argmax(axis=1))
    for name, count in operations.items():
        counts = result.counts.projections[name]
        assert counts.effective_acs + counts.input_adds == count
    return result


@pytest.mark.parametrize("encoding", SPARSE_AND_DENSE)
@pytest.mark.parametrize("name", ZOO)
def test_every_feature_runs_as_the_interpreter_says(name, encoding):
    program = ZOO[name](encoding)
    result = assert_matches_interpreter(program, random_input(program, seed=2), Objective.FLASH)
    assert result.counts.spikes > 0


@pytest.mark.parametrize("name", ZOO)
def test_the_speed_objective_changes_nothing_but_the_bytes(name):
    program = ZOO[name]("gaps")
    assert_matches_interpreter(program, random_input(program, seed=3), Objective.SPEED)
    flash = Engine(program, Objective.FLASH)
    assert flash.stored_bytes == flash.execution_bytes


@pytest.mark.parametrize("seed", range(60))
def test_random_programs_run_as_the_interpreter_says(seed):
    program = random_program(seed)
    coded = random_input(program, samples=2, seed=seed)
    assert_matches_interpreter(program, coded, list(Objective)[seed % 2])


@pytest.mark.parametrize("name", ZOO)
def test_streaming_equals_the_whole_sample(name):
    program = ZOO[name]("lists")
    coded = random_input(program, samples=2, seed=4)
    whole = Engine(program).run(coded, trace=True)
    engine = Engine(program)
    output = program.populations[program.output]
    for sample in range(2):
        engine.reset()
        for step in range(len(coded)):
            payloads = engine.step(coded[step, sample])
            expected = whole.trace.spikes[output.name][step, sample]
            np.testing.assert_array_equal(payloads.ravel(), expected)
            for population, membranes in whole.trace.membranes.items():
                np.testing.assert_array_equal(engine.membrane(population).ravel(), membranes[step, sample])
        np.testing.assert_array_equal(engine.scores, whole.scores[sample])
    assert engine.counts == whole.counts


@pytest.mark.parametrize("name", ZOO)
def test_blocks_of_steps_and_samples_do_not_show_in_the_result(name, monkeypatch):
    program = ZOO[name]("bitmap")
    coded = random_input(program, samples=5, seed=5)
    whole = Engine(program).run(coded, trace=True)
    total = sum(int(np.prod(p.shape)) for p in program.populations)
    for items in (1, 4 * total, 11 * total):
        monkeypatch.setattr("runtime.engine.BLOCK_ITEMS", items)
        parts = Engine(program).run(coded, trace=True)
        assert_same_trace(parts.trace, whole.trace)
        assert parts.counts == whole.counts


def test_a_run_does_not_disturb_a_streamed_sample():
    program = ZOO["recurrent"]("lists")
    coded = random_input(program, samples=1)
    engine, alone = Engine(program), Engine(program)
    for step in range(len(coded)):
        expected = alone.step(coded[step, 0])
        np.testing.assert_array_equal(engine.step(coded[step, 0]), expected)
        engine.run(coded)


def test_a_membrane_at_the_threshold_fires_and_is_counted_as_a_tie():
    program = mlp((1, 1), encoding="dense", density=1.0)
    weight = interpreter.decode(program.tables[0])[0, 0] or 1
    model = neuron(
        threshold_q=(int(weight),), reset_q=(int(weight),), leak=program.populations[1].neuron.leak
    )
    population = type(program.populations[1])("p1", (1,), model)
    program = type(program)(**{**program.__dict__, "populations": (program.populations[0], population)})
    counts = Engine(program).run(np.ones((1, 1, 1), np.int32)).counts
    assert (counts.spikes, counts.ties) == (1, 1)


def test_saturation_is_counted_and_stays_within_the_clamp():
    program = ZOO["cuba"]("lists")
    coded = random_input(program, samples=3, density=1.0)
    result = Engine(program).run(coded, trace=True)
    model = program.populations[1].neuron
    assert result.counts.clamps > 0
    assert result.trace.membranes["p1"].min() >= model.v_min
    assert result.trace.membranes["p1"].max() <= model.v_max


def test_equal_scores_predict_the_lowest_index():
    program = mlp((3, 4), density=0.0)
    result = Engine(program).run(np.zeros((2, 3, 3), np.int32))
    np.testing.assert_array_equal(result.predictions, [0, 0, 0])


def test_counts_of_two_halves_add_up_to_the_whole():
    program = ZOO["sum pool"]("gaps")
    coded = random_input(program, samples=6, seed=1)
    engine = Engine(program)
    halves = engine.run(coded[:, :2]).counts + engine.run(coded[:, 2:]).counts
    assert halves == engine.run(coded).counts


def test_counts_follow_their_definitions():
    program = mlp((6, 8, 4), encoding="dense", density=0.5)
    coded = random_input(program, samples=4)
    counts = Engine(program).run(coded).counts
    events = int(coded.sum())
    first = counts.projections["s0"]
    assert (counts.samples, counts.steps) == (4, 24)
    assert first.events == events
    assert first.executed_adds == first.fanout_synops == events * 8
    assert first.dense_synops == 24 * 6 * 8
    assert first.effective_acs < first.executed_adds
    assert first.input_adds == 0
    assert counts.populations["p1"].updates == counts.populations["p1"].compares == 24 * 8
    assert counts.populations["p1"].resets == counts.populations["p1"].spikes


def test_direct_input_is_counted_apart_and_once_a_sample():
    program = ZOO["constant"]("lists")
    coded = random_input(program, samples=2)
    counts = Engine(program).run(coded).counts.projections["s0"]
    once = Engine(program).run(coded[:1]).counts.projections["s0"]
    assert counts == once
    assert counts.effective_acs == 0
    assert counts.input_adds > 0


def test_sparse_tables_execute_exactly_the_effective_operations():
    for encoding in ("lists", "gaps", "bitmap"):
        program = ZOO["conv dilated"](encoding)
        counts = Engine(program).run(random_input(program)).counts
        assert counts.executed_adds == counts.effective_acs > 0


@pytest.mark.parametrize(
    ("coded", "found"),
    [
        (np.zeros((2, 3, 5), np.int32), "shape"),
        (np.zeros((0, 3, 6), np.int32), "at least one step"),
        (np.zeros((2, 3, 6), np.float32), "float32"),
        (np.full((2, 3, 6), 2), "values in 2..2"),
        (np.full((2, 3, 6), -1), "values in -1..-1"),
    ],
)
def test_input_that_is_not_what_the_program_is_fed_is_refused(coded, found):
    with pytest.raises(DataError, match=found):
        Engine(mlp()).run(coded)


def test_a_constant_input_that_changes_is_refused():
    spec = InputSpec((6,), Coding.DIRECT, 3, bits=2, constant=True)
    engine = Engine(mlp(spec=spec))
    coded = np.ones((3, 1, 6), np.int32)
    coded[2] = 0
    with pytest.raises(DataError, match="constant"):
        engine.run(coded)
    engine.step(coded[0, 0])
    with pytest.raises(DataError, match="constant"):
        engine.step(coded[2, 0])


def test_no_samples_give_no_scores():
    result = Engine(mlp()).run(np.zeros((6, 0, 6), np.int32), trace=True)
    assert result.scores.shape == (0, 4)
    assert result.trace.spikes["p1"].shape == (6, 0, 8)


@pytest.mark.parametrize("readout", Readout)
def test_every_readout_is_traced_alike(readout):
    program = mlp(readout=readout)
    check_program(program)
    coded = random_input(program)
    result = Engine(program).run(coded, trace=True)
    np.testing.assert_array_equal(result.scores, interpreter.run(program, coded)[2])
    np.testing.assert_array_equal(result.scores, Engine(program).run(coded).scores)
