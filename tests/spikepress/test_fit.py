"""``fit``: its verdicts are those of trying everything, and what it returns fits to the byte."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from exporter.plan import PlanOptions, Queues, plan
from runtime import container
from runtime.errors import ConfigError
from spikepress.catalog import Device, Kind, Resource, Status, device, devices
from spikepress.estimate import Known
from spikepress.fit_verdict import FitBudget, Layout, Model, decide, front, judge, nearest
from spikepress.fitting import Limits, budget_of
from spikepress.latency import Clock, clock_of
from spikepress.needs import CODE_BYTES, STACK_BYTES
from spikepress.proposal import smallest_device
from spikepress.recipe import Column, Lattice, Recipe
from spikepress.search import Search
from spikepress.workshop import program_of
from tests.spikepress.fit_nets import LATTICE, NETS, SMALL_LATTICE, workshop

FLASH, RAM = Resource.FLASH, Resource.RAM


def timed(shop):
    """The workshop, knowing what its network takes as it was trained."""
    return replace(shop, known=Known(1.0, shop.measured(program_of(shop.source.net), None)))


@pytest.fixture(scope="module")
def shop_of(tmp_path_factory):
    """A network's workshop and every model of the small lattice, made once."""
    known = {}

    def get(name):
        if name not in known:
            shop = timed(workshop(name, tmp_path_factory.mktemp("models")))
            able = [recipe for recipe in SMALL_LATTICE.every() if shop.estimate(recipe) is not None]
            known[name] = (shop, {recipe: shop.make(recipe) for recipe in able})
        return known[name]

    return get


def synthetic_device(draw, models, number):
    """A device whose limits lie anywhere around what the models need: about half of them too small."""
    limits = {}
    for resource in (FLASH, RAM):
        needs = [layout.needs[resource] for model in models for layout in model.layouts]
        limits[resource] = int(draw.uniform(0.9 * min(needs), 1.05 * max(needs)))
    if draw.random() < 0.4:
        limits[FLASH] = int(draw.uniform(0.93, 1.01) * min(model.flash for model in models))
    reserved = {FLASH: 0, RAM: int(draw.integers(0, 9))}
    return Device(
        f"d{number}",
        "-",
        Kind.MCU,
        "Cortex-M0",
        8,
        limits,
        reserved,
        "synthetic",
        Status.GENERAL,
        wait_states=1,
    )


def budgets(models, count, seed):
    """Synthetic devices; some ask for few additions as well, some for accuracy, some for a short time, some
    are of the catalogue."""
    draw = np.random.default_rng(seed)
    found = []
    for number in range(count):
        synops = float(draw.uniform(0.5, 1.5)) * min(m.synops for m in models) if number % 4 == 1 else None
        accuracy = float(np.median([m.accuracy for m in models])) if number % 4 == 2 else 0.0
        part = synthetic_device(draw, models, number)
        fastest = min(clock_of(part).span(m.layouts[0].work).high for m in models)
        time = float(draw.uniform(0.7, 3.0)) * fastest if number % 4 == 3 else None
        found.append(FitBudget.of_device(part, synops=synops, accuracy=accuracy, latency_ms=time))
    return [*found, FitBudget.of_device(device("ice40up5k")), FitBudget.of_device(device("xylo-a2"))]


def verdicts(shop, models, lattice, found):
    """Pairs of what the search says and what trying every model says."""
    for budget in found:
        yield Search(shop, lattice, budget).run(), decide(models.values(), budget), budget


def test_verdicts_equal_trying_everything_over_five_networks_and_fourteen_budgets_each(shop_of):
    said, gap = [], []
    for seed, name in enumerate(NETS):
        shop, models = shop_of(name)
        for mine, best, budget in verdicts(
            shop, models, SMALL_LATTICE, budgets([*models.values()], 12, seed)
        ):
            assert (mine is None) == (best is None), (name, budget)
            said.append(mine is not None)
            if mine is not None:
                assert judge(mine, budget).fits
                gap.append(best.accuracy - mine.accuracy)
    assert len(said) >= 50
    assert said.count(False) >= 15
    assert said.count(True) >= 15
    assert float(np.mean(gap)) <= 0.02


