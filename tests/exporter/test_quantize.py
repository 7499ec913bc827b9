"""The folding rules of docs/neuron-model.md, and how little an integer network strays from its reals."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.calibrate import calibrate
from exporter.drift import drift
from exporter.folding import fold, levels
from exporter.graph import Add, Conv, Flatten, Graph, Input, Linear, Neuron, Pool, PoolKind, Scale, by_name
from exporter.quantize import QuantizeOptions, quantize
from exporter.ranges import current_interval, reach
from exporter.reference import run, run_float
from exporter.wiring import neurons
from runtime.errors import ConfigError, ModelError, UnsupportedError
from runtime.spec import (
    Coding,
    Compare,
    Fire,
    FloatNeuron,
    InputSpec,
    IntegerNeuron,
    Leak,
    Readout,
    Reset,
    ResetTiming,
    StateWidth,
)
from tests.builders.graphs import CASES, coded, real, whole, with_threshold

EVENTS = InputSpec((4,), Coding.EVENTS, 6)


def layer(
    weight: object,
    model: FloatNeuron,
    *,
    spec: InputSpec = EVENTS,
    readout: Readout = Readout.COUNT,
    **more: object,
) -> Graph:
    array = np.asarray(weight)
    fc = Linear("fc", "in", array, **more)  # type: ignore[arg-type]
    return Graph((Input("in", spec), fc, Neuron("n", "fc", model)), "n", readout)


def parts(graph: Graph) -> tuple[Linear, Neuron, IntegerNeuron]:
    nodes = by_name(graph)
    fc, neuron = nodes["fc"], nodes["n"]
    assert isinstance(fc, Linear)
    assert isinstance(neuron, Neuron)
    assert isinstance(neuron.model, IntegerNeuron)
    return fc, neuron, neuron.model


@given(
    threshold=st.fractions(Fraction(1, 50), Fraction(50)),
    unit=st.fractions(Fraction(1, 400), Fraction(3)),
    compare=st.sampled_from(list(Compare)),
)
def test_the_folded_threshold_fires_exactly_the_membranes_that_fire(
    threshold: Fraction, unit: Fraction, compare: Compare
) -> None:
    model = FloatNeuron(threshold=(float(threshold),), compare=compare)
    found = levels("n", model, np.zeros(1))
    (threshold_q,) = fold(model, found, np.array([float(unit)]), None).threshold_q
    ratio = Fraction(float(threshold)) / Fraction(float(unit))
    for v in (threshold_q - 1, threshold_q, math.floor(ratio)):
        if abs(v - ratio) < Fraction(1, 10**6) and v != ratio:
            continue
        fires = v >= ratio if compare is Compare.GREATER_EQUAL else v > ratio
        assert (v >= threshold_q) == fires


def test_weights_round_per_channel_with_halves_to_even() -> None:
    weight = np.array([[1.27, 0.005, 0.015, -0.025], [0.127, -0.127, 0.0635, 0.0]])
    fc, _, _ = parts(quantize(layer(weight, FloatNeuron(threshold=(1.0,)))))
    assert fc.weight.dtype == np.int32
    assert fc.weight[0, 0] == 127
    assert fc.weight[1].tolist() == [127, -127, 64, 0]
    assert fc.scale is not None
    np.testing.assert_allclose(fc.scale, [0.01, 0.001])


def test_integers_that_came_from_training_stay_as_they_are() -> None:
    weight = np.array([[3, -2, 1, 0], [1, 1, -4, 2]], np.int32)
    graph = layer(weight, FloatNeuron(Leak((3,))), scale=np.array([0.05, 0.1]), bits=4)
    fc, neuron, model = parts(quantize(graph))
    np.testing.assert_array_equal(fc.weight, weight)
    assert fc.bits == 4
    assert neuron.scale is not None
    np.testing.assert_allclose(neuron.scale, np.array([0.05, 0.1]) * 2.0**-model.frac_bits)
    assert fc.shift == model.frac_bits
    assert model.threshold_q == tuple(math.ceil(2**model.frac_bits / s) for s in (0.05, 0.1))


def test_an_integrator_whose_levels_are_whole_needs_no_fraction() -> None:
    weight = np.array([[1, -1, 1, 0]], np.int32)
    graph = layer(weight, FloatNeuron(), scale=np.array([0.5]), bits=2)
    _, _, model = parts(quantize(graph))
    assert model.frac_bits == 0
    assert model.threshold_q == (2,)
    third = layer(weight, FloatNeuron(reset=Reset.VALUE), scale=np.array([0.3]), bits=2)
    assert parts(quantize(third))[2].threshold_q == (4,)


def test_coarse_weights_get_the_fractional_bits_that_a_leak_needs() -> None:
    weight = np.array([[1, -1, 1, 0]], np.int32)
    model = parts(quantize(layer(weight, FloatNeuron(Leak((4,))), scale=np.array([0.4]), bits=2)))[2]
    # 2^4 <= (1/64) * 2.5 * 2^f.
    assert model.frac_bits == 9


def test_a_channel_without_weights_takes_a_unit_of_its_own() -> None:
    weight = np.array([[5, 2, 1, 0], [0, 0, 0, 0]], np.int32)
    graph = layer(weight, FloatNeuron(threshold=(2.0,)), scale=np.array([0.25, 99.0]), bits=4)
    fc, _, model = parts(quantize(graph))
    assert fc.scale is not None
    assert fc.scale[1] == 2.0 / 256
    assert min(model.threshold_q) > 0


def test_direct_input_is_rounded_once_and_leaves_room_in_sixteen_bits() -> None:
    spec = InputSpec((4,), Coding.DIRECT, 8, bits=8, scale=1 / 255)
    rng = np.random.default_rng(1)
    graph = layer(rng.normal(0, 0.3, (6, 4)), FloatNeuron(Leak((4,))), spec=spec)
    fc, _, model = parts(quantize(graph))
    assert fc.shift < 0
    assert 2**10 <= max(model.threshold_q) <= 2**12
    assert model.width is StateWidth.INT16


def test_a_graded_payload_is_the_membrane_shifted() -> None:
    rng = np.random.default_rng(2)
    neuron = FloatNeuron(Leak((3,)), fire=Fire.GRADED, payload_bits=3, threshold=(0.7,))
    fc, unit, model = parts(quantize(layer(rng.normal(0, 0.4, (5, 4)), neuron)))
    shifts = np.broadcast_to(model.payload_shift, 5)
    assert unit.scale is not None
    np.testing.assert_allclose(unit.scale * 2.0**shifts, 0.7, rtol=1e-12)
    assert model.threshold_q == tuple(1 << s for s in model.payload_shift)
    assert np.abs(fc.weight).max() <= 127


def test_graded_training_scales_must_be_powers_of_two_below_the_threshold() -> None:
    neuron = FloatNeuron(fire=Fire.GRADED, payload_bits=3, threshold=(0.7,))
    weight = np.array([[3, -2, 1, 0]], np.int32)
    with pytest.raises(UnsupportedError, match="n: found a weight scale"):
        quantize(layer(weight, neuron, scale=np.array([0.1]), bits=4))
    assert quantize(layer(weight, neuron, scale=np.array([0.7 / 16]), bits=4))


def test_projections_that_meet_share_a_unit_up_to_powers_of_two() -> None:
    nodes = by_name(quantize(real("residual")))
    conv, skip, neuron = nodes["c2"], nodes["skip"], nodes["n2"]
    assert isinstance(conv, Conv)
    assert isinstance(skip, Scale)
    assert isinstance(neuron, Neuron)
    for synapse in (conv, skip):
        assert synapse.scale is not None
        assert neuron.scale is not None
        np.testing.assert_allclose(synapse.scale, neuron.scale * 2.0**synapse.shift, rtol=1e-12)
    assert skip.scale is not None
    np.testing.assert_allclose(skip.weight * skip.scale, 1.0, rtol=0.02)


def test_training_scales_that_are_no_power_of_two_apart_are_refused() -> None:
    whole_weight = np.array([[3, -2, 1, 0]], np.int32)
    first = Linear("fc", "in", whole_weight, scale=np.array([0.1]), bits=4)
    second = replace(first, name="fc2", scale=np.array([0.07]))
    nodes = (Input("in", EVENTS), first, second, Add("sum", ("fc", "fc2")), Neuron("n", "sum", FloatNeuron()))
    with pytest.raises(UnsupportedError, match=r"n: found scales a factor 0\.7 apart"):
        quantize(Graph(nodes, "n", Readout.COUNT))
    tied = (*nodes[:2], replace(second, scale=np.array([0.4])), *nodes[3:])
    found = by_name(quantize(Graph(tied, "n", Readout.COUNT)))
    assert found["fc2"].shift - found["fc"].shift == 2  # type: ignore[union-attr]


def test_a_membrane_readout_has_one_unit_for_all_channels() -> None:
    silent = FloatNeuron(Leak((3,)), fire=Fire.SILENT, reset=Reset.NONE)
    rng = np.random.default_rng(3)
    graph = layer(rng.normal(0, 1, (5, 4)), silent, readout=Readout.MEMBRANE_LAST)
    _, neuron, model = parts(quantize(graph))
    assert neuron.scale is not None
    assert len(set(neuron.scale.tolist())) == 1
    weight = np.array([[3, -2, 1, 0], [1, 1, -4, 2]], np.int32)
    kept = layer(weight, silent, readout=Readout.MEMBRANE_LAST, scale=np.array([0.1, 0.2]), bits=4)
    with pytest.raises(UnsupportedError, match=r"n: found scales from 0\.1 to 0\.2"):
        quantize(kept)
    assert model.reset is Reset.NONE


def test_a_late_subtracting_reset_takes_the_threshold_over_beta() -> None:
    weight = np.array([[1, 0, 0, 0]], np.int32)
    late = FloatNeuron(Leak((1,)), reset_timing=ResetTiming.NEXT_STEP)
    model = parts(quantize(layer(weight, late, scale=np.array([2.0**-6]), bits=4)))[2]
    assert model.reset_q[0] == 2 * model.threshold_q[0]


def test_late_resets_without_an_equal_are_refused() -> None:
    weight = np.ones((1, 4))
    graded = FloatNeuron(fire=Fire.GRADED, payload_bits=2, reset_timing=ResetTiming.NEXT_STEP)
    to_value = FloatNeuron(reset=Reset.VALUE, reset_value=(0.1,), reset_timing=ResetTiming.NEXT_STEP)
    two_states = FloatNeuron(reset=Reset.VALUE, reset_timing=ResetTiming.NEXT_STEP, synaptic_leak=Leak((2,)))
    for model in (graded, to_value, two_states):
        with pytest.raises(UnsupportedError, match=r"n: found a .* reset in the next step"):
            quantize(layer(weight, model))


def test_sums_that_could_leave_32_bits_are_refused_by_name() -> None:
    spec = InputSpec((300,), Coding.DIRECT, 4, bits=16)
    weight = np.full((1, 300), 127, np.int32)
    graph = layer(weight, FloatNeuron(threshold=(1e9,)), spec=spec, scale=np.array([1.0]), bits=8)
    with pytest.raises(UnsupportedError, match="fc: found sums that could reach"):
        quantize(graph)


@pytest.mark.parametrize("level", ["start", "bias", "threshold", "reset_value"])
def test_a_level_beyond_every_state_is_refused_by_name(level: str) -> None:
    model = FloatNeuron(reset=Reset.VALUE, **{level: (1e300,)})  # type: ignore[arg-type]
    graph = layer(np.array([[1, -1, 1, 0]], np.int32), model, scale=np.array([0.5]), bits=2)
    with pytest.raises(UnsupportedError, match=r"found a level of .*e\+300 membrane units"):
        quantize(graph)


def test_unfolded_graphs_and_odd_options_are_refused() -> None:
    with pytest.raises(ConfigError, match="found 5 weight bits"):
        QuantizeOptions(bits=5)
    with pytest.raises(ModelError, match="found an integer neuron"):
        quantize(whole("linear"))


def test_a_width_that_was_asked_for_is_kept() -> None:
    graph = quantize(real("linear"), QuantizeOptions(width=StateWidth.INT32))
    assert {n.model.width for n in neurons(graph) if isinstance(n.model, IntegerNeuron)} == {StateWidth.INT32}
    with pytest.raises(UnsupportedError, match="expected it within int8"):
        quantize(with_threshold(real("linear"), "hidden", 500), QuantizeOptions(width=StateWidth.INT8))


def test_observed_membranes_stay_off_the_clamp() -> None:
    weight = np.array([[0.5, 0.25, 0.1, 0.4]])
    graph = layer(weight, FloatNeuron(Leak(), reset=Reset.NONE, bias=(0.01,)))
    frames = np.ones((6, 1, 4), np.int32)
    observed = calibrate(graph, frames)
    assert observed["n"].largest == pytest.approx(run_float(graph, frames).membranes["n"].max())
    far = {"n": replace(observed["n"], highest=1e5)}
    near, wide = (quantize(graph, QuantizeOptions(bits=2, observed=o)) for o in ({}, far))
    assert parts(wide)[2].frac_bits < parts(near)[2].frac_bits
    assert (parts(near)[2].width, parts(wide)[2].width) == (StateWidth.INT16, StateWidth.INT32)
    closer = {"n": replace(observed["n"], highest=60.0)}
    _, neuron, model = parts(quantize(graph, QuantizeOptions(bits=2, observed=closer)))
    assert model.width is StateWidth.INT16
    assert neuron.scale is not None
    assert 60.0 / neuron.scale[0] <= model.v_max


def test_a_bias_that_a_synaptic_current_would_filter_is_refused() -> None:
    model = FloatNeuron(synaptic_leak=Leak((2,)))
    with pytest.raises(UnsupportedError, match="fc: found a bias that n would filter"):
        quantize(layer(np.ones((2, 4)), model, bias=np.ones(2)))
    assert quantize(layer(np.ones((2, 4)), replace(model, bias=(1.0,))))


def on_grid(graph: Graph, bits: int) -> Graph:
    """The graph with its weights already rounded, so that only the neurons' arithmetic can stray."""
    rounded = by_name(quantize(graph, QuantizeOptions(bits=bits)))
    nodes = []
    for node in graph.nodes:
        other = rounded[node.name]
        if isinstance(node, Linear | Conv | Scale) and isinstance(other, Linear | Conv | Scale):
            node = replace(node, weight=other.weight, scale=other.scale, bits=other.bits)  # noqa: PLW2901
        nodes.append(node)
    return replace(graph, nodes=tuple(nodes))


