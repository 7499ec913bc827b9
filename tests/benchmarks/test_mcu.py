"""The firmware benchmark's fit and page on small inputs."""

import numpy as np

from benchmarks.mcu_fit import THRESHOLDS, cost, network
from benchmarks.mcu_page import page
from exporter.targets.c_cores import CORES
from runtime.engine import Engine


def test_the_marginal_cost_of_a_synapse_is_that_of_the_plain_loop_or_less() -> None:
    # 10.2 instructions in the plain loop of lists on rv32i, plus 15 %.
    found = cost(CORES["rv32i"], "lists")
    assert found.residual < 0.01
    assert 5 < found.synop <= 1.15 * 10.2


def test_both_networks_of_the_fit_spike_in_the_hidden_layer() -> None:
    rng = np.random.default_rng(1)
    coded = (rng.random((16, 2, 784)) < 0.1).astype(np.int32)
    for density in THRESHOLDS:
        trace = Engine(network(density, "lists")).run(coded, trace=True).trace
        assert trace is not None
        assert 0.01 < trace.spikes["n128"].mean() < 0.5


def test_the_page_shows_refusals_and_what_differs() -> None:
    told = {
        "command": "c",
        "compiler": "k",
        "unicorn": "1",
        "rows": [{"model": "m", "part": "p", "tables": "lists", "refused": "too large"}],
        "exact": [
            {
                "model": "m",
                "leg": "host",
                "samples": 1000,
                "accuracy": 0.5,
                "differ": {"spikes": 3, "membranes": 2, "answers": 1},
            }
        ],
        "costs": [],
    }
    written = page(told)
    assert "refused: too large" in written
    assert "| m | host | 1,000 | 50.00% | 3 | 2 | 1 |" in written