@pytest.mark.long
def test_verdicts_equal_trying_everything_with_every_axis(tmp_path):
    shop = timed(workshop("wide", tmp_path))
    able = [recipe for recipe in LATTICE.every() if shop.estimate(recipe) is not None]
    models = {recipe: shop.make(recipe) for recipe in able}
    found = budgets([*models.values()], 60, 9)
    for mine, best, budget in verdicts(shop, models, LATTICE, found):
        assert (mine is None) == (best is None), budget


def test_a_thorough_search_is_never_worse(shop_of):
    shop, models = shop_of("wide")
    for budget in budgets([*models.values()], 8, 5):
        quick = Search(shop, SMALL_LATTICE, budget).run()
        thorough = Search(shop, SMALL_LATTICE, budget).run(thorough=True)
        if quick is not None:
            assert thorough is not None
            assert thorough.accuracy >= quick.accuracy


def test_a_kept_model_is_the_model_that_was_made(shop_of):
    shop, models = shop_of("direct")
    again = replace(shop, made=0, found=0, _nets={})
    for recipe in list(models)[:3]:
        assert again.make(recipe) == models[recipe]
    assert (again.made, again.found) == (0, 3)
    path = again._path(again._key(recipe))
    path.write_text('{"recipe"', encoding="utf-8")
    assert again.make(recipe) == models[recipe]
    assert again.made == 1


def test_estimates_are_within_half_of_what_is_made(shop_of):
    for name in NETS:
        shop, models = shop_of(name)
        for recipe, model in models.items():
            guess = shop.estimate(recipe).layouts[0].needs
            assert guess[FLASH] == pytest.approx(model.flash, rel=0.2)
            assert guess[RAM] == pytest.approx(model.layouts[0].needs[RAM], rel=0.5)


def test_the_needs_of_a_model_are_those_of_its_file_counted_again(shop_of, tmp_path):
    shop, models = shop_of("convolutions")
    for recipe in list(models)[::5]:
        path = tmp_path / "model.spk"
        length = container.write(shop.program(recipe), path)
        header = container.file_header_bytes(path.read_bytes())
        for layout in models[recipe].layouts:
            assert layout.needs[FLASH] == length - header + CODE_BYTES
            buffers = plan(container.read(path), layout.schedule).buffers
            end = max(buffer.offset + buffer.bytes for buffer in buffers)
            assert end + STACK_BYTES <= layout.needs[RAM] <= end + STACK_BYTES + 3


def model(accuracy=0.9, flash=1_000, ram=100, synops=10.0, density=0.5):
    needs = dict.fromkeys(Resource, 0) | {FLASH: flash, RAM: ram}
    layouts = tuple(Layout(o, {**needs, RAM: ram - 10 * i}) for i, o in enumerate(SCHEDULES))
    return Model(Recipe(Column(), density), layouts, accuracy, synops)


SCHEDULES = (PlanOptions(), PlanOptions(queues=Queues.BITMAPS))


def test_the_first_schedule_that_fits_is_taken():
    budget = FitBudget("b", {FLASH: 1_000, RAM: 95})
    assert judge(model(), budget).layout.schedule == SCHEDULES[1]
    assert judge(model(), FitBudget("b", {FLASH: 1_000, RAM: 100})).layout.schedule == SCHEDULES[0]
    assert not judge(model(), FitBudget("b", {FLASH: 1_000, RAM: 89})).fits


CLOCK = Clock("core", 1, 0, {"piece": (900.0, 1_000.0)}, {})