def test_a_max_pool_of_the_input_carries_the_unit_of_the_input() -> None:
    spec = InputSpec((1, 2, 4), Coding.DIRECT, 4, bits=4, scale=0.01)
    pool = Pool("pool", "in", PoolKind.MAX, (1, 2), (1, 2))
    conv = Conv("conv", "pool", np.full((1, 1, 2, 2), 5, np.int32), scale=np.array([0.5]), bits=8)
    graph = Graph((Input("in", spec), pool, conv, Neuron("n", "conv", FloatNeuron())), "n", Readout.COUNT)
    nodes = by_name(quantize(graph))
    found, neuron = nodes["conv"], nodes["n"]
    assert isinstance(found, Conv)
    assert isinstance(neuron, Neuron)
    assert found.scale == pytest.approx([0.5])
    assert neuron.scale == pytest.approx([0.5 * 0.01 * 2.0**-found.shift])


def test_synapses_on_different_channels_of_a_membrane_readout_share_one_unit() -> None:
    def synapse(name: str, weights: list[int], scale: float) -> Linear:
        weight = np.repeat(np.array(weights, np.int32)[:, None], 4, axis=1)
        return Linear(name, "in", weight, scale=np.full(2, scale), bits=8)

    model = FloatNeuron(fire=Fire.SILENT, reset=Reset.NONE)
    parts = (Input("in", EVENTS), synapse("a", [1, 0], 0.5), synapse("b", [0, 1], 4.0))
    graph = Graph((*parts, Add("sum", ("a", "b")), Neuron("n", "sum", model)), "n", Readout.MEMBRANE_SUM)
    found = by_name(quantize(graph))
    a, b, neuron = found["a"], found["b"], found["n"]
    assert isinstance(a, Linear)
    assert isinstance(b, Linear)
    assert isinstance(neuron, Neuron)
    assert b.shift - a.shift == 3
    assert neuron.scale == pytest.approx([0.5 * 2.0**-a.shift] * 2)


