"""Contract 1 in types: the choices a spiking neuron and its input can make.

Standard library only, so that every package may import it. The equations and their order stand in
``docs/neuron-model.md``; this module only names the choices and carries their values.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum

MAX_SHIFT = 15
MAX_FRAC_BITS = 16


class Compare(Enum):
    """When a neuron fires: at the threshold, or only above it."""

    GREATER_EQUAL = ">="
    GREATER = ">"


class Reset(Enum):
    """What a spike does to the membrane: subtract the reset amount, set the reset value, nothing."""

    SUBTRACT = "subtract"
    VALUE = "value"
    NONE = "none"


class ResetTiming(Enum):
    """Whether the reset acts in the step of the spike or in the next one."""

    SAME_STEP = "same-step"
    NEXT_STEP = "next-step"


class Fire(Enum):
    """What a neuron emits: a bit, a payload of several bits, or nothing (a readout integrator)."""

    BINARY = "binary"
    GRADED = "graded"
    SILENT = "silent"


class SynapticOrder(Enum):
    """Which synaptic current enters the membrane of a CUBA neuron: after or before this step's input."""

    NEW = "new"
    OLD = "old"


class Coding(Enum):
    """How a sample becomes the integer input of each step."""

    EVENTS = "events"
    DIRECT = "direct"
    RATE = "rate"
    LATENCY = "latency"
    DELTA = "delta"


class Readout(Enum):
    """How the output population's history becomes one score per class."""

    COUNT = "count"
    MEMBRANE_LAST = "membrane_last"
    MEMBRANE_MAX = "membrane_max"
    MEMBRANE_SUM = "membrane_sum"


class StateWidth(IntEnum):
    """Bits of a stored membrane."""

    INT8 = 8
    INT16 = 16
    INT32 = 32

    @property
    def lowest(self) -> int:
        return -(1 << (self.value - 1))

    @property
    def highest(self) -> int:
        return (1 << (self.value - 1)) - 1


@dataclass(frozen=True)
class Leak:
    """Decay by shifts: ``v -= sum(v >> k for k in shifts)``, every shift of the old ``v``, floored.

    No shift is an IF neuron; one shift k is beta = 1 - 2^-k; two shifts k1, k2 are
    beta = 1 - 2^-k1 - 2^-k2.
    """

    shifts: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if len(self.shifts) > 2 or any(not 1 <= k <= MAX_SHIFT for k in self.shifts):
            raise ValueError(
                f"leak shifts: found {self.shifts}, expected at most two, each in 1..{MAX_SHIFT}"
            )

    @property
    def beta(self) -> float:
        """Factor left of the membrane after one step without input."""
        return 1.0 - sum(2.0**-k for k in self.shifts)


@dataclass(frozen=True)
class FloatNeuron:
    """One population's neuron in real units.

    The tuples hold one value for the whole population, one per channel or one per neuron.
    """

    leak: Leak = Leak()
    synaptic_leak: Leak | None = None
    synaptic_order: SynapticOrder = SynapticOrder.NEW
    fire: Fire = Fire.BINARY
    payload_bits: int = 1
    compare: Compare = Compare.GREATER_EQUAL
    reset: Reset = Reset.SUBTRACT
    reset_timing: ResetTiming = ResetTiming.SAME_STEP
    threshold: tuple[float, ...] = (1.0,)
    reset_value: tuple[float, ...] = (0.0,)
    """Target of ``Reset.VALUE``; ``Reset.SUBTRACT`` subtracts the threshold."""
    bias: tuple[float, ...] = (0.0,)
    start: tuple[float, ...] = (0.0,)
    v_leak: tuple[float, ...] = (0.0,)
    decay: tuple[float, ...] | None = None
    """The membrane's factor where no leak by shifts says it (a network from elsewhere): it then stands for
    ``leak``. ``exporter.shift_leaks`` brings it to the grid; nothing becomes integers before."""
    synaptic_decay: tuple[float, ...] | None = None
    """The same of the synaptic current, for ``synaptic_leak`` (which is then any leak, not None)."""


@dataclass(frozen=True)
class IntegerNeuron:
    """One population's neuron in integer membrane units, comparator folded to ``v >= threshold_q``.

    The tuples hold one value for the whole population, one per channel or one per neuron.
    ``reset_q`` is the amount of ``Reset.SUBTRACT`` or the value of ``Reset.VALUE``. A graded neuron
    emits ``min(2^payload_bits - 1, v >> payload_shift)`` where ``v >= threshold_q``, and
    ``Reset.SUBTRACT`` then takes ``payload << payload_shift`` off.
    """

    leak: Leak
    fire: Fire
    reset: Reset
    width: StateWidth
    v_min: int
    v_max: int
    frac_bits: int
    threshold_q: tuple[int, ...]
    reset_q: tuple[int, ...]
    bias_q: tuple[int, ...]
    start_q: tuple[int, ...]
    payload_shift: tuple[int, ...] = (0,)
    payload_bits: int = 1
    synaptic_leak: Leak | None = None
    synaptic_order: SynapticOrder = SynapticOrder.NEW


@dataclass(frozen=True)
class InputSpec:
    """What the network is fed at each step, in integers; a real input is ``integer * scale``.

    ``shape`` is the input population's shape (channels first). ``bits`` is the payload width of the
    integers that reach the network: 1 for binary events, up to 16 for direct input. ``sample_bits``
    is the width of the raw sample that rate, latency and delta coding start from.
    """

    shape: tuple[int, ...]
    coding: Coding
    n_steps: int
    bits: int = 1
    scale: float = 1.0
    signed: bool = False
    constant: bool = False
    """Direct input only: the same values at every step, so its currents are computed once a sample."""
    sample_bits: int = 8
    sample_shift: int = 0
    """Unsigned direct input only: the lowest bits of a raw sample that are dropped, so that a sample of
    ``bits + sample_shift`` bits reaches the network as ``sample >> sample_shift``."""
    delta: int = 1
    """Delta coding only: the change of the raw sample, in its integer units, that makes one event."""
    seed: int = 1
    step_us: int = 1000
    """Duration of one step, microseconds: for reports and firmware, never used in arithmetic."""
