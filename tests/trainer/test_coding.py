"""Codings against their rules written out element by element, and against the runtime's own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from runtime.coding import encode_input
from runtime.errors import DataError
from runtime.spec import Coding, InputSpec
from trainer.coding import encode
from trainer.held import held

SPECS = {
    "direct": InputSpec((2, 3), Coding.DIRECT, 4, bits=8, constant=True),
    "direct-high-bits": InputSpec((6,), Coding.DIRECT, 2, bits=2, constant=True, sample_shift=3),
    "direct-signed-steps": InputSpec((6,), Coding.DIRECT, 4, bits=7, signed=True),
    "events": InputSpec((6,), Coding.EVENTS, 4, bits=2),
    "rate": InputSpec((2, 3), Coding.RATE, 9, seed=77),
    "rate-5-bits": InputSpec((6,), Coding.RATE, 5, sample_bits=5, seed=0x9E3779B9),
    "latency": InputSpec((6,), Coding.LATENCY, 7),
    "delta": InputSpec((12,), Coding.DELTA, 11, bits=2, delta=3),
}


def samples(spec: InputSpec, count: int = 20) -> NDArray[np.int64]:
    draw = np.random.default_rng(5)
    size = int(np.prod(spec.shape))
    if spec.coding is Coding.DELTA:
        return draw.integers(-20, 20, (count, spec.n_steps, size // 2)).cumsum(1)
    bits = spec.sample_bits if spec.coding in (Coding.RATE, Coding.LATENCY) else spec.bits + spec.sample_shift
    high = 1 << bits
    low = -high + 1 if spec.signed else 0
    timed = spec.coding is Coding.EVENTS or (spec.coding is Coding.DIRECT and not spec.constant)
    shape = (count, spec.n_steps, *spec.shape) if timed else (count, *spec.shape)
    return draw.integers(low, high, shape)


@pytest.mark.parametrize("name", SPECS)
def test_torch_and_runtime_code_the_same(name: str) -> None:
    spec = SPECS[name]
    x = samples(spec)
    ours = encode(x, spec).numpy()
    assert ours.dtype == np.float32
    assert np.array_equal(ours, encode_input(x, spec))
    assert 0 < np.count_nonzero(ours) < ours.size


@pytest.mark.parametrize("name", SPECS)
def test_a_sample_is_coded_the_same_in_every_batch(name: str) -> None:
    spec = SPECS[name]
    x = samples(spec)
    chosen = np.array([3, 17, 5])
    assert np.array_equal(encode(x[chosen], spec, chosen).numpy(), encode(x, spec).numpy()[:, chosen])


def test_a_constant_input_is_held() -> None:
    assert held(encode(samples(SPECS["direct"]), SPECS["direct"])) is not None


def test_rate_coding_draws_as_its_rule_says() -> None:
    spec = SPECS["rate"]
    x = samples(spec, 3)
    coded = encode(x, spec, np.array([0, 1, 2])).numpy()
    sample, step = 2, 4
    state = spec.seed ^ (0x9E3779B9 * (sample + 1)) % 2**32 ^ (0x85EBCA6B * (step + 1)) % 2**32
    for place, value in enumerate(x[sample].flatten()):
        state ^= state << 13 & 0xFFFFFFFF
        state ^= state >> 17
        state ^= state << 5 & 0xFFFFFFFF
        assert coded[step, sample].flatten()[place] == (value > (state >> 8) % 256)


def test_rate_coding_fires_about_as_often_as_the_value_says() -> None:
    spec = InputSpec((500,), Coding.RATE, 20)
    coded = encode(np.full((2, 500), 64), spec).numpy()
    assert abs(coded.mean() - 0.25) < 0.01


def test_latency_puts_large_values_first_and_zero_nowhere() -> None:
    spec = InputSpec((4,), Coding.LATENCY, 4)
    coded = encode(np.array([[255, 128, 1, 0]]), spec).numpy()[:, 0]
    assert coded.argmax(0).tolist()[:3] == [0, 1, 3]
    assert coded.sum(0).tolist() == [1, 1, 1, 0]


def test_delta_follows_the_signal_by_whole_events() -> None:
    spec = InputSpec((2,), Coding.DELTA, 5, bits=2, delta=10)
    coded = encode(np.array([[[0], [25], [25], [-40], [-40]]]), spec).numpy()[:, 0]
    # up 2 (reference 20), nothing, down 6 capped at 3 (-10), down 3 (-40)
    assert coded.tolist() == [[0, 0], [2, 0], [0, 0], [0, 3], [0, 3]]


@pytest.mark.parametrize("name", SPECS)
def test_samples_of_another_size_are_refused(name: str) -> None:
    spec = SPECS[name]
    with pytest.raises(DataError, match=r"found samples of shape .* expected"):
        encode(samples(spec)[:, :-1], spec)


def test_values_out_of_range_are_refused() -> None:
    spec = replace(SPECS["events"], bits=1)
    with pytest.raises(DataError, match=r"expected 0\.\.1"):
        encode(samples(SPECS["events"]), spec)
