"""Neurons of SpikingJelly (Fang et al. 2023): a spike where the membrane is at its threshold or above.

The membrane charges, fires and resets within a step: to ``v_reset``, or by the threshold where that is None.
"""

from __future__ import annotations

from typing import Any

import torch

from exporter.shift_leaks import decay_of
from exporter.sources.modules import Cell, Makers
from runtime.errors import ModelError
from runtime.spec import Compare, FloatNeuron, Reset


def _firing(name: str, module: Any) -> dict[str, Any]:
    threshold = float(module.v_threshold)
    if module.v_reset is None:
        return {"threshold": (threshold,), "compare": Compare.GREATER_EQUAL, "reset": Reset.SUBTRACT}
    rest = float(module.v_reset)
    return {
        "threshold": (threshold,),
        "compare": Compare.GREATER_EQUAL,
        "reset": Reset.VALUE,
        "reset_value": (rest,),
        "start": (rest,),
    }


def _integrator(name: str, module: Any) -> Cell:
    return Cell(FloatNeuron(**_firing(name, module)))


def _leaky(name: str, module: Any) -> Cell:
    return _of_share(name, module, 1.0 / float(module.tau))


def _parametric(name: str, module: Any) -> Cell:
    return _of_share(name, module, float(torch.sigmoid(module.w.detach()).item()))


def _of_share(name: str, module: Any, share: float) -> Cell:
    """``share`` of the way back to rest in a step; with ``decay_input`` the input counts as much."""
    if not 0.0 < share <= 1.0:
        raise ModelError(f"{name}: found tau {1.0 / share if share else float('inf'):g}, expected 1 or more")
    leak, decay = decay_of(torch.tensor([1.0 - share], dtype=torch.float64).numpy())
    firing = _firing(name, module)
    rest = firing.get("reset_value", (0.0,))
    model = FloatNeuron(leak=leak, decay=decay, v_leak=rest, **firing)
    return Cell(model, gain=share if module.decay_input else 1.0)


MAKERS: Makers = {"IFNode": _integrator, "LIFNode": _leaky, "ParametricLIFNode": _parametric}
