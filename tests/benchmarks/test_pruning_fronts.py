"""Fronts of accuracy against additions, on rows made by hand."""

from __future__ import annotations

import copy
import json

import pytest
import torch

from benchmarks.pruning_fronts import MEASURES, Point, additions_at, front, points, savings, synops_page
from benchmarks.pruning_synops import (
    MAGNITUDE,
    OURS,
    PENALTIES,
    RULES,
    SEEDS,
    Setting,
    factors,
    raised,
    settings,
)
from tests.pruner.nets import events, mlp

BOTH = MEASURES["hidden spikes and input"]


def row(method=OURS, sparsity=0.97, seed=0, **changed):
    values = {
        "method": method,
        "price": 0.0,
        "sparsity": sparsity,
        "activity_penalty": 0.0,
        "threshold_factor": 1.0,
        "seed": seed,
        "validation_accuracy": 0.98,
        "accuracy": 0.98,
        "effective_acs": 100.0,
        "input_adds": 900.0,
    }
    return {**values, **changed}


def point(validation, test, additions):
    return Point((OURS,), 1, validation, test, additions)


def test_a_front_keeps_what_no_other_point_beats_in_validation_accuracy_and_additions():
    cheap, beaten, twin, best = (
        point(97.0, 90.0, 10.0),
        point(96.0, 99.0, 20.0),
        point(97.0, 95.0, 30.0),
        point(98.0, 91.0, 40.0),
    )
    assert front([best, twin, beaten, cheap]) == [cheap, best]
    assert front([point(97.0, 1.0, 10.0), point(98.0, 2.0, 10.0)]) == [point(98.0, 2.0, 10.0)]


def test_additions_between_two_points_lie_on_their_line_and_beyond_the_ends_there_are_none():
    line = [point(96.0, 96.0, 100.0), point(98.0, 98.0, 300.0), point(98.5, 97.0, 900.0)]
    assert additions_at(97.5, line) == pytest.approx(250.0)
    assert additions_at(97.0, line) == pytest.approx(200.0)
    assert additions_at(95.9, line) is None
    assert additions_at(98.1, line) is None
    assert additions_at(97.0, [point(97.0, 97.0, 5.0), point(98.0, 97.0, 9.0)]) == 5.0


def test_only_settings_that_every_seed_was_measured_at_are_points_and_their_means_are_taken():
    rows = [row(), row(seed=1, accuracy=0.97, input_adds=1100.0), row(sparsity=0.99)]
    (found,) = points(rows, BOTH)
    assert (found.seeds, found.test, found.additions) == (2, pytest.approx(97.5), 1100.0)
    assert not found.rival


def test_what_is_saved_is_a_share_of_the_rivals_additions_at_its_own_test_accuracy():
    rows = [
        row(accuracy=0.96, validation_accuracy=0.96, input_adds=300.0),
        row(sparsity=0.95, accuracy=0.98, validation_accuracy=0.98, input_adds=500.0),
        row(MAGNITUDE, accuracy=0.97, validation_accuracy=0.97, input_adds=900.0),
        row(MAGNITUDE, 0.8, accuracy=0.99, validation_accuracy=0.99, input_adds=4900.0),
    ]
    (near, saved), (far, beyond) = savings(rows, BOTH)
    assert (near.additions, saved) == (1000.0, pytest.approx(0.5))
    assert (far.additions, beyond) == (5000.0, None)
    text = synops_page({"rows": rows, "about": {"torch": "9.9"}})
    assert "over 1 seed(s)" in text
    assert "Ours is chosen from 2 settings, magnitude's from 2." in text
    assert "Ours saves 50 % on average (50 to 50 %) at 1 of the" in text
    assert "| 99.00 | 5,000 | – |" in text
    assert "torch 9.9" in text


def test_a_measurement_that_was_stopped_goes_on_where_rows_are_missing():
    every = list(settings(SEEDS))
    assert len(set(every)) == len(every) == len(SEEDS) * len(PENALTIES) * sum(map(len, RULES.values()))
    setting = Setting(OURS, 0.0, 0.97, 0.0, 0)
    assert setting in every
    rows = [row(), row(threshold_factor=1.15), row(seed=1), row(price=1.0)]
    assert setting.rows(json.loads(json.dumps(rows))) == len(factors(0)) == 2
    assert len(factors(1)) == 1


def test_raised_thresholds_silence_neurons_of_a_copy_and_leave_the_net_itself_alone():
    net = mlp().eval()
    before = copy.deepcopy(net)
    spikes = {}
    for factor in (1.0, 1.5):
        changed = raised(net, factor)
        for name, neuron in changed.neurons().items():
            old = net.neurons()[name].firing.threshold
            assert neuron.firing.threshold == tuple(factor * value for value in old)
        count = 0.0

        def add(_module, _inputs, output):
            nonlocal count
            count += float(output.sum())

        hidden = next(iter(changed.neurons().values()))
        hidden.register_forward_hook(add)
        with torch.no_grad():
            changed(events(net))
        spikes[factor] = count
    assert spikes[1.5] < spikes[1.0]
    assert [n.firing for n in net.neurons().values()] == [n.firing for n in before.neurons().values()]
