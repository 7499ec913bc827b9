"""Neurons of NIR as neurons of ours, by steps of ``dt``.

``tau dv/dt = (v_leak - v) + R I`` becomes ``v <- v_leak + (v - v_leak) (1 - s) + s R I``, where ``s`` is
dt/tau (explicit Euler steps) or 1 - exp(-dt/tau) (exact for a current that is constant over the step): the
factor of the current goes into the weights before the neuron, so that the neuron itself carries none. NIR
says neither ``dt`` nor the comparator nor how and when a reset acts: ``Conventions`` does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import nir
import numpy as np

from exporter.graph import Reals
from exporter.shift_leaks import SAME, decay_of
from runtime.errors import ModelError
from runtime.spec import Compare, Fire, FloatNeuron, Leak, Reset, ResetTiming, SynapticOrder

MOST_PAYLOAD_BITS = 4


class Integration(Enum):
    """How the equation of a leak becomes steps.

    ``IMPULSE``: factors exp(-dt/tau) as in ``EXACT``, but an input is added whole to a membrane and times the
    factor to a synaptic current, and ``r`` is not read (Rockpool; sinabs without ``norm_input``).
    """

    EULER = "euler"
    EXACT = "exact"
    IMPULSE = "impulse"


@dataclass(frozen=True)
class Conventions:
    """What a NIR file leaves open. ``dt``: one step, in the unit of the file's time constants."""

    dt: float = 1e-4
    reset: Reset = Reset.VALUE
    """NIR itself knows the reset to a value alone; ``SUBTRACT`` takes the threshold off instead."""
    compare: Compare = Compare.GREATER
    reset_timing: ResetTiming = ResetTiming.SAME_STEP
    synaptic_order: SynapticOrder = SynapticOrder.NEW
    """Of current-based neurons: whether a step's own input reaches the membrane in that step."""
    integration: Integration = Integration.EULER
    payload_bits: int = 1
    """More than 1: a neuron fires floor(v / threshold) spikes in one step, as many as these bits can say."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.dt) and self.dt > 0):
            raise ModelError(f"dt: found {self.dt}, expected a time above 0")
        if not 1 <= self.payload_bits <= MOST_PAYLOAD_BITS:
            raise ModelError(f"payload_bits: found {self.payload_bits}, expected 1 to {MOST_PAYLOAD_BITS}")
        if self.payload_bits > 1 and self.compare is not Compare.GREATER_EQUAL:
            raise ModelError(
                "payload_bits: found several spikes a step with the comparator >, expected >= with them"
            )

    @property
    def step_us(self) -> int:
        """One step in whole microseconds, at least one; time constants of NIR files are in seconds."""
        return min(max(round(self.dt * 1e6), 1), (1 << 31) - 1)

    def words(self) -> dict[str, str]:
        """By name, for the artefact."""
        return {
            "nir.dt": repr(self.dt),
            "nir.reset": self.reset.value,
            "nir.compare": self.compare.value,
            "nir.reset_timing": self.reset_timing.value,
            "nir.synaptic_order": self.synaptic_order.value,
            "nir.integration": self.integration.value,
            "nir.payload_bits": str(self.payload_bits),
        }


@dataclass(frozen=True)
class Cell:
    """A population and the gain of the current that enters it, of the population's shape."""

    model: FloatNeuron
    gain: Reals


def is_neuron(node: nir.NIRNode) -> bool:
    return type(node) in MAKERS


def cell(name: str, node: nir.NIRNode, how: Conventions) -> Cell:
    """The population of a NIR node; ``ModelError`` names a parameter that cannot be."""
    found = MAKERS[type(node)](name, node, how)
    shape = np.shape(node.threshold if isinstance(node, nir.Threshold) else node.r)
    # Tools store r = tau / dt in 32 bits: a product with dt / tau this near to 1 was meant to be 1.
    gain = np.where(np.abs(found.gain - 1.0) <= SAME, 1.0, found.gain)
    return Cell(found.model, np.broadcast_to(gain, shape or (1,)))


def values(name: str, what: str, found: Any) -> Reals:
    """A parameter as real numbers."""
    try:
        array = np.asarray(found, np.float64)
    except (TypeError, ValueError) as error:
        raise ModelError(f"{name}: found {what} that is no array of numbers, expected one") from error
    if array.size == 0 or not np.isfinite(array).all():
        raise ModelError(f"{name}: found {what} that is empty or not finite, expected real numbers")
    return array


def whole(name: str, what: str, found: Any) -> int:
    """A parameter that is one whole number."""
    array = values(name, what, found).reshape(-1)
    if array.size != 1 or array[0] != int(array[0]):
        raise ModelError(f"{name}: found {what} of {array[:4].tolist()}, expected one whole number")
    return int(array[0])


