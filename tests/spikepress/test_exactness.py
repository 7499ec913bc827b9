"""Comparing traces value by value."""

from dataclasses import replace

import numpy as np
import pytest

from runtime.errors import ModelError
from runtime.spec import Fire, IntegerNeuron, Leak, Reset, StateWidth
from runtime.trace import Trace
from spikepress.exactness import activity, compare

STEPS, SAMPLES = 5, 4
SIZES = {"hidden": 6, "output": 3}


def a_trace(seed=1):
    rng = np.random.default_rng(seed)
    spikes = {k: rng.integers(0, 2, (STEPS, SAMPLES, n)).astype(np.int32) for k, n in SIZES.items()}
    membranes = {k: rng.integers(-9, 9, (STEPS, SAMPLES, n)).astype(np.int32) for k, n in SIZES.items()}
    scores = spikes["output"].sum(axis=0).astype(np.int64)
    return Trace(spikes, membranes, scores, scores.argmax(axis=1))


def changed(trace, kind, layer, where, by=1):
    arrays = dict(getattr(trace, kind))
    arrays[layer] = arrays[layer].copy()
    arrays[layer][where] += by
    return replace(trace, **{kind: arrays})


def test_equal_traces_are_exact():
    result = compare("runtime", a_trace(), a_trace())
    assert result.exact
    assert result.first is None


def test_one_membrane_off_is_named_with_both_values():
    found = changed(a_trace(), "membranes", "output", (3, 2, 1), by=7)
    result = compare("onnx", a_trace(), found)
    assert (result.differing_spikes, result.differing_membranes) == (0, 1)
    first = result.first
    assert (first.sample, first.step, first.layer, first.neuron) == (2, 3, "output", 1)
    assert first.found_membrane - first.expected_membrane == 7


def test_the_first_place_orders_by_sample_then_step_then_layer_then_neuron():
    found = changed(a_trace(), "membranes", "hidden", (0, 3, 0))
    found = changed(found, "membranes", "output", (1, 1, 0))
    found = changed(found, "membranes", "hidden", (1, 1, 5))
    found = changed(found, "spikes", "hidden", (4, 1, 0))
    first = compare("torch", a_trace(), found).first
    assert (first.sample, first.step, first.layer, first.neuron) == (1, 1, "hidden", 5)


def test_a_differing_prediction_alone_is_not_exact():
    trace = a_trace()
    result = compare("onnx", trace, replace(trace, predictions=(trace.predictions + 1) % 3))
    assert not result.exact
    assert result.differing_predictions == SAMPLES
    assert result.first is None


def test_missing_layers_and_other_shapes_are_refused():
    trace = a_trace()
    fewer = replace(trace, spikes={"hidden": trace.spikes["hidden"]})
    with pytest.raises(ModelError, match="found layers"):
        compare("runtime", trace, fewer)
    narrow = {k: v[:, :, :2] for k, v in trace.membranes.items()}
    with pytest.raises(ModelError, match="found shape"):
        compare("runtime", trace, replace(trace, membranes=narrow))


def a_neuron(**options):
    return IntegerNeuron(
        **{
            "leak": Leak((4,)),
            "fire": Fire.BINARY,
            "reset": Reset.SUBTRACT,
            "width": StateWidth.INT8,
            "v_min": -128,
            "v_max": 127,
            "frac_bits": 0,
            "threshold_q": (10, 20),
            "reset_q": (9, 20),
            "bias_q": (0,),
            "start_q": (0,),
            **options,
        }
    )


def one_layer(spikes, membranes):
    spikes, membranes = (np.array(x, dtype=np.int32).reshape(1, 1, -1) for x in (spikes, membranes))
    return Trace({"a": spikes}, {"a": membranes}, np.zeros((1, 1), np.int64), np.zeros(1, np.int64))


def test_ties_are_found_through_the_reset_of_each_channel():
    trace = one_layer([1, 1, 1, 0], [1, 2, 0, 0])  # before the reset: 10 (tie), 11, 20 (tie), 0
    (layer,) = activity(trace, {"a": a_neuron()})
    assert layer.ties == 2
    assert layer.rate == 0.75
    assert not layer.within_limits


def test_graded_ties_add_the_payload_back():
    neuron = a_neuron(fire=Fire.GRADED, payload_bits=3, payload_shift=(4,), threshold_q=(16,))
    trace = one_layer([1, 2, 1], [0, 0, 1])  # before: 16 (tie), 32, 17
    assert activity(trace, {"a": neuron})[0].ties == 1


def test_a_reset_to_a_value_hides_ties_and_says_so():
    (layer,) = activity(one_layer([1], [0]), {"a": a_neuron(reset=Reset.VALUE)})
    assert layer.ties is None


def test_clamps_and_both_signs_are_counted():
    (layer,) = activity(one_layer([0] * 4, [-128, 127, -3, 0]), {"a": a_neuron(threshold_q=(10,))})
    assert (layer.clamps, layer.positive, layer.negative) == (2, 1, 2)


def test_a_silent_layer_needs_no_spikes():
    neuron = a_neuron(fire=Fire.SILENT, reset=Reset.NONE)
    (layer,) = activity(one_layer([0, 0], [3, -3]), {"a": neuron})
    assert layer.within_limits
