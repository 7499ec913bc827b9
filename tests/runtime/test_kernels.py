"""Kernels against plain numpy, compiled and as the Python they are written in."""

import hashlib
import json
import math
import os
import subprocess
import sys
from dataclasses import asdict, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.encodings import encode
from runtime.engine import Engine, Objective
from runtime.geometry import conv_output, pooled_place, window_cells
from runtime.kernels import dense, diagonal, events, lists, neuron, pool
from runtime.program import ConvSynapses, LinearSynapses, Window
from runtime.scatter import Events, bind
from tests.builders.programs import random_input, sparse_matrix
from tests.builders.zoo import SPARSE_AND_DENSE, ZOO

STREAMS = ("rice", "nibbles", "codebook", "huffman")


def event_list(payload):
    """Event list of (frames, neurons) by numpy."""
    frame, index = np.nonzero(payload)
    start = np.concatenate([[0], np.cumsum(np.bincount(frame, minlength=len(payload)))])
    value = payload[frame, index].astype(np.int32)
    return Events(index.astype(np.int32), value, start.astype(np.int64), index.size)


@pytest.mark.parametrize("name", SPARSE_AND_DENSE)
@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 1 << 30),
    bits=st.sampled_from((2, 3, 4, 8)),
    columns=st.integers(1, 600),
    extra=st.integers(0, 3),
    width=st.integers(1, 9),
)
def test_scatter_is_a_matrix_product_of_payloads_and_weights(name, seed, bits, columns, extra, width):
    rng = np.random.default_rng(seed)
    matrix = rng.integers(-(1 << (bits - 1)), 1 << (bits - 1), (7, columns)) * (
        rng.random((7, columns)) < 0.3
    )
    payload = rng.integers(-(1 << width) + 1, 1 << width, (4, 7)) * (rng.random((4, 7)) < 0.6)
    acc = rng.integers(-5, 6, (4, columns)).astype(np.int32)
    expected = acc + ((payload @ matrix) << extra)
    found = event_list(payload)
    executed, _ = bind(LinearSynapses(), encode(matrix, name, bits))(found, acc, extra)
    np.testing.assert_array_equal(acc, expected)
    bits_set = np.array([[bin(abs(int(x))).count("1") for x in row] for row in payload])
    assert executed == (bits_set @ stored_items(name, matrix)).sum()


def stored_items(name, matrix):
    """Weights that a row of an encoding holds, zeros included."""
    rows, columns = matrix.shape
    if name == "dense":
        return np.full(rows, columns)
    size = int(name.removeprefix("blocks")) if name.startswith("blocks") else 1
    groups = np.array_split(matrix != 0, np.arange(size, columns, size), axis=1)
    return sum(group.any(axis=1) * group.shape[1] for group in groups)


@pytest.mark.parametrize("name", ["signs", "lists", "packed", "records", "bitmap", *STREAMS])
def test_scatter_of_signs_adds_and_subtracts_payloads(name):
    rng = np.random.default_rng(5)
    matrix = rng.integers(-1, 2, (7, 300)) * (rng.random((7, 300)) < 0.3)
    payload = rng.integers(-15, 16, (4, 7)) * (rng.random((4, 7)) < 0.6)
    for bits in (1, 2, 8):
        acc = rng.integers(-5, 6, (4, 300)).astype(np.int32)
        expected = acc + ((payload @ matrix) << 1)
        executed, _ = bind(LinearSynapses(), encode(matrix, name, bits))(event_list(payload), acc, 1)
        np.testing.assert_array_equal(acc, expected)
        bits_set = np.array([[bin(abs(int(x))).count("1") for x in row] for row in payload])
        assert executed == (bits_set @ (matrix != 0).sum(axis=1)).sum()


def test_dense_rows_of_one_bit_are_signs():
    matrix = np.random.default_rng(6).choice([-1, 1], (7, 37))
    payload = np.random.default_rng(7).integers(-3, 4, (4, 7))
    acc = np.zeros((4, 37), np.int32)
    bind(LinearSynapses(), encode(matrix, "dense", 1))(event_list(payload), acc, 0)
    np.testing.assert_array_equal(acc, payload @ matrix)


@pytest.mark.parametrize("size", [4, 8, 16])
def test_blocks_of_a_convolution_lie_along_its_output_channels(size):
    synapses = ConvSynapses((3, 5, 4), (21, 5, 4), (3, 2), (1, 1), (1, 1), (1, 1), 1)
    synapses = replace(synapses, out_shape=(21, *conv_output(synapses)))
    rng = np.random.default_rng(size)
    matrix = (rng.integers(-9, 10, (3, 21 * 6)) * (rng.random((3, 126)) < 0.4)).astype(np.int32)
    payload = rng.integers(-3, 4, (2, 60))
    found = []
    for name, taps in (("lists", 1), (f"blocks{size}", 6), (f"blocks{size}", 1), (f"blocks{size}", 2)):
        acc = np.zeros((2, math.prod(synapses.out_shape)), np.int32)
        bind(synapses, encode(matrix, name, 8, taps=taps))(event_list(payload), acc, 0)
        found.append(acc)
    for other in found[1:]:
        np.testing.assert_array_equal(found[0], other)


