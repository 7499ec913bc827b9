"""Whole samples by lanes against the generic engine: scores, spikes of every neuron, and every count."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from runtime.engine import Engine, Objective
from runtime.errors import DataError
from runtime.kernels.lanes import driver
from runtime.lanes import layout, unsupported
from runtime.lanes.weights import sort_weights
from runtime.program import Window
from runtime.spec import Coding, InputSpec, Leak, Readout, Reset, StateWidth
from tests.builders.programs import Builder, events, mlp, neuron, random_input, silent
from tests.builders.zoo import ZOO

EXECUTION = ("executed_adds", "index_decodes", "weight_bytes")
"""What depends on the form that runs."""
SUPPORTED = [name for name in ZOO if unsupported(ZOO[name]("lists")) is None]


def assert_runs_alike(program, coded):
    fast, stored = Engine(program, Objective.SPEED), Engine(program)
    assert fast.lanes is not None
    found, expected = fast.run(coded), stored.run(coded)
    np.testing.assert_array_equal(found.scores, expected.scores)
    np.testing.assert_array_equal(found.predictions, expected.predictions)
    forgotten = dict.fromkeys(EXECUTION, 0)
    assert (found.counts.samples, found.counts.steps) == (expected.counts.samples, expected.counts.steps)
    assert found.counts.populations == expected.counts.populations
    for name, projection in expected.counts.projections.items():
        assert replace(found.counts.projections[name], **forgotten) == replace(projection, **forgotten), name
    np.testing.assert_array_equal(fast.run(coded).scores, expected.scores)
    return found.counts


def random_neuron(rng, **changes):
    """Some in 16 bits, some that clamp, leak twice or shift, and so run in 32."""
    threshold = int(rng.integers(3, 20))
    rules = {
        "leak": Leak(tuple(int(k) for k in rng.integers(1, 6, rng.integers(0, 3)))),
        "reset": Reset(rng.choice([r.value for r in Reset])),
        "threshold_q": (threshold,),
        "reset_q": (threshold if rng.random() < 0.7 else int(rng.integers(-4, 4)),),
        "bias_q": (int(rng.integers(-2, 3)),),
        "start_q": (int(rng.integers(-5, 6)),),
    }
    if rng.random() < 0.4:
        rules |= {"width": StateWidth.INT8, "v_min": -int(rng.integers(6, 128)), "v_max": 40}
    return neuron(**(rules | changes))


def random_net(seed):
    """Convolutions that keep the size of maps, gates of all kinds, then layers, one that may hear itself."""
    rng = np.random.default_rng(seed)
    height, width = (int(rng.integers(1, 12)) for _ in range(2))
    steps = int(rng.choice([1, 2, 5, 17, 33, 140]))
    spec = events((int(rng.integers(1, 4)), height, width), n_steps=steps)
    build = Builder(rng, spec, density=float(rng.uniform(0.05, 0.9)))
    last, shape = 0, spec.shape
    for channels in (int(rng.integers(1, 40)), int(rng.integers(1, 20))):
        side = int(rng.choice([1, 3]))
        step = int(rng.integers(1, 3))
        around = (side // 2 * step,) * 2
        synapses = build.conv(last, channels, kernel=(side, side), padding=around, dilation=(step, step))
        post = build.neurons(synapses.out_shape, random_neuron(rng))
        build.convolve(last, post, synapses)
        last, shape = post, synapses.out_shape
        if min(shape[1:]) >= 3 and rng.random() < 0.6:
            window = Window((2, 2), (2, 2)) if rng.random() < 0.5 else Window((3, 2), (2, 1), (1, 1))
            last = build.gate(last, window)
            shape = build.populations[last].shape
    hidden = build.neurons((int(rng.integers(1, 140)),), random_neuron(rng))
    build.linear(last, hidden)
    if rng.random() < 0.5:
        build.linear(hidden, hidden, delay=int(rng.integers(1, 3)))
    build.linear(hidden, build.neurons((4,), random_neuron(rng)))
    return build.program(Readout(rng.choice([r.value for r in Readout])))


@pytest.mark.parametrize("name", SUPPORTED)
def test_every_feature_runs_alike(name):
    program = ZOO[name]("lists")
    assert assert_runs_alike(program, random_input(program, seed=2)).spikes > 0


@pytest.mark.parametrize("seed", range(60))
def test_random_nets_run_alike(seed):
    program = random_net(seed)
    assert unsupported(program) is None
    density = [0.1, 0.5, 0.9][seed % 3]
    assert_runs_alike(program, random_input(program, samples=1 + seed % 2, seed=seed, density=density))


@pytest.mark.parametrize("steps", [17, 33, 140])
@pytest.mark.parametrize("size", [(1, 1), (1, 2), (2, 1), (2, 2)])
@pytest.mark.parametrize("maps", [1, 2, 4, 9])
def test_few_small_maps_of_many_steps_run_alike(maps, size, steps):
    build = Builder(np.random.default_rng(steps), events((maps, *size), n_steps=steps), density=0.9)
    synapses = build.conv(0, 5, kernel=(1, 1), padding=(0, 0))
    post = build.neurons(synapses.out_shape, neuron(threshold_q=(3,), reset_q=(3,), bias_q=(1,)))
    build.convolve(0, post, synapses)
    build.linear(post, build.neurons((4,)))
    program = build.program()
    assert_runs_alike(program, random_input(program, samples=2, density=0.8))


@pytest.mark.parametrize("density", [0.0, 1.0])
@pytest.mark.parametrize("name", SUPPORTED)
def test_silent_input_and_input_without_a_pause_run_alike(name, density):
    program = ZOO[name]("lists")
    assert_runs_alike(program, random_input(program, density=density))


@pytest.mark.parametrize("width", [StateWidth.INT8, StateWidth.INT16])
def test_ties_and_clamps_are_counted_alike(width):
    build = Builder(np.random.default_rng(1), events((3, 6, 6), n_steps=12))
    synapses = build.conv(0, 17)
    narrow = neuron(width=width, v_min=-9, v_max=14, threshold_q=(10,), reset_q=(10,))
    post = build.neurons(synapses.out_shape, narrow)
    build.convolve(0, post, synapses)
    build.linear(post, build.neurons((5,), narrow))
    program = build.program()
    counts = assert_runs_alike(program, random_input(program))
    assert sum(p.ties for p in counts.populations.values()) > 0
    assert sum(p.clamps for p in counts.populations.values()) > 0


def test_neurons_that_may_leave_16_bits_run_in_32_and_others_in_16():
    build = Builder(np.random.default_rng(1), events((30,), n_steps=20))
    build.linear(0, build.neurons((20,), neuron(leak=Leak(()), reset=Reset.NONE)))
    build.linear(1, build.neurons((20,), neuron()), shift=3)
    build.linear(2, build.neurons((20,), neuron()))
    build.linear(3, build.neurons((3,), silent()))
    program = build.program(Readout.MEMBRANE_LAST)
    assert_runs_alike(program, random_input(program))
    wide = Engine(program, Objective.SPEED).lanes.plan.wide
    assert wide == {1: False, 2: True, 3: False, 4: True}


def test_sums_beyond_16_bits_run_the_other_way():
    build = Builder(np.random.default_rng(3), events((400,), n_steps=2), density=1.0)
    build.linear(0, build.neurons((3,), silent(width=StateWidth.INT32, v_min=-(1 << 24), v_max=1 << 24)))
    build.matrices[0] = (np.full((400, 3), -127, np.int32), "dense", 8)
    program = build.program(Readout.MEMBRANE_LAST)
    engine, coded = Engine(program, Objective.SPEED), random_input(program)
    assert engine.lanes is None
    np.testing.assert_array_equal(engine.run(coded).scores, Engine(program).run(coded).scores)


@pytest.mark.parametrize("largest", [1, 7, 127])
def test_weights_of_any_size_run_alike(largest):
    rng = np.random.default_rng(largest)
    build = Builder(rng, events((200,), n_steps=5), density=1.0)
    build.linear(0, build.neurons((40,), neuron(threshold_q=(9,), reset_q=(9,))))
    build.linear(1, build.neurons((5,)))
    build.matrices[0] = (rng.integers(-largest, largest + 1, (200, 40)).astype(np.int32), "dense", 8)
    program = build.program()
    assert_runs_alike(program, random_input(program))


@pytest.mark.parametrize("largest", [7, 127])
def test_no_choice_of_spikes_takes_a_group_of_weights_out_of_int8(largest):
    matrix = np.random.default_rng(0).integers(-largest, largest + 1, (300, 9)).astype(np.int32)
    found = sort_weights(matrix, 100)
    assert found.narrow == (largest == 7)
    records = found.records.view([("to", "<i4"), ("groups", "<u2"), ("pairs", "<u2"), ("entries", "<i4")])
    at, again = 0, np.zeros_like(matrix)
    for to, groups, pairs, entries in records.tolist():
        assert entries == groups * pairs * 2
        np.add.at(again[:, to // 100], found.rows[at : at + entries], found.values[at : at + entries])
        for part in np.split(found.values[at : at + entries].astype(int), groups) if found.narrow else ():
            assert part[part > 0].sum() <= 127
            assert part[part < 0].sum() >= -128
        at += entries
    np.testing.assert_array_equal(again, matrix)


@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.int8, np.int16, np.int32, np.int64])
def test_every_type_of_input_gives_the_same(dtype):
    program = ZOO["conv"]("lists")
    coded = random_input(program)
    expected = Engine(program).run(coded).scores
    np.testing.assert_array_equal(Engine(program, Objective.SPEED).run(coded.astype(dtype)).scores, expected)


@pytest.mark.parametrize("value", [2, -1])
@pytest.mark.parametrize("place", [0, 5, -1])
@pytest.mark.parametrize("dtype", [np.int8, np.int32])
def test_inputs_that_are_no_spikes_are_refused_as_before(value, place, dtype):
    program = mlp((40, 33, 4), spec=events((40,), n_steps=3))
    coded = random_input(program, samples=1).astype(dtype)
    coded[1, 0, place] = value
    with pytest.raises(DataError, match=r"expected 0\.\.1"):
        Engine(program, Objective.SPEED).run(coded)


def test_other_numbers_of_steps_run_the_other_way():
    program = ZOO["conv"]("lists")
    coded = random_input(program)[:2]
    found = Engine(program, Objective.SPEED).run(coded)
    np.testing.assert_array_equal(found.scores, Engine(program).run(coded).scores)


def test_a_batch_gives_what_its_samples_give_alone():
    program = ZOO["conv"]("lists")
    engine = Engine(program, Objective.SPEED)
    coded = random_input(program, samples=5)
    alone = [engine.run(coded[:, k : k + 1]) for k in range(5)]
    together = engine.run(coded)
    np.testing.assert_array_equal(together.scores, [one.scores[0] for one in alone])
    assert together.counts.effective_acs == sum(one.counts.effective_acs for one in alone)


def test_counts_asked_for_late_are_those_of_their_own_run():
    program = ZOO["conv"]("lists")
    engine, coded = Engine(program, Objective.SPEED), random_input(program, samples=1)
    first, expected = engine.run(coded), Engine(program).run(coded)
    engine.run(np.zeros_like(coded))
    assert first.counts.populations == expected.counts.populations
    np.testing.assert_array_equal(first.scores, expected.scores)


def test_ties_and_clamps_of_one_sample_do_not_stay_for_the_next():
    build = Builder(np.random.default_rng(1), events((30,), n_steps=12))
    narrow = neuron(width=StateWidth.INT8, v_min=-9, v_max=14, threshold_q=(10,), reset_q=(10,))
    hidden = build.neurons((20,), narrow)
    build.linear(0, hidden)
    build.linear(hidden, hidden, delay=1)
    build.linear(hidden, build.neurons((5,), narrow))
    program = build.program()
    engine, coded = Engine(program, Objective.SPEED), random_input(program, samples=1)
    once, again = (engine.run(coded).counts.populations for _ in range(2))
    assert once == again == Engine(program).run(coded).counts.populations
    assert sum(p.ties for p in once.values()) > 0
    assert sum(p.clamps for p in once.values()) > 0


@pytest.mark.parametrize("dtype", [np.uint8, np.int32])
def test_input_in_any_order_of_memory_or_read_only_gives_the_same(dtype):
    program = ZOO["conv"]("lists")
    engine, coded = Engine(program, Objective.SPEED), random_input(program, samples=1).astype(dtype)
    expected = Engine(program).run(coded).scores
    locked, spaced = coded.copy(), np.repeat(coded, 2, axis=-1)[..., ::2]
    locked.flags.writeable = False
    for given in (locked, spaced, np.asfortranarray(coded)):
        assert engine.lanes.run(given) is not None
        np.testing.assert_array_equal(engine.run(given).scores, expected)
    pair = random_input(program, samples=2).astype(dtype).swapaxes(0, 1).copy().swapaxes(0, 1)
    np.testing.assert_array_equal(engine.run(pair).scores, Engine(program).run(pair).scores)


@pytest.mark.parametrize(("shape", "tall"), [((3, 4, 4), False), ((3, 5, 4), True), ((7,), False)])
def test_values_spread_over_a_grid_come_back(shape, tall):
    program = mlp((int(np.prod(shape)), 2), spec=events(shape, n_steps=3))
    grid = layout.Grid.of(program.populations[0], 3)
    assert grid.tall == tall
    values = np.arange(int(np.prod(shape)))
    np.testing.assert_array_equal(grid.gathered(grid.spread(values, -1)), values)


def test_what_does_not_run_by_lanes_is_named():
    direct = mlp(spec=InputSpec((12,), Coding.DIRECT, 4, bits=8))
    assert unsupported(direct) == "inputs of more than one bit"
    assert "changes the size" in unsupported(ZOO["conv strided"]("lists"))
    assert "two ways back" in unsupported(ZOO["recurrent"]("lists"))


def test_the_machine_code_that_runs_was_made_from_these_sources():
    program, seen = mlp(), []
    engine, run = Engine(program, Objective.SPEED), driver.compiled()

    def spy(*arguments):
        seen.append(run(*arguments))
        return seen[-1]

    engine.lanes._kernel = spy
    engine.run(random_input(program, samples=1))
    assert seen == [driver.digest()]
    assert len(run.signatures) == 1


def test_any_edit_of_the_kernels_changes_their_digest(tmp_path, monkeypatch):
    for file in Path(driver.__file__).parent.glob("*.py"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    monkeypatch.setattr(driver, "__file__", str(tmp_path / "driver.py"))
    before = driver.digest()
    neurons = tmp_path / "neurons.py"
    neurons.write_bytes(neurons.read_bytes().replace(b"+=", b"-=", 1))
    assert driver.digest() != before
    assert [f.name for f in tmp_path.glob("*.py") if "cache=True" in f.read_text()] == ["driver.py"]
