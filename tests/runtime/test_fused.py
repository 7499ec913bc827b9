"""The fused kernel against the generic engine: scores, spikes and every count, on every form of synapses."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from runtime import engine
from runtime.engine import Engine, Objective
from runtime.fused import forms, network, plan, unsupported
from runtime.kernels.fused import driver
from runtime.kernels.fused.tables import BLOCKS, LISTS, ROWS, SUMS
from runtime.program import InputPopulation, Window
from runtime.spec import Coding, InputSpec, Leak, Readout, Reset, StateWidth
from tests.builders.programs import Builder, events, mlp, neuron, random_input, silent
from tests.builders.zoo import ZOO

KINDS = {"lists": LISTS, "rows": ROWS, "blocks": BLOCKS, "sums": SUMS}
EXECUTION = ("executed_adds", "index_decodes", "weight_bytes")
"""What depends on the form that runs."""
SUPPORTED = [name for name in ZOO if unsupported(ZOO[name]("lists")) is None]


@pytest.fixture(autouse=True)
def nothing_runs_by_lanes(monkeypatch):
    monkeypatch.setattr(engine, "not_by_lanes", lambda _program: "a test of the fused kernel")


def assert_equal_counts(found, expected):
    assert (found.samples, found.steps) == (expected.samples, expected.steps)
    assert found.populations == expected.populations
    forgotten = dict.fromkeys(EXECUTION, 0)
    for name, projection in expected.projections.items():
        assert replace(found.projections[name], **forgotten) == replace(projection, **forgotten), name


def assert_runs_alike(program, coded):
    fast, stored = Engine(program, Objective.SPEED), Engine(program)
    assert fast.execution is not None
    found, expected = fast.run(coded), stored.run(coded)
    np.testing.assert_array_equal(found.scores, expected.scores)
    np.testing.assert_array_equal(found.predictions, expected.predictions)
    assert_equal_counts(found.counts, expected.counts)
    again = fast.run(coded)
    np.testing.assert_array_equal(again.scores, expected.scores)
    return found.counts


def force(monkeypatch, kind):
    """Make every projection run as ``kind`` where it can, else as lists."""

    def forced(taps, ways, *, gathers=False):
        if kind == "sums" and gathers:
            return forms.as_sums(taps)
        made = {"rows": forms.as_rows, "blocks": forms.as_blocks}.get(kind, forms.as_lists)
        return made(taps, ways)

    monkeypatch.setattr(plan.forms, "fastest", forced)


def random_neuron(rng, **changes):
    threshold = int(rng.integers(3, 20))
    rules = {
        "leak": Leak(tuple(int(k) for k in rng.integers(1, 6, rng.integers(0, 3)))),
        "reset": Reset(rng.choice([r.value for r in Reset])),
        "threshold_q": (threshold,),
        "reset_q": (threshold if rng.random() < 0.7 else int(rng.integers(-4, 4)),),
        "bias_q": (int(rng.integers(-2, 3)),),
        "start_q": (int(rng.integers(-5, 6)),),
    }
    if rng.random() < 0.5:
        rules |= {"width": StateWidth.INT8, "v_min": -int(rng.integers(6, 128)), "v_max": 40}
    return neuron(**(rules | changes))


def random_maps(seed):
    """Convolutions with strides, dilations, gates and sum pools, then a hidden layer that hears itself."""
    rng = np.random.default_rng(seed)
    side = int(rng.integers(6, 9))
    spec = events((int(rng.integers(1, 4)), side, side - 1), n_steps=5, bits=int(rng.integers(1, 4)))
    build = Builder(rng, spec, density=float(rng.uniform(0.05, 0.9)))
    last = 0
    for channels in (int(rng.integers(1, 40)), int(rng.integers(1, 20))):
        options = {
            "kernel": (int(rng.integers(1, 4)), int(rng.integers(1, 4))),
            "stride": (int(rng.integers(1, 3)), int(rng.integers(1, 3))),
            "padding": (int(rng.integers(2, 4)), int(rng.integers(2, 4))),
            "dilation": (int(rng.integers(1, 3)), int(rng.integers(1, 3))),
        }
        pool = Window((2, 2), (2, 2)) if last == 0 and rng.random() < 0.4 else None
        synapses = build.conv(last, channels, pool=pool, **options)
        post = build.neurons(synapses.out_shape, random_neuron(rng))
        build.convolve(last, post, synapses, pool=pool)
        last = post
        if rng.random() < 0.5:
            last = build.gate(last, Window((2, 2), (2, 2), (int(rng.integers(0, 2)),) * 2))
    hidden = build.neurons((int(rng.integers(1, 140)),), random_neuron(rng))
    build.linear(last, hidden)
    if rng.random() < 0.5:
        build.linear(hidden, hidden, delay=int(rng.integers(1, 3)))
    build.linear(hidden, build.neurons((4,), random_neuron(rng)), delay=int(rng.integers(0, 2)))
    return build.program(Readout(rng.choice([r.value for r in Readout])))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", SUPPORTED)
def test_every_feature_runs_alike_in_every_form(name, kind, monkeypatch):
    force(monkeypatch, kind)
    program = ZOO[name]("lists")
    counts = assert_runs_alike(program, random_input(program, seed=2))
    assert counts.spikes > 0


@pytest.mark.parametrize("seed", range(40))
def test_random_maps_run_alike_in_every_form(seed, monkeypatch):
    kind = list(KINDS)[seed % 4]
    force(monkeypatch, kind)
    program = random_maps(seed)
    assert unsupported(program) is None
    assert_runs_alike(program, random_input(program, samples=2, seed=seed))


def test_the_forced_forms_are_the_ones_that_ran(monkeypatch):
    for kind, number in KINDS.items():
        force(monkeypatch, kind)
        found = Engine(ZOO["conv"]("lists"), Objective.SPEED).execution
        assert found is not None
        assert found[1].name == forms.NAMES[number]


@pytest.mark.parametrize("density", [0.0, 1.0])
@pytest.mark.parametrize("kind", KINDS)
def test_silent_input_and_input_without_a_pause_run_alike(kind, density, monkeypatch):
    force(monkeypatch, kind)
    for name in ("conv", "linear", "recurrent"):
        program = ZOO[name]("lists")
        assert_runs_alike(program, random_input(program, density=density))


@pytest.mark.parametrize("kind", KINDS)
def test_ties_and_clamps_are_counted_alike(kind, monkeypatch):
    force(monkeypatch, kind)
    build = Builder(np.random.default_rng(1), events((3, 6, 6), n_steps=12))
    synapses = build.conv(0, 17)
    narrow = neuron(width=StateWidth.INT8, v_min=-9, v_max=14, threshold_q=(10,), reset_q=(10,))
    post = build.neurons(synapses.out_shape, narrow)
    build.convolve(0, post, synapses)
    build.linear(post, build.neurons((5,), narrow))
    program = build.program()
    counts = assert_runs_alike(program, random_input(program))
    assert sum(p.ties for p in counts.populations.values()) > 0
    assert sum(p.clamps for p in counts.populations.values()) > 0


def test_one_step_and_one_sample_run_alike():
    program = mlp((40, 33, 4), spec=events((40,), n_steps=1))
    assert_runs_alike(program, random_input(program, samples=1))


def test_a_batch_gives_what_its_samples_give_alone():
    program = ZOO["conv"]("lists")
    fused = Engine(program, Objective.SPEED)
    coded = random_input(program, samples=5)
    alone = [fused.run(coded[:, k : k + 1]).scores[0] for k in range(5)]
    np.testing.assert_array_equal(fused.run(coded).scores, alone)


@pytest.mark.parametrize("name", ["conv", "recurrent", "sum pool"])
def test_short_blocks_of_steps_do_not_show(name, monkeypatch):
    monkeypatch.setattr(network, "BLOCK_EVENTS", 1)
    program = ZOO[name]("lists")
    assert_runs_alike(program, random_input(program))


def test_a_constant_input_is_computed_once_a_sample():
    spec = InputSpec((9,), Coding.DIRECT, 6, bits=8, signed=True, constant=True)
    build = Builder(np.random.default_rng(2), spec)
    build.linear(0, build.neurons((20,), neuron(threshold_q=(90,), reset_q=(90,))), shift=-2)
    build.linear(1, build.neurons((3,), silent()))
    program = build.program(Readout.MEMBRANE_SUM)
    counts = assert_runs_alike(program, random_input(program, density=0.9))
    assert counts.projections["s0"].dense_synops == 3 * 9 * 20


def test_more_spikes_at_once_than_narrow_sums_hold_run_alike(monkeypatch):
    force(monkeypatch, "sums")
    build = Builder(np.random.default_rng(3), events((8,), n_steps=3), density=1.0)
    build.linear(0, build.neurons((700,), neuron(threshold_q=(1,), bias_q=(9,), reset=Reset.NONE)))
    build.linear(1, build.neurons((40,), silent(width=StateWidth.INT32, v_min=-(1 << 24), v_max=1 << 24)))
    build.matrices[0] = (np.abs(build.matrices[0][0]), "lists", 8)
    build.matrices[1] = (np.full((700, 40), -127, np.int32), "dense", 8)
    program = build.program(Readout.MEMBRANE_LAST)
    counts = assert_runs_alike(program, random_input(program))
    assert counts.projections["s1"].events == 3 * 3 * 700


@pytest.mark.parametrize(
    ("name", "reason"),
    [("graded", "graded spikes"), ("cuba", "synaptic currents"), ("conv grouped", "grouped convolution")],
)
def test_what_the_fused_kernel_does_not_run_is_named_and_runs_the_other_way(name, reason):
    program = ZOO[name]("lists")
    assert reason in unsupported(program)
    fused = Engine(program, Objective.SPEED)
    assert fused.execution is None
    coded = random_input(program)
    np.testing.assert_array_equal(fused.run(coded).scores, Engine(program).run(coded).scores)


def test_input_that_may_not_be_written_to_needs_no_other_machine_code():
    program = mlp()
    coded = random_input(program, samples=1)
    coded.flags.writeable = False
    Engine(program, Objective.SPEED).run(coded)
    Engine(program, Objective.SPEED).run(random_input(program))
    assert len(driver.compiled().signatures) == 1


def test_the_machine_code_that_runs_was_made_from_these_sources():
    seen = []
    run = driver.compiled()
    program = mlp()
    fused = Engine(program, Objective.SPEED)
    fused.fused._kernel = lambda *arguments: seen.append(run(*arguments))
    fused.run(random_input(program, samples=1))
    assert seen == [driver.digest()]


def test_any_edit_of_the_kernels_changes_their_digest(tmp_path, monkeypatch):
    for file in Path(driver.__file__).parent.glob("*.py"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    monkeypatch.setattr(driver, "__file__", str(tmp_path / "driver.py"))
    before = driver.digest()
    walks = tmp_path / "walks.py"
    walks.write_bytes(walks.read_bytes().replace(b"+=", b"-=", 1))
    assert driver.digest() != before


def test_only_the_driver_is_cached():
    folder = Path(driver.__file__).parent
    assert [f.name for f in folder.glob("*.py") if "cache=True" in f.read_text()] == ["driver.py"]


def test_a_population_without_projections_still_runs_alike():
    build = Builder(np.random.default_rng(4), events((3,)))
    build.neurons((5,), neuron(bias_q=(3,)))
    build.linear(1, build.neurons((2,)))
    program = build.program()
    assert isinstance(program.populations[0], InputPopulation)
    assert_runs_alike(program, random_input(program))