def test_extraction_lists_the_nonzeros_of_every_frame():
    rng = np.random.default_rng(0)
    payload = (rng.integers(-3, 4, (5, 9)) * (rng.random((5, 9)) < 0.4)).astype(np.int32)
    index, value, start = np.empty(46, np.int32), np.empty(46, np.int32), np.empty(6, np.int64)
    for extract in (events.extract, events.extract.py_func):
        found = extract(payload, index, value, start)
        expected = event_list(payload)
        assert found == expected.found
        np.testing.assert_array_equal(start, expected.start)
        np.testing.assert_array_equal(index[:found], expected.index)
        np.testing.assert_array_equal(value[:found], expected.value)


def test_a_full_frame_of_events_fits_its_buffers():
    payload = np.ones((3, 4), np.int32)
    index, value = np.full(13, -7, np.int32), np.full(13, -7, np.int32)
    assert events.extract(payload, index, value, np.empty(4, np.int64)) == 12


def test_pooled_addresses_keep_every_event_of_a_window():
    shape, window = (2, 5, 4), Window((2, 2), (2, 2))
    payload = np.arange(1, 81).reshape(2, 40).astype(np.int32)
    found = event_list(payload)
    room = (np.empty(81, np.int32), np.empty(81, np.int32), np.empty(3, np.int64))
    place = pooled_place(shape, window)
    for pooled in (events.pooled, events.pooled.py_func):
        kept = pooled(found.index, found.value, found.start, place, *room)
        summed = np.zeros((2, 8), np.int64)
        for frame in range(2):
            at = slice(room[2][frame], room[2][frame + 1])
            np.add.at(summed[frame], room[0][at], room[1][at])
        blocks = payload.reshape(2, 2, 5, 4)[:, :, :4].reshape(2, 2, 2, 2, 2, 2)
        np.testing.assert_array_equal(summed, blocks.sum(axis=(3, 5)).reshape(2, 8))
        assert kept == 64


def test_synaptic_operations_count_set_bits_times_targets():
    index, value = np.array([0, 2, 2], np.int32), np.array([5, -3, 1], np.int32)
    kept, full = np.array([2, 9, 4], np.int64), np.array([3, 9, 7], np.int64)
    for count in (events.synaptic_operations, events.synaptic_operations.py_func):
        assert count(index, value, 3, kept, full) == (2 * 2 + 2 * 4 + 4, 2 * 3 + 2 * 7 + 7)


def test_windows_take_their_largest_cell_and_never_their_padding():
    rng = np.random.default_rng(1)
    frames = rng.integers(-90, -10, (3, 30)).astype(np.int32)
    cells = window_cells((1, 6, 5), Window((3, 2), (2, 1), (1, 1)))
    out = np.empty((3, len(cells)), np.int32)
    for window_max in (pool.window_max, pool.window_max.py_func):
        compares = window_max(frames, -(1 << 31), cells, out)
        expected = np.where(cells >= 0, frames[:, cells], -(1 << 31)).max(axis=2)
        np.testing.assert_array_equal(out, expected)
        assert compares == 3 * np.count_nonzero(cells >= 0)


def test_rounding_shifts_are_halves_up_for_both_signs():
    acc = np.arange(-40, 41, dtype=np.int32)
    for add_rounded in (pool.add_rounded, pool.add_rounded.py_func):
        current = np.ones_like(acc)
        add_rounded(acc, 3, current)
        np.testing.assert_array_equal(current - 1, np.floor((acc + 4) / 8))


def neuron_case(rng, fire, rule, cuba):
    """Arguments of ``neuron.update`` for 3 steps of 2 samples of 5 neurons."""
    shape = (3, 2, 5)
    return {
        "acc": rng.integers(-30, 31, shape).astype(np.int32),
        "shift": int(rng.integers(-2, 3)),
        "v": rng.integers(-20, 20, shape[1:]).astype(np.int32),
        "synaptic": rng.integers(-20, 20, shape[1:]).astype(np.int32) if cuba else np.zeros((2, 0), np.int32),
        "threshold": rng.integers(4, 20, 5).astype(np.int32),
        "reset": rng.integers(-3, 9, 5).astype(np.int32),
        "bias": rng.integers(-3, 4, 5).astype(np.int32),
        "payload_shift": np.full(5, 2, np.int32),
        "how": np.array(
            [rng.integers(0, 4), rng.integers(0, 4), cuba, 1, 2, rng.integers(0, 2), fire, rule, -40, 60, 3]
        ),
        "out": np.zeros(shape, np.int32),
        "traced": np.zeros(shape, np.int32),
    }