def test_a_channel_has_one_unit_whatever_thresholds_its_neurons_have() -> None:
    spec = InputSpec((1, 1, 2), Coding.EVENTS, 4)
    conv = Conv("conv", "in", np.full((1, 1, 1, 1), 1e-4))
    model = FloatNeuron(threshold=(1.0, 3.0))
    graph = Graph(
        (Input("in", spec), conv, Flatten("flat", "conv"), Neuron("n", "flat", model)), "n", Readout.COUNT
    )
    found = by_name(quantize(graph))
    whole, neuron = found["conv"], found["n"]
    assert isinstance(whole, Conv)
    assert isinstance(neuron, Neuron)
    assert whole.scale is not None
    assert neuron.scale == pytest.approx([whole.scale[0] * 2.0**-whole.shift] * 2)


def test_a_max_pool_of_added_spikes_is_refused_by_name() -> None:
    spec = InputSpec((1, 2, 4), Coding.EVENTS, 4)
    nodes = (
        Input("in", spec),
        Add("sum", ("in", "in")),
        Pool("pool", "sum", PoolKind.MAX, (1, 2), (1, 2)),
        Conv("conv", "pool", np.ones((1, 1, 2, 2))),
        Neuron("n", "conv", FloatNeuron()),
    )
    with pytest.raises(UnsupportedError, match="pool: found a max pool over Add 'sum'"):
        quantize(Graph(nodes, "n", Readout.COUNT))


