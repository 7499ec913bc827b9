"""Spiking neurons as torch modules: IF, LIF, CUBA-LIF, and LI, the readout that never fires.

Inputs and outputs are (steps, batch, ...). The equations and their order are in
``docs/neuron-model.md``; leaks stay on the shift grid ``beta = 1 - 2^-k`` in training too.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from runtime.errors import ModelError
from runtime.spec import (
    MAX_SHIFT,
    Compare,
    Fire,
    FloatNeuron,
    IntegerNeuron,
    Leak,
    Reset,
    ResetTiming,
    SynapticOrder,
)
from trainer.held import held
from trainer.integer_neuron import IntegerPopulation, over, run_steps
from trainer.scan import FireRule, filter_loop, fire, fire_loop, reset
from trainer.surrogate import Surrogate

Observer = Callable[[Tensor, Tensor], None]
"""Called with the membranes before reset and the payloads, both (steps, batch, ...)."""


@dataclass(frozen=True)
class Firing:
    """When and what a neuron emits, and what that does to its membrane.

    ``threshold`` and ``reset_value`` hold one value, one per channel or one per neuron. A graded
    neuron's threshold is the size of one payload step.
    """

    threshold: tuple[float, ...] = (1.0,)
    fire: Fire = Fire.BINARY
    payload_bits: int = 1
    compare: Compare = Compare.GREATER_EQUAL
    reset: Reset = Reset.SUBTRACT
    reset_timing: ResetTiming = ResetTiming.SAME_STEP
    reset_value: tuple[float, ...] = (0.0,)
    detach_reset: bool = True
    """Keep the gradient out of the reset."""

    def __post_init__(self) -> None:
        for key in ("threshold", "reset_value"):
            check_finite(key, getattr(self, key))
        if self.fire is Fire.GRADED:
            self._check_graded()
        elif self.payload_bits != 1:
            raise ModelError(f"payload_bits: found {self.payload_bits}, expected 1 unless firing is graded")

    def _check_graded(self) -> None:
        if not 1 <= self.payload_bits <= 4:
            raise ModelError(f"payload_bits: found {self.payload_bits}, expected 1 to 4")
        if self.compare is not Compare.GREATER_EQUAL or self.reset_timing is not ResetTiming.SAME_STEP:
            raise ModelError("graded firing: found '>' or a next-step reset, expected '>=' and same step")
        if min(self.threshold) <= 0:
            raise ModelError(f"graded firing: found threshold {min(self.threshold)}, expected above 0")


def check_finite(key: str, values: tuple[float, ...]) -> None:
    """Refuse no value at all, infinities and NaN, which a TOML file can hold."""
    if not values or not all(math.isfinite(value) for value in values):
        raise ModelError(f"{key}: found {list(values)}, expected finite numbers, at least one")


SILENT = Firing(fire=Fire.SILENT, reset=Reset.NONE)


class State(NamedTuple):
    """Membrane and synaptic current (batch, ...) between two steps of a recurrent population."""

    v: Tensor
    i: Tensor


class _RoundedDecay(torch.autograd.Function):
    """``1 - 2^-round(k)``; the gradient passes the rounding straight through."""

    @staticmethod
    def forward(ctx: Any, k: Tensor) -> Tensor:
        left: Tensor = torch.exp2(-k.round().clamp(1, MAX_SHIFT))
        ctx.save_for_backward(left)
        return 1.0 - left

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (left,) = ctx.saved_tensors
        slope: Tensor = gradients[0] * left * math.log(2.0)
        return slope


class Decay(nn.Module):
    """A leak on the shift grid: fixed, or with one shift learned as a real ``k`` that is rounded."""

    k: Tensor | None

    def __init__(self, leak: Leak, learn: bool = False) -> None:
        super().__init__()
        if learn and len(leak.shifts) != 1:
            raise ModelError(f"learned leak: found shifts {leak.shifts}, expected exactly one")
        self._fixed = leak
        self.k = nn.Parameter(torch.tensor(float(leak.shifts[0]))) if learn else None

    @property
    def leak(self) -> Leak:
        """The leak in force now."""
        if self.k is None:
            return self._fixed
        k = float(self.k.detach())
        if not math.isfinite(k):
            raise ModelError(f"learned leak: found a shift of {k}, expected a finite one from a lower lr")
        return Leak((min(MAX_SHIFT, max(1, round(k))),))

    def beta(self) -> Tensor:
        """The factor left after a step; carries the gradient to ``k`` when it is learned."""
        if self.k is None:
            return torch.tensor(self._fixed.beta)
        out: Tensor = _RoundedDecay.apply(self.k)  # type: ignore[no-untyped-call]
        return out


class Neuron(nn.Module):
    """Base of all neurons: leak, firing, an optional learned bias per channel, optional synaptic current.

    ``observers`` are called after each float forward; ``integer`` is set by ``trainer.integer.attach``
    and then rules evaluation mode; ``recorders`` see its payloads and stored membranes.
    """

    bias: Tensor | None

    def __init__(
        self,
        decay: Decay,
        firing: Firing,
        surrogate: Surrogate,
        *,
        bias_channels: int = 0,
        v_leak: float = 0.0,
        start: float = 0.0,
    ) -> None:
        super().__init__()
        check_finite("v_leak", (v_leak,))
        check_finite("start", (start,))
        self.decay = decay
        self.firing = firing
        self.surrogate = surrogate
        self.bias = nn.Parameter(torch.zeros(bias_channels)) if bias_channels else None
        self.v_leak = v_leak
        self.start = start
        self.synapse: Decay | None = None
        self.synaptic_order = SynapticOrder.NEW
        self.integer: IntegerNeuron | None = None
        self.observers: list[Observer] = []
        self.recorders: list[Observer] = []
        if firing.reset_timing is ResetTiming.NEXT_STEP and decay.leak.beta == 0.0:
            raise ModelError("next-step reset: found a leak with beta 0, expected beta above 0")

    def float_neuron(self) -> FloatNeuron:
        """This population in the words of the contract, in real units."""
        firing = self.firing
        bias = (0.0,) if self.bias is None else tuple(float(b) for b in self.bias.detach())
        return FloatNeuron(
            leak=self.decay.leak,
            synaptic_leak=None if self.synapse is None else self.synapse.leak,
            synaptic_order=self.synaptic_order,
            fire=firing.fire,
            payload_bits=firing.payload_bits,
            compare=firing.compare,
            reset=firing.reset,
            reset_timing=firing.reset_timing,
            threshold=firing.threshold,
            reset_value=firing.reset_value,
            bias=bias,
            start=(self.start,),
            v_leak=(self.v_leak,),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Payloads (steps, batch, ...), or membranes of a silent neuron, from currents of that shape."""
        if self.integer is not None and not self.training:
            return self._run_integer(self.integer, x)
        once = held(x)
        n_steps = 0 if once is None else x.shape[0]
        x, beta = widened(x if once is None else once), self.decay.beta()
        if self.synapse is not None:
            x, n_steps = self._filtered(x, n_steps), 0
        x = self._with_bias(x, beta, axis=1 if n_steps else 2)
        start = torch.tensor(self.start, dtype=x.dtype)
        if self.firing.fire is Fire.SILENT:
            v = filter_loop(x, beta, start, n_steps)
            self._observe(v, torch.zeros_like(v) if self.observers else v)
            return v
        spikes, u = fire_loop(x, beta, start, self.rule(x.shape[1 if n_steps else 2 :]), n_steps)
        self._observe(u, spikes)
        return spikes

    def rule(self, shape: torch.Size) -> FireRule:
        """The firing rule over a population of ``shape``.

        A reset in the next step acts after the leak: it is the same-step reset of amount / beta, or to the
        value that the leak takes to the one asked for.
        """
        firing = self.firing
        late = firing.reset_timing is ResetTiming.NEXT_STEP
        beta = self.decay.leak.beta
        grow = 1.0 / beta if late else 1.0
        drawn = (1.0 - beta) * self.v_leak if late else 0.0
        threshold = over(firing.threshold, shape).float()
        return FireRule(
            threshold=threshold,
            amount=threshold * grow,
            value=(over(firing.reset_value, shape).float() - drawn) * grow,
            reset=firing.reset,
            compare=firing.compare,
            fire=firing.fire,
            payload_bits=firing.payload_bits,
            surrogate=self.surrogate,
            detach_reset=firing.detach_reset,
        )

    def first_state(self, x: Tensor) -> State:
        """State before the first step of a batch shaped like one step's current ``x`` (batch, ...)."""
        return State(torch.full_like(x, self.start), torch.zeros_like(x))

    def step(self, x: Tensor, state: State, rule: FireRule) -> tuple[Tensor, Tensor, State]:
        """Payloads, membranes before reset and the next state; one step by plain autograd."""
        beta = self.decay.beta()
        drive, i = x, state.i
        if self.synapse is not None:
            i = self.synapse.beta() * state.i + x
            drive = i if self.synaptic_order is SynapticOrder.NEW else state.i
        u = beta * state.v + self._with_bias(drive, beta, axis=1)
        if self.firing.fire is Fire.SILENT:
            return torch.zeros_like(u), u, State(u, i)
        s = fire(u, rule)
        return s, u, State(reset(u, s, rule), i)

    def _with_bias(self, x: Tensor, beta: Tensor, axis: int) -> Tensor:
        if self.v_leak != 0.0:
            x = x + (1.0 - beta) * self.v_leak
        if self.bias is not None:
            x = x + self.bias.reshape(-1, *[1] * (x.dim() - axis - 1))
        return x

    def _filtered(self, x: Tensor, n_steps: int) -> Tensor:
        """Synaptic currents (steps, batch, ...) that enter the membrane."""
        assert self.synapse is not None
        i = filter_loop(x, self.synapse.beta(), torch.zeros(()), n_steps)
        if self.synaptic_order is SynapticOrder.OLD:
            i = torch.cat([torch.zeros_like(i[:1]), i[:-1]])
        return i

    def _observe(self, u: Tensor, spikes: Tensor) -> None:
        for observer in self.observers:
            observer(u, spikes)

    def _run_integer(self, neuron: IntegerNeuron, x: Tensor) -> Tensor:
        payloads, membranes = run_steps(neuron, x, type(self).__name__)
        self.record(payloads, membranes)
        return membranes if neuron.fire is Fire.SILENT else payloads

    def record(self, payloads: Tensor, membranes: Tensor) -> None:
        """Show an integer run to the recorders."""
        for recorder in self.recorders:
            recorder(payloads, membranes)

    def population(self, x: Tensor) -> IntegerPopulation:
        """Integer state for a batch shaped like one step's current ``x`` (batch, ...)."""
        assert self.integer is not None
        return IntegerPopulation(self.integer, x.shape[0], x.shape[1:], x.device)

    def extra_repr(self) -> str:
        return f"shifts={self.decay.leak.shifts}, {self.firing.fire.value}, {self.surrogate.shape.value}"


