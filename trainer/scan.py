"""The loops over time of a feed-forward neuron, each one autograd function with its backward by hand.

Plain autograd would record several nodes and tensors a step; these keep one tensor of membranes and the
spikes, and run in place. ``tests/trainer/test_scan.py`` compares them with the unrolled loop.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from runtime.spec import Compare, Fire, Reset
from trainer.surrogate import Surrogate


@dataclass(frozen=True)
class FireRule:
    """What the loop needs to know besides tensors.

    ``threshold``, ``amount`` (what a spike subtracts) and ``value`` (what it sets) broadcast over one
    step's membrane. ``detach_reset`` keeps the gradient out of the reset, as is usual.
    """

    threshold: Tensor
    amount: Tensor
    value: Tensor
    reset: Reset = Reset.SUBTRACT
    compare: Compare = Compare.GREATER_EQUAL
    fire: Fire = Fire.BINARY
    payload_bits: int = 1
    surrogate: Surrogate = field(default_factory=Surrogate)
    detach_reset: bool = True

    @property
    def highest(self) -> int:
        """Largest payload."""
        return (1 << self.payload_bits) - 1

    def emit(self, u: Tensor, out: Tensor) -> Tensor:
        """Payloads of membranes ``u``, written into ``out``."""
        if self.fire is Fire.GRADED:
            torch.div(u, self.threshold, out=out)
            return out.floor_().clamp_(0, self.highest)
        compare = torch.ge if self.compare is Compare.GREATER_EQUAL else torch.gt
        # Through a bool: comparing straight into floats took 96 us a step of 128 x 800, this takes 25.
        return out.copy_(compare(u, self.threshold))

    def after(self, u: Tensor, s: Tensor, out: Tensor) -> Tensor:
        """Membranes left by the reset, written into ``out`` (which may be ``u``)."""
        if self.reset is Reset.SUBTRACT:
            return torch.addcmul(u, s, self.amount, value=-1, out=out)
        if self.reset is Reset.VALUE:
            return torch.where(s != 0, self.value, u, out=out)
        return out if out is u else out.copy_(u)

    def slope(self, u: Tensor) -> Tensor:
        """Stand-in derivative of the payload by ``u``.

        A graded neuron's staircase has the mean slope 1/threshold between its first and last step, and
        the surrogate's tails outside.
        """
        distance = u - self.threshold
        if self.fire is not Fire.GRADED:
            return self.surrogate.gradient_(distance)
        above = u - self.threshold * self.highest
        outside = torch.maximum(-distance, above).clamp_(min=0)
        return self.surrogate.gradient_(outside).div_(self.threshold * self.surrogate.peak)

    def reset_slope(self, u: Tensor, s: Tensor, slope: Tensor) -> Tensor | None:
        """Derivative of the membrane after the reset by the one before; None means 1."""
        if self.reset is Reset.SUBTRACT:
            return None if self.detach_reset else 1 - self.amount * slope
        if self.reset is Reset.VALUE:
            kept = (s == 0).to(u.dtype)
            return kept if self.detach_reset else kept + (self.value - u) * slope
        return None

    def like(self, x: Tensor) -> FireRule:
        """The same rule in x's number type and on its device."""
        if self.threshold.dtype == x.dtype and self.threshold.device == x.device:
            return self
        parts = {name: getattr(self, name).to(x) for name in ("threshold", "amount", "value")}
        return replace(self, **parts)


class _Fire(torch.autograd.Function):
    """One step: payloads of a membrane."""

    @staticmethod
    def forward(ctx: Any, u: Tensor, rule: FireRule) -> Tensor:
        ctx.rule = rule
        ctx.save_for_backward(u)
        return rule.emit(u, torch.empty_like(u))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (u,) = ctx.saved_tensors
        return gradients[0] * ctx.rule.slope(u), None


def fire(u: Tensor, rule: FireRule) -> Tensor:
    """Payloads of one step's membranes ``u`` (batch, ...), differentiable by the surrogate."""
    out: Tensor = _Fire.apply(u, rule)  # type: ignore[no-untyped-call]
    return out


def reset(u: Tensor, s: Tensor, rule: FireRule) -> Tensor:
    """Membranes after the reset, by plain autograd."""
    s = s.detach() if rule.detach_reset else s
    if rule.reset is Reset.SUBTRACT:
        return u - s * rule.amount
    if rule.reset is Reset.VALUE:
        fired = (s != 0).to(u.dtype)
        hit = fired if rule.detach_reset else fired + (s - s.detach())
        return u * (1 - hit) + rule.value * hit
    return u


