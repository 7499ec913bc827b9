"""Neurons in whole numbers against traces worked out by hand, and what constructors refuse."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from runtime.errors import ModelError
from runtime.spec import (
    Compare,
    Fire,
    IntegerNeuron,
    Leak,
    Reset,
    ResetTiming,
    StateWidth,
    SynapticOrder,
)
from trainer.integer_neuron import run_steps
from trainer.layers import Linear
from trainer.neuron import LI, LIF, Firing
from trainer.recurrent import Recurrent


def integer(**changes: object) -> IntegerNeuron:
    values: dict[str, object] = {
        "leak": Leak((1,)),
        "fire": Fire.BINARY,
        "reset": Reset.SUBTRACT,
        "width": StateWidth.INT16,
        "v_min": -100,
        "v_max": 100,
        "frac_bits": 0,
        "threshold_q": (10,),
        "reset_q": (10,),
        "bias_q": (0,),
        "start_q": (0,),
    }
    return IntegerNeuron(**(values | changes))  # type: ignore[arg-type]


def trace(neuron: IntegerNeuron, currents: list[int]) -> tuple[list[int], list[int]]:
    x = torch.tensor(currents, dtype=torch.float64).reshape(-1, 1, 1)
    payloads, membranes = run_steps(neuron, x, "n")
    return [int(s) for s in payloads.flatten()], [int(v) for v in membranes.flatten()]


def test_the_leak_floors_toward_minus_infinity() -> None:
    # -7 >> 1 is -4: -7 + 4 = -3; -3 >> 1 is -2: -1; -1 >> 1 is -1: 0
    assert trace(integer(), [-7, 0, 0, 0]) == ([0, 0, 0, 0], [-7, -3, -1, 0])


def test_two_shifts_are_both_of_the_old_membrane() -> None:
    # 9: 9 - 4 - 2 = 3
    assert trace(integer(leak=Leak((1, 2))), [9, 0])[1] == [9, 3]


def test_reset_by_subtraction_keeps_the_residue_and_a_tie_fires() -> None:
    assert trace(integer(leak=Leak()), [10, 13, 6, 1]) == ([1, 1, 0, 1], [0, 3, 9, 0])


def test_reset_to_value_forgets_the_residue() -> None:
    neuron = integer(leak=Leak(), reset=Reset.VALUE, reset_q=(-2,))
    assert trace(neuron, [17, 11, 12]) == ([1, 0, 1], [-2, 9, -2])


def test_the_stored_membrane_is_clamped_after_the_reset() -> None:
    neuron = integer(leak=Leak(), v_min=-5, v_max=20)
    assert trace(neuron, [40, -80]) == ([1, 0], [20, -5])


def test_a_graded_neuron_emits_its_membrane_in_steps_and_saturates() -> None:
    neuron = integer(leak=Leak(), fire=Fire.GRADED, payload_bits=2, payload_shift=(2,), threshold_q=(4,))
    # 11 >> 2 = 2, rest 3; 3 + 20 = 23 >> 2 = 5 -> 3, rest 11; 11 - 30 never fires
    assert trace(neuron, [11, 20, -30]) == ([2, 3, 0], [3, 11, -19])


def test_a_silent_neuron_only_integrates() -> None:
    neuron = integer(fire=Fire.SILENT, reset=Reset.NONE, bias_q=(1,), start_q=(4,))
    assert trace(neuron, [50, 0]) == ([0, 0], [53, 28])


# i: 8, 4, 2. New: 8, 4 + 4 = 8, 4 + 2 = 6. Old: 0, 8, 4 + 4 = 8.
@pytest.mark.parametrize(
    ("order", "membranes"), [(SynapticOrder.NEW, [8, 8, 6]), (SynapticOrder.OLD, [0, 8, 8])]
)
def test_a_cuba_neuron_integrates_the_new_or_the_old_synaptic_current(
    order: SynapticOrder, membranes: list[int]
) -> None:
    neuron = integer(synaptic_leak=Leak((1,)), synaptic_order=order, threshold_q=(9,))
    assert trace(neuron, [8, 0, 0])[1] == membranes


def test_parameters_may_differ_by_channel_or_by_neuron() -> None:
    x = torch.full((1, 1, 2, 2), 10.0, dtype=torch.float64)
    by_channel = run_steps(integer(threshold_q=(10, 11)), x, "n")[0]
    by_neuron = run_steps(integer(threshold_q=(10, 11, 11, 10)), x, "n")[0]
    assert by_channel.flatten().tolist() == [1, 1, 0, 0]
    assert by_neuron.flatten().tolist() == [1, 0, 0, 1]


def test_a_fraction_is_refused() -> None:
    with pytest.raises(ModelError, match="whole"):
        run_steps(integer(), torch.full((1, 1, 1), 0.5, dtype=torch.float64), "n")


@pytest.mark.parametrize(
    "make",
    [
        lambda: Firing(payload_bits=2),
        lambda: Firing(fire=Fire.GRADED, payload_bits=5),
        lambda: Firing(fire=Fire.GRADED, payload_bits=2, compare=Compare.GREATER),
        lambda: LIF(Leak((1, 2)), learn_leak=True),
        lambda: LIF(Leak((1, 1)), Firing(reset_timing=ResetTiming.NEXT_STEP)),
        lambda: Recurrent(Linear(3, 4), LIF(2)),
        lambda: LIF(2, Firing((float("nan"),))),
        lambda: LIF(2, Firing(())),
        lambda: LIF(2, Firing(reset_value=(float("inf"),))),
        lambda: LIF(2, v_leak=float("nan")),
        lambda: LI(2, start=float("inf")),
        lambda: Recurrent(Linear(4, 4), LIF(2), delay=0),
        lambda: Recurrent(Linear(4, 4), LI(2)),
    ],
)
def test_what_the_contract_cannot_express_is_refused(make: object) -> None:
    with pytest.raises(ModelError, match=r"found .* expected"):
        make()  # type: ignore[operator]


def test_a_learned_leak_stays_on_the_shift_grid() -> None:
    neuron = LIF(2, learn_leak=True)
    with torch.no_grad():
        neuron.decay.k.fill_(2.6)  # type: ignore[union-attr]
    assert neuron.float_neuron().leak == Leak((3,))
    assert float(neuron.decay.beta().detach()) == 1 - 2.0**-3


def test_observers_see_membranes_before_reset_and_spikes() -> None:
    neuron, seen = LIF(2), list[tuple[Tensor, Tensor]]()
    neuron.observers.append(lambda u, s: seen.append((u, s)))
    spikes = neuron(torch.full((3, 2, 1), 1.5))
    assert torch.equal(seen[0][1], spikes)
    assert torch.equal(seen[0][0] >= 1, spikes > 0)


def test_a_reset_in_the_next_step_lands_on_its_value_whatever_the_leak_pulls_to() -> None:
    firing = Firing(reset=Reset.VALUE, reset_timing=ResetTiming.NEXT_STEP, reset_value=(0.5,))
    neuron, seen = LIF(1, firing, v_leak=0.5), list[Tensor]()
    neuron.observers.append(lambda u, _: seen.append(u))
    neuron(torch.tensor([2.0, 0.0, 0.0]).reshape(3, 1, 1))
    assert seen[0].flatten().tolist() == [2.25, 0.5, 0.5]
