"""A report with made-up numbers of the real shape, for tests of the page."""

import numpy as np

from exporter.lower import lower
from exporter.plan import Memory, plan
from spikepress.catalog import Resource, judge_all
from spikepress.memory_figures import fit_fronts, memory_map, ram_plan, size_against_bounds
from spikepress.page import Card, Report, Table
from spikepress.plots import Plot, PlotKind, Series
from tests.builders.graphs import whole

NEEDS = {
    Resource.FLASH: 7_912,
    Resource.RAM: 2_104,
    Resource.BLOCK_RAM: 61_000,
    Resource.NEURONS: 266,
    Resource.SYNAPSES: 2_470,
    Resource.STORED_WEIGHTS: 25_856,
    Resource.INPUTS: 64,
}
LAYERS = ("fc1 → lif1", "fc2 → lif2", "fc3 → out <&>")


def a_report(seed=1):
    rng = np.random.default_rng(seed)
    return Report(
        title="digits: spikepress report",
        subtitle="64-128-128-10, T = 8, direct input, 8-bit weights",
        cards=(Card("Accuracy", "96.4 %", "on 360 test samples"), Card("Flash", "7,912 B", "code estimated")),
        plots=(*_lines(rng), *_bars(rng), _raster(rng), *_areas(), *fit_fronts(FOUND)),
        verdicts=judge_all(NEEDS),
        tables=(Table("Energy", ("line", "µJ", "basis"), (("integer arithmetic", "0.004", "45 nm"),)),),
        numbers={"accuracy": 0.964, "note": "</script><b>"},
    )


def _lines(rng):
    during = Series("validation", tuple((x / 10, 0.97 - 0.02 * float(rng.random())) for x in range(10)))
    test = Series("test", ((0.0, 0.964), (0.9, 0.956)))
    steps = Series("accuracy", tuple((t, 1 - 0.6 / t) for t in range(1, 9)))
    return (
        Plot(
            "accuracy-vs-sparsity",
            "Accuracy against weight sparsity",
            PlotKind.LINE,
            "weight sparsity",
            "accuracy",
            (during, test),
            percent=True,
        ),
        Plot(
            "accuracy-per-step",
            "Accuracy per time step",
            PlotKind.LINE,
            "time step",
            "accuracy",
            (steps,),
            percent=True,
        ),
    )


def _bars(rng):
    kinds = tuple(
        Series(kind, tuple((layer, int(rng.integers(10, 3_000))) for layer in LAYERS))
        for kind in ("weights", "indices", "parameters")
    )
    return (
        Plot("flash", "Flash by layer and kind", PlotKind.STACKED, "layer", "bytes", kinds),
        Plot("synops", "SynOps by layer", PlotKind.GROUPED, "layer", "per sample", kinds[:2]),
        Plot("drift", "Drift", PlotKind.GROUPED, "layer", "share", kinds[:1], note="integer against float"),
    )


def _areas():
    """Treemaps and the plan of a real program, with a layer of no size beside them."""
    memory = plan(lower(whole("convolution")))
    kinds = (Series("weights", (("a <&>", 900), ("b", 0), ("c", 1))), Series("indices", (("a <&>", 30),)))
    return (
        memory_map(memory, Memory.FLASH),
        memory_map(memory, Memory.RAM),
        ram_plan(memory, {}),
        size_against_bounds(lower(whole("convolution"))),
        Plot("map", "Map", PlotKind.TREEMAP, "layer", "bytes", kinds),
    )


def _model(flash, ram, accuracy):
    layouts = [{"needs": {"flash_bytes": flash, "ram_bytes": ram + extra}} for extra in (0, 40)]
    return {"validation_accuracy": accuracy, "layouts": layouts}


FOUND = {
    "budget": {"name": "atmega328p", "limits": {"flash_bytes": 32_256, "ram_bytes": 1_792}},
    "sentence": "yes: 95.65 % on validation samples",
    "model": _model(31_644, 1_604, 0.9565),
    "nearest": None,
    "front": [_model(14_472, 1_604, 0.949), _model(20_856, 1_440, 0.94), _model(42_198, 2_192, 0.9715)],
}


def _raster(rng):
    series = tuple(
        Series(layer, tuple((int(t), int(n)) for t, n in np.argwhere(rng.random((8, size)) < 0.2)))
        for layer, size in zip(LAYERS, (128, 128, 10), strict=True)
    )
    return Plot("raster", "Spikes of one sample", PlotKind.DOTS, "time step", "neuron", series)