def numpy_update(  # noqa: PLR0913, PLR0917 - the kernel's own arguments
    acc, shift, v, synaptic, threshold, reset, bias, payload_shift, how, out, traced
):
    """The neuron in whole-array numpy."""
    k1, k2, cuba, s1, s2, new, fire, rule, lowest, highest, top = (int(x) for x in how)
    v, synaptic = v.astype(np.int64), synaptic.astype(np.int64)

    def leaked(x, first, second):
        return x - (x >> first if first else 0) - (x >> second if second else 0)

    for step, frame in enumerate(acc.astype(np.int64)):
        drive = frame << shift if shift >= 0 else (frame + (1 << (-shift - 1))) >> -shift
        if cuba:
            charged = leaked(synaptic, s1, s2) + drive
            drive = charged if new else synaptic
            synaptic = charged.clip(lowest, highest)
        u = leaked(v, k1, k2) + drive + bias
        fired = (u >= threshold) & (fire != neuron.SILENT)
        payload = np.where(fired, np.minimum(top, u >> payload_shift) if fire == neuron.GRADED else 1, 0)
        taken = payload << payload_shift if fire == neuron.GRADED else fired * reset
        if rule == neuron.SUBTRACT:
            u = u - taken
        elif rule == neuron.VALUE:
            u = np.where(fired, reset, u)
        v = u.clip(lowest, highest)
        out[step], traced[step] = payload, v
    return out, traced


@pytest.mark.parametrize("cuba", [0, 1])
@pytest.mark.parametrize("rule", [neuron.KEEP, neuron.SUBTRACT, neuron.VALUE])
@pytest.mark.parametrize("fire", [neuron.SILENT, neuron.BINARY, neuron.GRADED])
def test_the_neuron_update_is_its_numpy_twin(fire, rule, cuba):
    for seed in range(20):
        expected = numpy_update(**neuron_case(np.random.default_rng(seed), fire, rule, cuba))
        for update in (neuron.update, neuron.update.py_func):
            case = neuron_case(np.random.default_rng(seed), fire, rule, cuba)
            spikes, _, _ = update(*case.values())
            np.testing.assert_array_equal(case["out"], expected[0])
            np.testing.assert_array_equal(case["traced"], expected[1])
            np.testing.assert_array_equal(case["v"], expected[1][-1])
            assert spikes == np.count_nonzero(expected[0])


def test_a_diagonal_adds_each_neurons_own_weight():
    weights = np.array([[300, -4, 0]], np.int32)
    table = encode(weights, "diagonal", 16)
    payload = np.array([[1, 0, 5, -3, 1, 1]])
    found = event_list(payload)
    acc = np.zeros((1, 6), np.int32)
    executed, _ = diagonal.scatter(
        found.index, found.value, found.start, acc, 1, table.arrays["weights"], 3, 16
    )
    np.testing.assert_array_equal(acc, (payload * np.repeat(weights, 2, axis=1)) << 1)
    assert executed == 1 + 2 + 2


def digest_of_the_zoo():
    """One number over traces and counts of every feature in every encoding."""
    found = hashlib.sha256()
    for make in ZOO.values():
        for encoding in SPARSE_AND_DENSE:
            program = make(encoding)
            for objective in Objective:
                result = Engine(program, objective).run(random_input(program, samples=1), trace=True)
                for membranes in result.trace.membranes.values():
                    found.update(np.ascontiguousarray(membranes).tobytes())
                found.update(json.dumps(asdict(result.counts), default=int).encode())
    return found.hexdigest()


def test_kernels_compute_the_same_with_the_compiler_off():
    code = "from tests.runtime.test_kernels import digest_of_the_zoo; print(digest_of_the_zoo())"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == digest_of_the_zoo()


def test_long_sums_use_the_whole_accumulator():
    matrix = np.full((200, 3), 127, np.int32)
    payload = np.full((1, 200), 65535)
    for name, kernel in (("dense", dense), ("lists", lists)):
        acc = np.zeros((1, 3), np.int32)
        bind(LinearSynapses(), encode(matrix, name, 8))(event_list(payload), acc, 0)
        assert kernel.linear.signatures
        assert acc.tolist() == [[200 * 127 * 65535] * 3]


def test_sparse_matrices_of_the_builder_are_sparse():
    assert 0.02 < np.mean(sparse_matrix(np.random.default_rng(0), (50, 50), 8, 0.05) != 0) < 0.08