def test_synapses_without_weights_do_not_come_between_the_units_of_others() -> None:
    def synapse(name: str, weight: int, scale: float) -> Linear:
        return Linear(name, "in", np.full((2, 4), weight, np.int32), scale=np.full(2, scale), bits=8)

    parts = (synapse("dead", 0, 0.3), synapse("a", 1, 0.5), synapse("b", 1, 4.0))
    total = Add("sum", ("dead", "a", "b"))
    nodes = (Input("in", EVENTS), *parts, total, Neuron("n", "sum", FloatNeuron()))
    found = by_name(quantize(Graph(nodes, "n", Readout.COUNT)))
    a, b = found["a"], found["b"]
    assert isinstance(a, Linear)
    assert isinstance(b, Linear)
    assert b.shift - a.shift == 3
    assert a.scale == pytest.approx([0.5, 0.5])
    assert b.scale == pytest.approx([4.0, 4.0])


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("bits", [8, 4, 2])
def test_integer_neurons_stray_little_from_the_reals(case: str, bits: int) -> None:
    graph = on_grid(real(case, seed=5), bits)
    found = drift(graph, quantize(graph), coded(graph, samples=64, seed=5))
    for line in found.layers:
        assert line.differing <= 0.05 * max(line.float_spikes, 100), line


@settings(max_examples=25, deadline=None)
@given(case=st.sampled_from(sorted(CASES)), seed=st.integers(0, 5))
def test_no_run_leaves_the_intervals_that_were_proved(case: str, seed: int) -> None:
    graph = whole(case, seed % 2, bits=8)
    trace = run(graph, coded(graph, steps=20, seed=seed))
    for neuron in neurons(graph):
        assert isinstance(neuron.model, IntegerNeuron)
        n = trace.membranes[neuron.name].shape[-1]
        bounds = reach(neuron.model, current_interval(graph, neuron, n)).stored
        assert (trace.membranes[neuron.name] >= bounds.low).all()
        assert (trace.membranes[neuron.name] <= bounds.high).all()
