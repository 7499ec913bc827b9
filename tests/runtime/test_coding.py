"""The five input codings against their rules in plain Python, and what they refuse."""

import numpy as np
import pytest

from runtime.coding import encode_input
from runtime.errors import DataError
from runtime.spec import Coding, InputSpec


def xorshift32(state):
    state ^= state << 13 & 0xFFFFFFFF
    state ^= state >> 17
    return state ^ (state << 5 & 0xFFFFFFFF)


def test_rate_coding_draws_from_one_xorshift_stream_per_sample_and_step():
    spec = InputSpec((2, 3), Coding.RATE, 5, sample_bits=6, seed=77)
    x = np.random.default_rng(0).integers(0, 64, (4, 2, 3))
    coded = encode_input(x, spec, first_sample=9)
    for sample in range(4):
        for step in range(5):
            state = 77 ^ 0x9E3779B9 * (9 + sample + 1) & 0xFFFFFFFF ^ 0x85EBCA6B * (step + 1) & 0xFFFFFFFF
            for element, value in enumerate(x[sample].ravel()):
                state = xorshift32(state or 1)
                fired = value > (state >> 8 & 63)
                assert coded[step, sample].ravel()[element] == fired


def test_a_rate_coded_sample_looks_the_same_in_every_batch():
    spec = InputSpec((7,), Coding.RATE, 4)
    x = np.random.default_rng(1).integers(0, 256, (6, 7))
    whole = encode_input(x, spec)
    np.testing.assert_array_equal(encode_input(x[2:5], spec, first_sample=2), whole[:, 2:5])


def test_the_rate_of_a_pixel_is_its_value():
    spec = InputSpec((400,), Coding.RATE, 100)
    for value in (0, 64, 255):
        rate = encode_input(np.full((1, 400), value), spec).mean()
        assert rate == pytest.approx(value / 256, abs=0.01)


def test_larger_values_fire_earlier_and_zero_never():
    spec = InputSpec((5,), Coding.LATENCY, 4)
    coded = encode_input(np.array([[255, 192, 128, 1, 0]]), spec)[:, 0]
    assert coded.argmax(axis=0).tolist()[:4] == [0, 0, 1, 3]
    assert coded.sum(axis=0).tolist() == [1, 1, 1, 1, 0]


def test_delta_coding_follows_the_signal_by_whole_multiples():
    spec = InputSpec((2,), Coding.DELTA, 6, bits=2, delta=10)
    x = np.array([[[0], [9], [10], [65], [40], [-1]]])
    coded = encode_input(x, spec)[:, 0]
    assert coded.tolist() == [[0, 0], [0, 0], [1, 0], [3, 0], [0, 0], [0, 3]]


def test_constant_direct_input_is_one_frame_seen_at_every_step():
    spec = InputSpec((2, 2), Coding.DIRECT, 3, bits=4, constant=True)
    coded = encode_input(np.arange(8).reshape(2, 4), spec)
    assert coded.shape == (3, 2, 2, 2)
    assert coded.strides[0] == 0
    np.testing.assert_array_equal(coded[2].ravel(), np.arange(8))


def test_direct_input_may_drop_the_lowest_bits_of_a_sample():
    spec = InputSpec((5,), Coding.DIRECT, 2, bits=2, constant=True, sample_shift=6)
    coded = encode_input(np.array([[0, 63, 64, 191, 255]]), spec)
    assert coded.tolist() == [[[0, 0, 1, 2, 3]]] * 2
    with pytest.raises(DataError, match=r"256.*0\.\.255"):
        encode_input(np.full((1, 5), 256), spec)


def test_events_and_changing_direct_input_are_turned_steps_first():
    x = np.random.default_rng(2).integers(0, 4, (3, 5, 2))
    for coding in (Coding.EVENTS, Coding.DIRECT):
        coded = encode_input(x, InputSpec((2,), coding, 5, bits=2))
        np.testing.assert_array_equal(coded, x.swapaxes(0, 1))


@pytest.mark.parametrize(
    ("coding", "options", "x", "found"),
    [
        (Coding.EVENTS, {}, np.full((1, 3, 2), 2), "2..2"),
        (Coding.EVENTS, {}, np.zeros((1, 4, 2), int), "shape"),
        (Coding.EVENTS, {}, np.zeros((1, 3, 2)), "float64"),
        (Coding.DIRECT, {"bits": 4}, np.full((1, 3, 2), -1), "-1"),
        (Coding.DIRECT, {"bits": 4, "signed": True}, np.full((1, 3, 2), -16), "-15..15"),
        (Coding.RATE, {}, np.full((1, 2), 256), "0..255"),
        (Coding.LATENCY, {"sample_bits": 4}, np.full((1, 2), 16), "0..15"),
        (Coding.DELTA, {}, np.zeros((1, 3, 2), int), "shape"),
        (Coding.DELTA, {}, np.full((1, 3, 1), 1 << 40), "values"),
        (Coding.RATE, {}, np.array(3), "samples first"),
    ],
)
def test_samples_that_do_not_fit_are_refused(coding, options, x, found):
    with pytest.raises(DataError, match=found):
        encode_input(x, InputSpec((2,), coding, 3, **options))
