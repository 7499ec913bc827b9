"""The encoding chosen is the best there is, and the report can say why."""

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest

from runtime.choice import choose
from runtime.encodings import CANDIDATES, ENCODINGS, size_bytes, smallest
from runtime.encodings.bounds import binary_entropy, bounds
from runtime.encodings.registry import sparse_of
from runtime.objective import Objective
from runtime.pace import PACES

SHAPES = {(1, 1): 1, (1, 300): 1, (200, 10): 1, (64, 256): 1, (16, 3 * 9 * 8): 9}
"""Outlines and the kernel cells of each: the last is a convolution of 24 channels."""
DENSITIES = (0.0, 0.01, 0.03, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 1.0)


def uniform(shape, density, bits, seed=0):
    """A uniform random mask over uniform nonzero weights."""
    rng = np.random.default_rng(seed)
    highest = max((1 << (bits - 1)) - 1, 1)
    weights = rng.integers(-highest - (bits > 1), highest, shape)
    return np.where(rng.random(shape) < density, weights + (weights >= 0), 0).astype(np.int32)


def built(matrix, bits, taps):
    """Bytes of every encoding that runs and can hold a table, by building it; diagonals aside."""
    sparse = sparse_of(matrix, taps)
    able = {name: ENCODINGS[name] for name in (*CANDIDATES, "signs")}
    return {
        name: sum(array.nbytes for array in encoding.encode(sparse, bits).arrays.values())
        for name, encoding in able.items()
        if bits in encoding.widths and encoding.fits(sparse, bits)
    }


def assert_smallest(matrix, bits, taps):
    """The choice for a table, known to be the smallest of all that can be built."""
    sizes, found = built(matrix, bits, taps), choose(matrix, bits, taps=taps)
    assert found.encoding == smallest(matrix, bits, taps=taps)
    assert found.chosen.bytes == sizes[found.encoding] == min(sizes.values())
    assert {one.encoding: one.bytes for one in found.candidates} == sizes
    return found


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("bits", [8, 4, 3, 2, 1])
def test_the_chosen_encoding_is_the_smallest_by_brute_force(shape, bits):
    for density in DENSITIES:
        assert_smallest(uniform(shape, density, bits), bits, SHAPES[shape])


@pytest.mark.long
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("bits", [8, 4, 3, 2, 1])
def test_the_chosen_encoding_is_the_smallest_at_every_density(shape, bits):
    for percent in range(1, 101):
        found = assert_smallest(uniform(shape, percent / 100, bits, seed=percent), bits, SHAPES[shape])
        if found.break_even is None or shape[0] * shape[1] < 1 << 10:
            continue
        assert (found.encoding == "dense") is ("no sparse form is smaller above" in found.reason)
        if abs(found.density - found.break_even) > 0.05:
            assert (found.encoding == "dense") is (found.density > found.break_even)


def test_dense_rows_are_chosen_above_the_break_even_density_and_say_so():
    found = choose(uniform((64, 512), 0.97, 8), 8)
    assert found.encoding == "dense"
    assert found.break_even is not None
    assert found.break_even < 0.97
    assert "no sparse form is smaller above" in found.reason
    low = choose(uniform((64, 512), 0.05, 8), 8)
    assert low.encoding == "rice"
    assert low.runner_up is not None
    assert low.runner_up.bytes >= low.chosen.bytes
    assert low.break_even == pytest.approx(found.break_even, abs=0.03)
    assert low.runner_up.encoding in low.reason


@pytest.mark.parametrize("bits", [8, 4])
def test_the_break_even_density_is_where_the_sizes_cross(bits):
    found = choose(uniform((64, 512), 0.1, bits), bits)
    assert found.break_even is not None
    for density, sparse_wins in ((found.break_even - 0.05, True), (found.break_even + 0.05, False)):
        matrix = uniform((64, 512), density, bits, seed=1)
        assert (size_bytes(matrix, found.encoding, bits) < size_bytes(matrix, "dense", bits)) is sparse_wins