class LIF(Neuron):
    """Leaky integrate and fire: ``v = beta v + I + bias``."""

    def __init__(
        self,
        leak: Leak | int = 2,
        firing: Firing | float = 1.0,
        *,
        surrogate: Surrogate | None = None,
        learn_leak: bool = False,
        bias_channels: int = 0,
        v_leak: float = 0.0,
        start: float = 0.0,
    ) -> None:
        """``leak`` may be a single shift, ``firing`` a threshold."""
        super().__init__(
            Decay(as_leak(leak), learn_leak),
            as_firing(firing),
            surrogate or Surrogate(),
            bias_channels=bias_channels,
            v_leak=v_leak,
            start=start,
        )


class IF(Neuron):
    """Integrate and fire: no leak."""

    def __init__(
        self,
        firing: Firing | float = 1.0,
        *,
        surrogate: Surrogate | None = None,
        bias_channels: int = 0,
        start: float = 0.0,
    ) -> None:
        decay, rule = Decay(Leak()), as_firing(firing)
        super().__init__(decay, rule, surrogate or Surrogate(), bias_channels=bias_channels, start=start)


class CubaLIF(Neuron):
    """Current-based LIF: ``i = beta_syn i + I``, then ``v = beta v + i + bias`` (the new i, or the old)."""

    def __init__(
        self,
        leak: Leak | int = 2,
        firing: Firing | float = 1.0,
        *,
        synaptic_leak: Leak | int = 1,
        synaptic_order: SynapticOrder = SynapticOrder.NEW,
        surrogate: Surrogate | None = None,
        learn_leak: bool = False,
        bias_channels: int = 0,
    ) -> None:
        """``learn_leak`` learns both leaks."""
        decay, rule = Decay(as_leak(leak), learn_leak), as_firing(firing)
        super().__init__(decay, rule, surrogate or Surrogate(), bias_channels=bias_channels)
        self.synapse = Decay(as_leak(synaptic_leak), learn_leak)
        self.synaptic_order = synaptic_order


class LI(Neuron):
    """Leaky integrator that never fires: the readout whose membranes are the output."""

    def __init__(
        self, leak: Leak | int = 2, *, learn_leak: bool = False, bias_channels: int = 0, start: float = 0.0
    ) -> None:
        decay = Decay(as_leak(leak), learn_leak)
        super().__init__(decay, SILENT, Surrogate(), bias_channels=bias_channels, start=start)


def widened(x: Tensor) -> Tensor:
    """Currents of mixed-precision layers in float32: membranes sum over time."""
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x


def as_leak(leak: Leak | int) -> Leak:
    return Leak((leak,)) if isinstance(leak, int) else leak


def as_firing(firing: Firing | float) -> Firing:
    return firing if isinstance(firing, Firing) else replace(Firing(), threshold=(float(firing),))


__all__ = ["IF", "LI", "LIF", "CubaLIF", "Decay", "Firing", "Neuron", "Observer", "State"]