@pytest.mark.parametrize(("times", "fits"), [(2.0, True), (2.01, False), (None, False)])
def test_the_high_bound_of_the_mean_time_must_be_within_the_limit(times, fits):
    budget = FitBudget("b", {FLASH: 1_000}, latency_ms=2.0, clock=CLOCK)
    made = model()
    work = None if times is None else {"piece": times}
    made = replace(made, layouts=tuple(replace(x, work=work) for x in made.layouts))
    assert judge(made, budget).fits == fits


@pytest.mark.parametrize("change", [{"flash": 1_001}, {"ram": 111}, {"synops": 10.5}, {"accuracy": 0.89}])
def test_one_more_of_anything_is_no(change):
    budget = FitBudget("b", {FLASH: 1_000, RAM: 100}, synops=10.0, accuracy=0.9)
    assert decide([model()], budget) == model()
    assert decide([model(**change)], budget) is None


def test_the_binding_constraint_has_the_largest_share():
    found = judge(model(synops=9.9), FitBudget("b", {FLASH: 2_000, RAM: 1_000}, synops=10.0))
    assert found.binding == "synops"
    assert found.shares["flash_bytes"] == 0.5


def test_the_front_leaves_out_what_another_beats():
    small, good, beaten = model(0.8, 500, 50), model(0.95, 900, 60), model(0.8, 900, 70)
    assert front([good, beaten, small, small]) == (small, good)


def test_the_nearest_is_the_most_accurate_that_fits_else_the_least_too_large():
    budget = FitBudget("b", {FLASH: 1_000, RAM: 100}, accuracy=0.99)
    assert nearest([model(0.7), model(0.8), model(0.9, flash=1_001)], budget) == model(0.8)
    assert nearest([model(flash=3_000), model(flash=2_000)], budget) == model(flash=2_000)


@pytest.mark.parametrize(
    ("device_name", "limits", "words"),
    [
        (None, Limits(), "--device"),
        (None, Limits(flash=0), "flash_bytes"),
        (None, Limits(flash=-5, ram=100), "-5"),
        (None, Limits(synops=0), "--synops"),
        (None, Limits(synops=float("nan")), "nan"),
        (None, Limits(flash=1, accuracy=1.5), "1.5"),
        ("z80", Limits(), "z80"),
        ("ch32v003", Limits(latency_ms=10), "cost model"),
        ("rp2040", Limits(latency_ms=10), "wait states"),
        ("stm32f030r8", Limits(latency_ms=0), "--latency"),
        ("stm32f030r8", Limits(latency_ms=float("nan")), "--latency"),
        (None, Limits(flash=1, latency_ms=10), "--device"),
    ],
)
def test_limits_that_cannot_be_are_one_sentence(device_name, limits, words):
    with pytest.raises(ConfigError, match=words) as refused:
        budget_of(device_name, limits)
    assert "expected" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_ones_own_limits_tighten_a_devices():
    budget = budget_of("atmega328p", Limits(flash=20_000, ram=10**6, synops=5.0))
    assert budget.limits == {FLASH: 20_000, RAM: 1_792}
    assert budget.synops == 5.0


def test_a_no_names_the_smallest_device_that_would_do(shop_of):
    shop, models = shop_of("convolutions")
    small = {"limits": {FLASH: 1_000, RAM: 100}, "reserved": {}}
    budget = FitBudget.of_device(replace(device("ch32v003"), **small))
    search = Search(shop, SMALL_LATTICE, budget)
    assert search.run() is None
    proposed = smallest_device(search, devices())
    able = [e for e in devices() if e.kind is Kind.MCU and decide(models.values(), FitBudget.of_device(e))]
    smallest = min(able, key=lambda e: sum(e.available(r) for r in e.limits))
    assert proposed.device == smallest
    assert judge(proposed.model, FitBudget.of_device(smallest)).fits


def test_every_recipe_has_one_place_in_the_lattice():
    every = Lattice().every()
    assert len(set(every)) == len(every)
    assert all(recipe.density <= recipe.column.neurons for recipe in every)
