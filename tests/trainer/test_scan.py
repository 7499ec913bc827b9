"""The hand-written loops over time against the same loops unrolled under plain autograd."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from runtime.spec import Compare, Fire, Leak, Reset, ResetTiming, SynapticOrder
from trainer.held import held, hold
from trainer.neuron import IF, LI, LIF, CubaLIF, Firing, Neuron
from trainer.surrogate import Surrogate, SurrogateShape

CHOICES = {
    "subtract": Firing(),
    "greater": Firing(compare=Compare.GREATER),
    "value": Firing(reset=Reset.VALUE, reset_value=(0.25,)),
    "none": Firing(reset=Reset.NONE),
    "next-step": Firing(reset_timing=ResetTiming.NEXT_STEP),
    "next-step-value": Firing(reset=Reset.VALUE, reset_timing=ResetTiming.NEXT_STEP),
    "attached": Firing(detach_reset=False),
    "attached-value": Firing(reset=Reset.VALUE, reset_value=(0.1,), detach_reset=False),
    "per-channel": Firing(threshold=(0.5, 1.0, 1.5)),
    "graded": Firing(threshold=(0.5,), fire=Fire.GRADED, payload_bits=3),
    "graded-attached": Firing(threshold=(0.5,), fire=Fire.GRADED, payload_bits=2, detach_reset=False),
}


def unrolled(neuron: Neuron, x: Tensor) -> Tensor:
    """The neuron's steps one after the other."""
    rule, state, out = neuron.rule(x.shape[2:]), neuron.first_state(x[0]), []
    rule = rule.like(x)
    for current in x:
        s, u, state = neuron.step(current, state, rule)
        out.append(u if neuron.firing.fire is Fire.SILENT else s)
    return torch.stack(out)


def gradients(neuron: Neuron, out: Tensor, x: Tensor) -> list[Tensor]:
    weight = torch.linspace(-1, 2, out.numel(), dtype=out.dtype).reshape(out.shape)
    wanted = [x, *neuron.parameters()]
    return list(torch.autograd.grad((out * weight).sum(), wanted))


def currents(seed: int = 0) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    x = torch.rand((7, 4, 3), generator=draw, dtype=torch.float64) * 2.2 - 0.5
    return x.requires_grad_()


def assert_same(neuron: Neuron, x: Tensor) -> None:
    neuron.double()
    loop, plain = neuron(x), unrolled(neuron, x)
    # membranes in float64 may differ by a fused multiply-add; spikes may not
    torch.testing.assert_close(loop, plain, rtol=1e-12, atol=1e-12)
    for one, other in zip(gradients(neuron, loop, x), gradients(neuron, plain, x), strict=True):
        # float64 sums in another order
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("learn", [False, True])
def test_the_loop_equals_plain_autograd(choice: str, learn: bool) -> None:
    neuron = LIF(2, CHOICES[choice], learn_leak=learn, bias_channels=3, start=0.3)
    assert_same(neuron, currents())


@pytest.mark.parametrize("shape", list(SurrogateShape))
def test_every_surrogate_gives_the_same_gradient_in_both_forms(shape: SurrogateShape) -> None:
    assert_same(LIF(1, surrogate=Surrogate(shape, 0.7)), currents())


@pytest.mark.parametrize("order", list(SynapticOrder))
def test_a_cuba_neuron_equals_its_unrolled_form(order: SynapticOrder) -> None:
    neuron = CubaLIF(2, synaptic_leak=3, synaptic_order=order, learn_leak=True, bias_channels=3)
    assert_same(neuron, currents())


def test_integrators_without_leak_or_without_spikes_equal_their_unrolled_forms() -> None:
    assert_same(IF(), currents())
    assert_same(LI(2, learn_leak=True, bias_channels=3, start=0.5), currents())
    assert_same(LIF(Leak((1, 3)), v_leak=0.4), currents())


@pytest.mark.parametrize("neuron", [LIF(2), LI(2), CubaLIF(2), LIF(2, bias_channels=3)], ids=str)
def test_a_held_current_gives_the_gradient_of_the_repeated_one(neuron: Neuron) -> None:
    neuron = neuron.double()
    base = torch.tensor([[0.4, 0.9, 1.3]], dtype=torch.float64, requires_grad=True)
    held_out = neuron(hold(base, 6))
    repeated = neuron(base.repeat(6, 1, 1))
    assert torch.equal(held_out, repeated)
    weight = torch.arange(held_out.numel(), dtype=torch.float64).reshape(held_out.shape)
    one = torch.autograd.grad((held_out * weight).sum(), base)[0]
    other = torch.autograd.grad((repeated * weight).sum(), base)[0]
    torch.testing.assert_close(one, other)


def test_a_next_step_reset_subtracts_after_the_leak() -> None:
    neuron = LIF(1, Firing(reset_timing=ResetTiming.NEXT_STEP))
    membranes: list[Tensor] = []
    neuron.observers.append(lambda u, s: membranes.append(u))
    neuron(torch.tensor([1.2, 0.0, 0.0]).reshape(3, 1, 1))
    # 1.2 fires; the next step leaks the whole 1.2 and then subtracts 1: 0.6 - 1, then halves.
    torch.testing.assert_close(membranes[0].flatten(), torch.tensor([1.2, -0.4, -0.2]))


def test_held_knows_its_base_and_only_stride_zero() -> None:
    x = torch.ones(3, 4)
    assert held(hold(x, 5)) is x
    assert held(x.repeat(5, 1, 1)) is None


@pytest.mark.parametrize("shape", list(SurrogateShape))
def test_a_surrogate_integrates_to_one(shape: SurrogateShape) -> None:
    grid = torch.linspace(-2000, 2000, 4_000_001, dtype=torch.float64)
    area = torch.trapezoid(Surrogate(shape, 0.5).gradient(grid), grid)
    # the tails beyond 2000 of arctan and fast sigmoid hold less than 1e-3
    assert abs(float(area) - 1.0) < 1e-3


def test_a_surrogate_refuses_a_width_of_zero() -> None:
    with pytest.raises(ValueError, match="width"):
        replace(Surrogate(), width=0.0)
