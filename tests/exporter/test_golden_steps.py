"""Traces written by hand from docs/neuron-model.md, checked against the reference."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from exporter.graph import Add, Graph, Input, Linear, Neuron
from exporter.reference import run
from exporter.reference_ops import shifted
from runtime.spec import (
    Coding,
    Fire,
    InputSpec,
    IntegerNeuron,
    Leak,
    Readout,
    Reset,
    StateWidth,
    SynapticOrder,
)

PLAIN = IntegerNeuron(
    leak=Leak(),
    fire=Fire.BINARY,
    reset=Reset.SUBTRACT,
    width=StateWidth.INT16,
    v_min=-100,
    v_max=100,
    frac_bits=0,
    threshold_q=(10,),
    reset_q=(10,),
    bias_q=(0,),
    start_q=(0,),
)


def one_neuron(model: IntegerNeuron, *, weight: int = 1, shift: int = 0) -> Graph:
    """A single neuron that hears a signed direct input through one weight."""
    spec = InputSpec((1,), Coding.DIRECT, 4, bits=12, signed=True)
    synapse = Linear("w", "in", np.array([[weight]], np.int32), scale=np.ones(1), bits=8, shift=shift)
    readout = Readout.MEMBRANE_LAST if model.fire is Fire.SILENT else Readout.COUNT
    return Graph((Input("in", spec), synapse, Neuron("n", "w", model)), "n", readout)


def trace(model: IntegerNeuron, currents: list[int], **options: int) -> tuple[list[int], list[int]]:
    """Payloads and stored membranes of one neuron given the input of each step."""
    frames = np.array(currents, np.int32).reshape(-1, 1, 1)
    found = run(one_neuron(model, **options), frames)
    return found.spikes["n"].ravel().tolist(), found.membranes["n"].ravel().tolist()


def test_reset_by_subtraction_keeps_the_residue() -> None:
    # 7; 7+7=14 fires, 4 left; 4+7=11 fires, 1 left; 1+7=8.
    assert trace(PLAIN, [7, 7, 7, 7]) == ([0, 1, 1, 0], [7, 4, 1, 8])


def test_reset_to_a_value_forgets_the_residue() -> None:
    model = replace(PLAIN, reset=Reset.VALUE, reset_q=(-2,))
    # 7; 14 fires, -2; -2+7=5; 12 fires, -2.
    assert trace(model, [7, 7, 7, 7]) == ([0, 1, 0, 1], [7, -2, 5, -2])


def test_no_reset_keeps_firing() -> None:
    assert trace(replace(PLAIN, reset=Reset.NONE), [12, 0, -3]) == ([1, 1, 0], [12, 12, 9])


def test_a_membrane_exactly_at_the_threshold_fires() -> None:
    assert trace(PLAIN, [10, 9]) == ([1, 0], [0, 9])


def test_the_leak_rounds_negative_membranes_down() -> None:
    model = replace(PLAIN, leak=Leak((2,)), threshold_q=(99,))
    # -5 >> 2 = -2: -5+2=-3; -3 >> 2 = -1: -2; -2 >> 2 = -1: -1; -1 >> 2 = -1: 0.
    assert trace(model, [-5, 0, 0, 0, 0])[1] == [-5, -3, -2, -1, 0]


def test_the_leak_leaves_small_positive_membranes_alone() -> None:
    model = replace(PLAIN, leak=Leak((2,)), threshold_q=(99,))
    # 5 >> 2 = 1: 4; 4 >> 2 = 1: 3; 3 >> 2 = 0: 3.
    assert trace(model, [5, 0, 0, 0])[1] == [5, 4, 3, 3]


def test_two_shifts_both_read_the_old_membrane() -> None:
    model = replace(PLAIN, leak=Leak((1, 2)), threshold_q=(99,))
    # 23 - 11 - 5 = 7; 7 - 3 - 1 = 3; 3 - 1 - 0 = 2.
    assert trace(model, [23, 0, 0, 0])[1] == [23, 7, 3, 2]


def test_the_leak_comes_before_the_current() -> None:
    model = replace(PLAIN, leak=Leak((1,)), threshold_q=(99,))
    # 8; 8-4+8 = 12 (after the current it would be 8).
    assert trace(model, [8, 8])[1] == [8, 12]


def test_bias_enters_every_step_and_the_start_value_once() -> None:
    model = replace(PLAIN, bias_q=(3,), start_q=(-4,))
    # -4+3 = -1; 2; 5; 8; 11 fires, 1.
    assert trace(model, [0] * 5) == ([0, 0, 0, 0, 1], [-1, 2, 5, 8, 1])


def test_the_clamp_comes_after_the_reset() -> None:
    model = replace(PLAIN, v_min=-6, v_max=12)
    # 30 fires, 20 left, clamped to 12; 12+0 fires, 2; 2-50 = -48 clamped to -6.
    assert trace(model, [30, 0, -50]) == ([1, 1, 0], [12, 2, -6])


def test_a_negative_threshold_fires_in_silence() -> None:
    model = replace(PLAIN, threshold_q=(-1,), reset_q=(-1,))
    # 0 >= -1 fires and goes up to 1, and so on.
    assert trace(model, [0, 0, 0]) == ([1, 1, 1], [1, 2, 3])


def test_a_graded_neuron_sends_its_size_and_subtracts_what_it_sent() -> None:
    model = replace(PLAIN, fire=Fire.GRADED, payload_bits=2, threshold_q=(4,), payload_shift=(2,))
    # 3 stays; 3+6=9: 2 sent, 1 left; 1+20=21: 5 capped to 3, 21-12=9 left; 9: 2 sent, 1 left.
    assert trace(model, [3, 6, 20, 0]) == ([0, 2, 3, 2], [3, 1, 9, 1])


def test_a_graded_neuron_can_reset_to_a_value() -> None:
    model = replace(
        PLAIN,
        fire=Fire.GRADED,
        payload_bits=2,
        threshold_q=(4,),
        payload_shift=(2,),
        reset=Reset.VALUE,
        reset_q=(0,),
    )
    assert trace(model, [9, 3, 3]) == ([2, 0, 1], [0, 3, 0])


def test_a_silent_neuron_only_integrates() -> None:
    model = replace(PLAIN, fire=Fire.SILENT, reset=Reset.NONE)
    assert trace(model, [50, 20, -10]) == ([0, 0, 0], [50, 70, 60])


def test_the_new_synaptic_current_drives_at_once() -> None:
    model = replace(PLAIN, synaptic_leak=Leak((1,)), threshold_q=(99,))
    # i: 8, 4, 2, 1, 1 (1 >> 1 = 0); v: 8, 12, 14, 15, 16.
    assert trace(model, [8, 0, 0, 0, 0])[1] == [8, 12, 14, 15, 16]


def test_the_old_synaptic_current_drives_one_step_later() -> None:
    model = replace(PLAIN, synaptic_leak=Leak((1,)), threshold_q=(99,), synaptic_order=SynapticOrder.OLD)
    assert trace(model, [8, 0, 0, 0])[1] == [0, 8, 12, 14]


def test_the_stored_synaptic_current_is_clamped_but_drives_unclamped() -> None:
    model = replace(PLAIN, synaptic_leak=Leak((1,)), v_max=20, threshold_q=(99,))
    # i = 30 drives v to 30, clamped to 20; stored i = 20; next i = 10: v = 30, clamped.
    # Without the clamp of i the third step would see 7 instead of 5: -10+5.
    found = trace(model, [30, 0, -35])
    assert found[1] == [20, 20, 20 + (5 - 35)]


@pytest.mark.parametrize(
    ("acc", "shift", "expected"),
    [(5, -1, 3), (-5, -1, -2), (6, -2, 2), (-6, -2, -1), (-7, -2, -2), (7, -3, 1), (3, -3, 0), (-4, -3, 0)],
)
def test_the_rounding_shift_rounds_halves_up(acc: int, shift: int, expected: int) -> None:
    assert int(shifted(np.array(acc), shift)) == expected


def test_a_shift_scales_the_current_of_a_projection() -> None:
    assert trace(PLAIN, [1, 0], weight=3, shift=1)[1] == [6, 6]
    assert trace(PLAIN, [1, 1], weight=3, shift=-1)[1] == [2, 4]


def test_a_delay_of_two_steps_brings_spikes_back_two_steps_later() -> None:
    spec = InputSpec((1,), Coding.EVENTS, 6)
    weight = np.array([[12]], np.int32)
    graph = Graph(
        (
            Input("in", spec),
            Linear("w", "in", weight, scale=np.ones(1), bits=8),
            Linear("own", "n", np.array([[4]], np.int32), scale=np.ones(1), bits=8, delay=2),
            Add("sum", ("w", "own")),
            Neuron("n", "sum", PLAIN),
        ),
        "n",
        Readout.COUNT,
    )
    frames = np.array([1, 0, 0, 0, 0, 0], np.int32).reshape(-1, 1, 1)
    found = run(graph, frames)
    # Step 0: 12 fires, 2 left; step 2: 2+4 = 6; no further spikes.
    assert found.spikes["n"].ravel().tolist() == [1, 0, 0, 0, 0, 0]
    assert found.membranes["n"].ravel().tolist() == [2, 2, 6, 6, 6, 6]


@pytest.mark.parametrize(
    ("readout", "expected"),
    [
        (Readout.MEMBRANE_LAST, [5, 5]),
        (Readout.MEMBRANE_MAX, [9, 6]),
        (Readout.MEMBRANE_SUM, [18, 17]),
    ],
)
def test_membrane_readouts_read_stored_membranes_and_ties_go_to_the_lowest_index(
    readout: Readout, expected: list[int]
) -> None:
    spec = InputSpec((2,), Coding.DIRECT, 3, bits=8, signed=True)
    model = replace(PLAIN, fire=Fire.SILENT, reset=Reset.NONE)
    synapse = Linear("w", "in", np.eye(2, dtype=np.int32), scale=np.ones(2), bits=8)
    graph = Graph((Input("in", spec), synapse, Neuron("n", "w", model)), "n", readout)
    # Membranes 4, 9, 5 and 6, 6, 5.
    found = run(graph, np.array([[[4, 6]], [[5, 0]], [[-4, -1]]], np.int32))
    assert found.scores[0].tolist() == expected
    assert found.predictions[0] == 0