def per_population(array: Reals) -> tuple[float, ...]:
    """One value, one per channel, or one per neuron: the shortest that says the same."""
    if np.all(array == array.reshape(-1)[0]):
        return (float(array.reshape(-1)[0]),)
    if array.ndim > 1:
        maps = array.reshape(len(array), -1)
        if np.all(maps == maps[:, :1]):
            return tuple(float(value) for value in maps[:, 0])
    return tuple(float(value) for value in array.reshape(-1))


def _decay(name: str, what: str, tau: Any, how: Conventions) -> tuple[Reals, Leak, tuple[float, ...] | None]:
    """The share ``s`` that a step takes, and the factor 1 - s, as a leak by shifts where it is one."""
    share = _share(name, what, values(name, what, tau), how)
    leak, decay = decay_of(1.0 - share)
    if decay is not None and len(decay) > 1:
        decay = per_population(1.0 - share)
    return share, leak, decay


def _firing(name: str, node: Any, how: Conventions) -> dict[str, Any]:
    return {
        "threshold": per_population(values(name, "v_threshold", node.v_threshold)),
        "reset_value": per_population(values(name, "v_reset", node.v_reset)),
        "fire": Fire.BINARY if how.payload_bits == 1 else Fire.GRADED,
        "payload_bits": how.payload_bits,
        "compare": how.compare,
        "reset": how.reset,
        "reset_timing": how.reset_timing,
    }


def _share(name: str, what: str, tau: Reals, how: Conventions) -> Reals:
    if how.integration is not Integration.EULER:
        if tau.min() <= 0.0:
            raise ModelError(f"{name}: found {what} {tau.min():g}, expected it above 0")
        return -np.expm1(-how.dt / tau)
    if tau.min() < how.dt * (1.0 - 1e-6):
        raise ModelError(f"{name}: found {what} {tau.min():g}, expected at least dt, {how.dt:g}")
    return np.minimum(how.dt / tau, 1.0)


SILENT: dict[str, Any] = {"fire": Fire.SILENT, "reset": Reset.NONE}


def _leaky(name: str, node: Any, how: Conventions) -> Cell:
    share, leak, decay = _decay(name, "tau", node.tau, how)
    fires = _firing(name, node, how) if isinstance(node, nir.LIF) else SILENT
    rest = per_population(values(name, "v_leak", node.v_leak))
    model = FloatNeuron(leak=leak, decay=decay, v_leak=rest, **fires)
    return Cell(model, _gain(name, node, share, how))


def _gain(name: str, node: Any, share: Reals, how: Conventions) -> Reals:
    """What a membrane takes of a current of 1 in a step."""
    r = values(name, "r", node.r)
    return np.ones_like(share * r) if how.integration is Integration.IMPULSE else share * r


def _integrator(name: str, node: Any, how: Conventions) -> Cell:
    fires = _firing(name, node, how) if isinstance(node, nir.IF) else SILENT
    return Cell(FloatNeuron(**fires), how.dt * values(name, "r", node.r))


def _current_based(name: str, node: Any, how: Conventions) -> Cell:
    """The synaptic current is kept times the membrane's own gain, which is the same drive."""
    share, leak, decay = _decay(name, "tau_mem", node.tau_mem, how)
    synaptic_share, synaptic_leak, synaptic_decay = _decay(name, "tau_syn", node.tau_syn, how)
    fires = _firing(name, node, how) if isinstance(node, nir.CubaLIF) else SILENT
    model = FloatNeuron(
        leak=leak,
        decay=decay,
        synaptic_leak=synaptic_leak,
        synaptic_decay=synaptic_decay,
        synaptic_order=how.synaptic_order,
        v_leak=per_population(values(name, "v_leak", node.v_leak)),
        **fires,
    )
    taken = 1.0 - synaptic_share if how.integration is Integration.IMPULSE else synaptic_share
    return Cell(model, _gain(name, node, share, how) * taken * values(name, "w_in", node.w_in))


def _threshold(name: str, node: Any, how: Conventions) -> Cell:
    """A comparison without memory: a neuron that forgets everything in a step."""
    limit = per_population(values(name, "threshold", node.threshold))
    model = FloatNeuron(decay=(0.0,), threshold=limit, compare=how.compare, reset=Reset.NONE)
    return Cell(model, np.ones(()))


MAKERS: Mapping[type[nir.NIRNode], Callable[[str, Any, Conventions], Cell]] = {
    nir.LIF: _leaky,
    nir.LI: _leaky,
    nir.IF: _integrator,
    nir.I: _integrator,
    nir.CubaLIF: _current_based,
    nir.CubaLI: _current_based,
    nir.Threshold: _threshold,
}
