"""Tensors that do not change over time: stored once, seen ``n_steps`` times through a stride of 0."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor


def hold(x: Tensor, n_steps: int) -> Tensor:
    """A (n_steps, *x.shape) view of ``x``; no copy."""
    return x.expand(n_steps, *x.shape)


def held(x: Tensor) -> Tensor | None:
    """The one step behind a tensor constant over axis 0, or None when it changes or may change.

    The expanded view's own base is preferred over ``x[0]``: the gradient of an index is a zero-filled
    tensor of all steps.
    """
    if x.shape[0] == 0 or x.stride(0) != 0:
        return None
    base: Tensor | None = x._base
    same = base is not None and base.shape == x.shape[1:] and base.stride() == x.stride()[1:]
    if base is not None and same and base.data_ptr() == x.data_ptr():
        return base
    return x[0]


def each_step(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Apply a stateless function of a batch to x (steps, batch, ...): steps become part of the batch,
    and a held tensor is computed once."""
    once = held(x)
    if once is not None:
        return hold(function(once), x.shape[0])
    out = function(x.flatten(0, 1))
    return out.reshape(*x.shape[:2], *out.shape[1:])