def test_objectives_trade_bytes_for_time():
    matrix = uniform((256, 512), 0.1, 8)
    flash, speed, balanced = (choose(matrix, 8, one) for one in Objective)
    assert speed.chosen.event_ns <= balanced.chosen.event_ns <= flash.chosen.event_ns
    assert flash.chosen.bytes <= balanced.chosen.bytes <= speed.chosen.bytes
    assert flash.encoding != speed.encoding


def test_the_bounds_are_those_the_document_defines():
    matrix = np.array([[1, 0, 0, 2], [0, 0, 0, 0], [1, 1, 0, 0]], np.int32)
    found = bounds(sparse_of(matrix))
    values = -(3 * math.log2(3 / 4) + math.log2(1 / 4))
    assert found.values == pytest.approx(values)
    assert found.zero_order == pytest.approx(12 * binary_entropy(4 / 12) + values)
    assert found.per_row == pytest.approx(3 * math.log2(5) + 2 * math.log2(6) + values)
    assert found.smaller == min(found.zero_order, found.per_row)


def test_rows_of_very_different_density_are_bounded_by_the_second():
    mask = np.random.default_rng(0).random((40, 600)) < np.linspace(0, 0.6, 40)[:, None] ** 3
    found = bounds(sparse_of(mask.astype(np.int32)))
    assert found.per_row < found.zero_order
    even = bounds(sparse_of(uniform((40, 600), 0.1, 8)))
    assert even.zero_order < even.per_row


@pytest.mark.parametrize(
    "matrix", [np.zeros((3, 4), np.int32), np.ones((3, 4), np.int32)], ids=["none", "all"]
)
def test_empty_and_full_tables_have_bounds_and_a_choice(matrix):
    found = choose(matrix, 8)
    assert found.bounds.zero_order == 0.0
    assert found.ratio == (math.inf if found.bounds.smaller == 0 else pytest.approx(found.ratio))
    assert found.chosen.bytes > 0


SHARES = {0.2: 1.06, 0.1: 1.06, 0.05: 1.06, 0.03: 1.06, 0.01: 1.13}


@pytest.mark.parametrize("shape", [(1024, 1024), (256, 2304)], ids=["linear", "convolution"])
@pytest.mark.parametrize("density", SHARES)
def test_uniform_masks_run_from_close_to_their_entropy(shape, density):
    assert choose(uniform(shape, density, 8), 8).ratio <= SHARES[density]


def test_a_pruned_digits_net_of_four_bits_takes_under_29_kilobytes():
    layers = uniform((784, 800), 0.03, 4), uniform((800, 10), 0.03, 4)
    assert sum(choose(layer, 4).chosen.bytes for layer in layers) <= 29_000


RESULTS = Path(__file__).parents[2] / "docs" / "results" / "formats.json"


def test_the_times_of_a_walk_are_those_that_were_measured():
    measured = json.loads(RESULTS.read_text(encoding="utf-8"))["paces"]
    assert {name: dataclasses.asdict(pace) for name, pace in PACES.items()} == measured


def test_the_committed_results_reach_what_the_format_promises():
    found = json.loads(RESULTS.read_text(encoding="utf-8"))
    for row in found["best"]:
        runs = SHARES[round(row["density"], 2)]
        assert row["ratio"] <= (runs if row["kind"] == "executable" else 1.02)
    assert all(net["ratio"] <= 1.12 for net in found["nets"])
    small = {net["name"]: net["bytes"] for net in found["nets"] if net["name"].startswith("784-800-10")}
    assert small.pop("784-800-10, uniform mask") <= 29_000
    assert max(small.values()) <= 26_000


@pytest.mark.parametrize("shape", [(1024, 1024), (256, 2304)], ids=["linear", "convolution"])
@pytest.mark.parametrize("density", SHARES)
def test_an_archive_stores_within_two_percent_of_the_entropy(shape, density):
    sparse = sparse_of(uniform(shape, density, 8), 9 if shape[1] % 9 == 0 else 1)
    assert bounds(sparse).ratio(ENCODINGS["archive"].size(sparse, 8).total) <= 1.02
