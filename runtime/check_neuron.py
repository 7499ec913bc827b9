"""Checks of one population's neuron: ranges, lengths, and what graded firing promises."""

from __future__ import annotations

import math

from runtime.errors import ModelError
from runtime.parameters import PARAMETERS
from runtime.spec import MAX_FRAC_BITS, Fire, IntegerNeuron

MAX_PAYLOAD_BITS = 8
INT32_LOWEST, INT32_HIGHEST = -(1 << 31), (1 << 31) - 1


def check_neuron(name: str, neuron: IntegerNeuron, shape: tuple[int, ...]) -> None:
    """Refuse parameters of wrong length or range."""
    within = neuron.width.lowest <= neuron.v_min <= neuron.v_max <= neuron.width.highest
    _require(
        within, name, f"a clamp to [{neuron.v_min}, {neuron.v_max}]", f"it within int{int(neuron.width)}"
    )
    in_range = 0 <= neuron.frac_bits <= MAX_FRAC_BITS
    _require(in_range, name, f"{neuron.frac_bits} fractional bits", f"0..{MAX_FRAC_BITS}")
    lengths = {1, shape[0], math.prod(shape)}
    for field in PARAMETERS:
        values = getattr(neuron, field)
        _require(len(values) in lengths, name, f"{len(values)} of {field}", f"one of {sorted(lengths)}")
        inside = min(values) >= INT32_LOWEST and max(values) <= INT32_HIGHEST
        _require(inside, name, f"{field} beyond 32 bits", "values within int32")
    started = neuron.v_min <= min(neuron.start_q) and max(neuron.start_q) <= neuron.v_max
    _require(started, name, "a start value outside the clamp", f"{neuron.v_min}..{neuron.v_max}")
    _check_payload(name, neuron, shape)


def _check_payload(name: str, neuron: IntegerNeuron, shape: tuple[int, ...]) -> None:
    bits, shifts = neuron.payload_bits, neuron.payload_shift
    if neuron.fire is not Fire.GRADED:
        _require(bits == 1, name, f"{bits}-bit payloads", "1 bit, or graded firing")
        _require(set(shifts) == {0}, name, "a payload shift", "0, or graded firing")
        return
    _require(1 <= bits <= MAX_PAYLOAD_BITS, name, f"{bits}-bit payloads", f"1..{MAX_PAYLOAD_BITS} bits")
    _require(min(shifts) >= 0 and max(shifts) + bits <= 31, name, "a payload beyond 32 bits", "shifts below")
    least = min(neuron.threshold_q) if len(neuron.threshold_q) == 1 else None
    _require(
        _fires_payload(neuron, shape, least),
        name,
        "a threshold below its payload step",
        "threshold_q >= 2^payload_shift, so that what fires has a payload",
    )


def _fires_payload(neuron: IntegerNeuron, shape: tuple[int, ...], least: int | None) -> bool:
    """Whether every neuron that fires emits at least 1."""
    if least is not None:
        return least >= 1 << max(neuron.payload_shift)
    size = math.prod(shape)
    steps = _spread(neuron.payload_shift, size)
    return all(t >= 1 << s for t, s in zip(_spread(neuron.threshold_q, size), steps, strict=True))


def _spread(values: tuple[int, ...], size: int) -> list[int]:
    each = size // len(values)
    return [value for value in values for _ in range(each)]


def _require(found: bool, name: str, what: str, expected: str) -> None:
    if not found:
        raise ModelError(f"{name}: found {what}, expected {expected}")