class _FireLoop(torch.autograd.Function):
    """All steps of ``u = beta v + x; s = fire(u); v = reset(u, s)``."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, beta: Tensor, start: Tensor, rule: FireRule, n_steps: int) -> Any:
        """``x`` (steps, batch, ...), or (batch, ...) held for ``n_steps > 0``."""
        steps = [x] * n_steps if n_steps else list(x)
        decay = float(beta)
        u = x.new_empty((len(steps), *steps[0].shape))
        s = torch.empty_like(u)
        v = start.to(x.dtype).expand_as(steps[0]).clone()
        for t, current in enumerate(steps):
            torch.add(current, v, alpha=decay, out=u[t])
            rule.emit(u[t], s[t])
            rule.after(u[t], s[t], v)
        ctx.rule, ctx.decay, ctx.held = rule, decay, n_steps > 0
        ctx.save_for_backward(u, s, start)
        ctx.mark_non_differentiable(u)
        ctx.set_materialize_grads(False)
        return s, u

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        u, s, start = ctx.saved_tensors
        if gradients[0] is None:
            return (None,) * 5
        sums = torch.zeros_like(u[0]) if ctx.held else torch.empty_like(u)
        by_beta = u.new_zeros(()) if ctx.needs_input_grad[1] else None
        carry: Tensor | None = None
        for t in range(u.shape[0] - 1, -1, -1):
            carry = _fire_back(ctx, gradients[0][t], (u[t], s[t]), carry)
            if ctx.held:
                sums += carry
            else:
                sums[t] = carry
            if by_beta is not None:
                before = ctx.rule.after(u[t - 1], s[t - 1], torch.empty_like(u[t])) if t else start
                by_beta += (carry * before).sum()
        return sums, by_beta, None, None, None


def _fire_back(ctx: Any, by_spike: Tensor, step: tuple[Tensor, Tensor], later: Tensor | None) -> Tensor:
    """Gradient by one step's membrane before reset, from its spikes and from the next step's membrane."""
    u, s = step
    slope = ctx.rule.slope(u)
    through = None if later is None else ctx.rule.reset_slope(u, s, slope)
    gradient: Tensor = slope.mul_(by_spike)
    if later is not None:
        if through is None:
            gradient.add_(later, alpha=ctx.decay)
        else:
            gradient.addcmul_(through, later, value=ctx.decay)
    return gradient


class _Filter(torch.autograd.Function):
    """All steps of ``v = beta v + x``: a synaptic current, or a readout that never fires."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, beta: Tensor, start: Tensor, n_steps: int) -> Tensor:
        steps = [x] * n_steps if n_steps else list(x)
        decay = float(beta)
        v = x.new_empty((len(steps), *steps[0].shape))
        before = start.to(x.dtype).expand_as(steps[0])
        for t, current in enumerate(steps):
            torch.add(current, before, alpha=decay, out=v[t])
            before = v[t]
        ctx.decay, ctx.held = decay, n_steps > 0
        ctx.save_for_backward(v, start)
        return v

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        v, start = ctx.saved_tensors
        back = gradients[0].clone(memory_format=torch.contiguous_format)
        for t in range(v.shape[0] - 2, -1, -1):
            back[t].add_(back[t + 1], alpha=ctx.decay)
        by_beta = None
        if ctx.needs_input_grad[1]:
            by_beta = (back[1:] * v[:-1]).sum() + (back[0] * start).sum()
        return (back.sum(0) if ctx.held else back), by_beta, None, None


def fire_loop(
    x: Tensor, beta: Tensor, start: Tensor, rule: FireRule, n_steps: int = 0
) -> tuple[Tensor, Tensor]:
    """Spikes and membranes before reset, both (steps, batch, ...).

    ``x`` is (steps, batch, ...), or (batch, ...) when ``n_steps`` says for how many steps it is held.
    """
    spikes, u = _FireLoop.apply(x, beta, start, rule.like(x), n_steps)  # type: ignore[no-untyped-call]
    return spikes, u


def filter_loop(x: Tensor, beta: Tensor, start: Tensor, n_steps: int = 0) -> Tensor:
    """Leaky sums (steps, batch, ...) of ``x``; arguments as in ``fire_loop``."""
    out: Tensor = _Filter.apply(x, beta, start, n_steps)  # type: ignore[no-untyped-call]
    return out
