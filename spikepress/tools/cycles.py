"""Clock cycles of Thumb instructions on cores whose makers publish them, memory without wait states.

Cortex-M0 and M0+ take the same number every time: the bounds are equal. On Cortex-M3 and M4 loads that follow
each other overlap, stores are buffered and a branch fills the pipeline in one to three cycles: there the low
bound takes the best of each, the high bound the worst. Sources: ARM DDI 0432C table 3-1 (Cortex-M0),
DDI 0484C table 3-1 (Cortex-M0+, multiplier of one cycle left out: 32), DDI 0337I table 3-1 (Cortex-M3),
DDI 0439D table 3-1 (Cortex-M4).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Cycles:
    """Bounds of a number of clock cycles, both reachable in principle."""

    low: int = 0
    high: int = 0

    def __add__(self, other: Cycles) -> Cycles:
        return Cycles(self.low + other.low, self.high + other.high)

    def __mul__(self, times: int) -> Cycles:
        return Cycles(self.low * times, self.high * times)


NONE = Cycles()
ONE = Cycles(1, 1)


@dataclass(frozen=True)
class Timing:
    """What a core's instructions take; all others take one cycle. ``jump`` is an unconditional branch,
    ``taken`` what a conditional one takes more when it is taken."""

    load: Cycles
    store: Cycles
    jump: Cycles
    taken: Cycles
    call: Cycles
    leave: Cycles
    """A branch to an address in a register."""
    pop_return: Cycles
    """What a pop takes beside one for each register, when the program counter is among them."""
    multiply: Cycles
    divide: Cycles = NONE


def _same(cycles: int) -> Cycles:
    return Cycles(cycles, cycles)


_FILL = Cycles(1, 3)
"""Cycles that fill the pipeline of a Cortex-M3 or M4 after a branch."""
_LONG = Timing(
    load=Cycles(1, 2),
    store=Cycles(1, 2),
    jump=_same(1) + _FILL,
    taken=_FILL,
    call=_same(1) + _FILL,
    leave=_same(1) + _FILL,
    pop_return=_same(1) + _FILL,
    multiply=Cycles(1, 2),
    divide=Cycles(2, 12),
)

TIMINGS = {
    "cortex-m0": Timing(
        load=_same(2),
        store=_same(2),
        jump=_same(3),
        taken=_same(2),
        call=_same(4),
        leave=_same(3),
        pop_return=_same(4),
        multiply=Cycles(1, 32),
    ),
    "cortex-m0plus": Timing(
        load=_same(2),
        store=_same(2),
        jump=_same(2),
        taken=_same(1),
        call=_same(3),
        leave=_same(2),
        pop_return=_same(3),
        multiply=Cycles(1, 32),
    ),
    "cortex-m3": _LONG,
    "cortex-m4": _LONG,
}
"""By core. A core that is not here has no published cycle counts, or none that hold without its caches."""


def thumb_cycles(first: int, second: int | None, timing: Timing) -> Cycles:
    """Of one instruction, a conditional branch not taken. ``second``: the other half of a long one."""
    if second is None:
        for mask, value, cycles in _SHORT:
            if first & mask == value:
                return cycles(first, timing)
        return ONE
    for (mask, value), (second_mask, second_value), cycles_of in _LONG_FORMS:
        if first & mask == value and second & second_mask == second_value:
            return cycles_of(second, timing)
    return ONE


def _high_register(code: int, timing: Timing) -> Cycles:
    """An operation on high registers: a branch when it writes the program counter."""
    return timing.leave if code & 0x0300 != 0x0100 and code & 0x87 == 0x87 else ONE


def _by_register(code: int, timing: Timing) -> Cycles:
    return timing.load if (code >> 9) & 7 >= 3 else timing.store


def _by_bit_11(code: int, timing: Timing) -> Cycles:
    return timing.load if code & 0x0800 else timing.store


def _listed(code: int) -> int:
    return (code & 0xFF).bit_count()


_SHORT: tuple[tuple[int, int, Callable[[int, Timing], Cycles]], ...] = (
    (0xFFC0, 0x4340, lambda _, timing: timing.multiply),
    (0xFF80, 0x4700, lambda _, timing: timing.leave),
    (0xFF80, 0x4780, lambda _, timing: timing.leave),
    (0xFC00, 0x4400, _high_register),
    (0xF800, 0x4800, lambda _, timing: timing.load),
    (0xF000, 0x5000, _by_register),
    (0xE000, 0x6000, _by_bit_11),
    (0xE000, 0x8000, _by_bit_11),
    (0xFE00, 0xB400, lambda code, _: _same(1 + (code & 0x1FF).bit_count())),
    (0xFF00, 0xBC00, lambda code, _: _same(1 + _listed(code))),
    (0xFF00, 0xBD00, lambda code, timing: _same(1 + _listed(code)) + timing.pop_return),
    (0xF000, 0xC000, lambda code, _: _same(1 + _listed(code))),
    (0xF800, 0xE000, lambda _, timing: timing.jump),
)
"""(mask, value, cycles) of 16-bit instructions that do not take one cycle: the first that matches."""


def _many(second: int, timing: Timing) -> Cycles:
    """Registers loaded or stored together; into the program counter it is a branch."""
    return _same(second.bit_count()) + (timing.pop_return if second & 0x8000 else ONE)


Form = tuple[int, int]
_LONG_FORMS: tuple[tuple[Form, Form, Callable[[int, Timing], Cycles]], ...] = (
    ((0xF800, 0xF000), (0xD000, 0xD000), lambda _, timing: timing.call),
    ((0xF800, 0xF000), (0xD000, 0x9000), lambda _, timing: timing.jump),
    ((0xFE40, 0xE800), (0, 0), _many),
    ((0xFFF0, 0xE8D0), (0xFFE0, 0xF000), lambda _, timing: timing.load + timing.jump),
    ((0xFE40, 0xE840), (0, 0), lambda *_: _same(3)),
    ((0xFE10, 0xF810), (0, 0), lambda _, timing: timing.load),
    ((0xFE10, 0xF800), (0, 0), lambda _, timing: timing.store),
    ((0xFF90, 0xFB90), (0, 0), lambda _, timing: timing.divide),
    ((0xFF00, 0xFB00), (0, 0), lambda _, timing: timing.multiply),
)
"""The same for 32-bit instructions, by both halves: branches, register lists, tables, pairs, loads,
stores, division, multiplication."""
