"""Neurons of snnTorch 1.0 (Eshraghian et al. 2023): a spike where the membrane is above its threshold.

With ``reset_delay`` (its default) a spike resets the membrane in the next step. What no neuron here says is
refused by name; ``docs/interop.md`` has the table.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from torch import Tensor, nn

from exporter.graph import Reals
from exporter.shift_leaks import decay_of
from exporter.sources.modules import Cell, Makers, numbers
from runtime.errors import ModelError, UnsupportedError
from runtime.spec import Compare, Fire, FloatNeuron, Leak, Reset, ResetTiming, SynapticOrder

RESETS = {0: "subtract", 1: "zero", 2: "none"}
"""snnTorch keeps its ``reset_mechanism`` as a number."""


def _values(found: Reals) -> tuple[float, ...]:
    flat = found.reshape(-1)
    return (float(flat[0]),) if np.all(flat == flat[0]) else tuple(float(value) for value in flat)


def _decay(name: str, what: str, found: Any) -> tuple[Leak, tuple[float, ...] | None]:
    """A factor, clamped to 0..1 as snnTorch does, as a leak by shifts where it is one."""
    factor = numbers(name, what, found if isinstance(found, Tensor) else Tensor([found])).clip(0.0, 1.0)
    leak, decay = decay_of(factor)
    return leak, decay if decay is None or len(decay) == 1 else _values(factor)


def _reset(name: str, module: Any) -> dict[str, Any]:
    word = RESETS.get(int(module.reset_mechanism_val), "unknown")
    if word == "unknown":
        raise ModelError(
            f"{name}: found reset mechanism {int(module.reset_mechanism_val)}, expected 0, 1 or 2"
        )
    late = bool(module.reset_delay)
    if word == "subtract" and not late:
        raise UnsupportedError(
            f"{name}: found reset_mechanism 'subtract' with reset_delay=False, which lowers a membrane that"
            " stays above the threshold once more, expected reset_delay=True"
        )
    reset = {"subtract": Reset.SUBTRACT, "zero": Reset.VALUE, "none": Reset.NONE}[word]
    return {"reset": reset, "reset_timing": ResetTiming.NEXT_STEP if late else ResetTiming.SAME_STEP}


def _firing(name: str, module: Any) -> dict[str, Any]:
    for what, plain in (("inhibition", False), ("graded_spikes_factor", 1.0), ("state_quant", False)):
        found = getattr(module, what, plain)
        found = float(found.reshape(-1)[0]) if isinstance(found, Tensor) else found
        if found != plain:
            raise UnsupportedError(f"{name}: found {what} {found}, expected {plain}")
    threshold = _values(numbers(name, "threshold", module.threshold))
    return {"threshold": threshold, "compare": Compare.GREATER, **_reset(name, module)}


def _leaky(name: str, module: Any) -> Cell:
    leak, decay = _decay(name, "beta", module.beta)
    return Cell(FloatNeuron(leak=leak, decay=decay, fire=Fire.BINARY, **_firing(name, module)))


def _synaptic(name: str, module: Any) -> Cell:
    firing = _firing(name, module)
    if (firing["reset"], firing["reset_timing"]) == (Reset.VALUE, ResetTiming.NEXT_STEP):
        raise UnsupportedError(
            f"{name}: found reset_mechanism 'zero' with reset_delay=True, which resets the synaptic current"
            " too, expected reset_delay=False"
        )
    leak, decay = _decay(name, "beta", module.beta)
    synaptic, synaptic_decay = _decay(name, "alpha", module.alpha)
    model = FloatNeuron(
        leak=leak,
        decay=decay,
        synaptic_leak=synaptic,
        synaptic_decay=synaptic_decay,
        synaptic_order=SynapticOrder.NEW,
        **firing,
    )
    return Cell(model)


def _recurrent(name: str, module: Any) -> Cell:
    firing = _firing(name, module)
    if (firing["reset"], firing["reset_timing"]) == (Reset.VALUE, ResetTiming.NEXT_STEP):
        raise UnsupportedError(
            f"{name}: found reset_mechanism 'zero' with reset_delay=True, which loses the input of that step,"
            " expected reset_delay=False"
        )
    leak, decay = _decay(name, "beta", module.beta)
    return Cell(FloatNeuron(leak=leak, decay=decay, **firing), own=_own(name, module))


def _recurrent_synaptic(name: str, module: Any) -> Cell:
    return replace(_synaptic(name, module), own=_own(name, module))


def _own(name: str, module: Any) -> tuple[Reals, Reals | None]:
    """Weights of a population onto itself, and their bias."""
    own = module.recurrent
    if not isinstance(own, nn.Linear):
        kind = type(own).__name__
        raise UnsupportedError(
            f"{name}: found recurrence by {kind}, expected all_to_all=True with linear_features"
        )
    bias = None if own.bias is None else numbers(name, "recurrent bias", own.bias)
    return numbers(name, "recurrent weight", own.weight), bias


MAKERS: Makers = {
    "Leaky": _leaky,
    "Synaptic": _synaptic,
    "RLeaky": _recurrent,
    "RSynaptic": _recurrent_synaptic,
}
