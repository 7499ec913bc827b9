"""Multiplication and division by constants as shifts and additions, for cores without a multiplier.

The C forms keep every partial sum from the optimizer (``SNN_KEEP``), which would join them into a product.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from runtime.errors import UnsupportedError

WORD = 1 << 32


@dataclass(frozen=True)
class Term:
    """One addend: the operand shifted to the left, added or subtracted."""

    shift: int
    negative: bool


def terms(factor: int) -> tuple[Term, ...]:
    """``factor`` as a sum of signed powers of two, largest first, no two neighbors (Reitwiesner 1960)."""
    found: list[Term] = []
    shift = 0
    while factor:
        if factor & 1:
            digit = 2 - (factor & 3)
            found.append(Term(shift, digit < 0))
            factor -= digit
        factor >>= 1
        shift += 1
    return tuple(reversed(found))


def reciprocal(divisor: int, limit: int) -> tuple[int, int]:
    """(m, s) with ``x * m >> s == x // divisor`` for all 0 <= x < ``limit`` and no product beyond 32 bits.

    Of those the one with the fewest terms. (After Granlund and Montgomery 1994, found by trial, not proof:
    every x where the quotient changes is tried.) UnsupportedError where there is none.
    """
    last = np.arange(divisor - 1, limit + divisor, divisor, dtype=np.uint64)
    tried = np.concatenate([last, last + np.uint64(1)])
    tried = np.append(tried[tried < limit], np.uint64(limit - 1))
    found = []
    for shift in range(32):
        factor = -(-(1 << shift) // divisor)
        if factor * (limit - 1) >= WORD:
            break
        if np.array_equal(tried * np.uint64(factor) >> np.uint64(shift), tried // np.uint64(divisor)):
            found.append((factor, shift))
    if not found:
        raise UnsupportedError(
            f"addresses: found {limit} of them to divide by {divisor}, expected few enough for 32-bit shifts"
        )
    return min(found, key=lambda pair: len(terms(pair[0])))


@dataclass(frozen=True)
class Helper:
    """One C function: ``x * factor >> shift``, spelled as shifts and additions."""

    name: str
    terms: tuple[Term, ...]
    shift: int
    comment: str


@dataclass
class Arithmetic:
    """The helpers a firmware needs, collected while its parts are described."""

    prefix: str
    helpers: dict[str, Helper] = field(default_factory=dict)

    def times(self, operand: str, factor: int) -> str:
        """The C expression ``operand * factor``."""
        if factor == 0:
            return "0u"
        if factor & (factor - 1) == 0:
            return _shifted(operand, "<<", factor.bit_length() - 1)
        name = f"{self.prefix}_times_{factor}"
        self.helpers[name] = Helper(name, terms(factor), 0, f"x * {factor}")
        return f"{name}({operand})"

    def by(self, operand: str, divisor: int, limit: int) -> str:
        """The C expression ``operand / divisor`` for operands below ``limit``."""
        if divisor >= limit:
            return "0u"
        if divisor & (divisor - 1) == 0:
            return _shifted(operand, ">>", divisor.bit_length() - 1)
        factor, shift = reciprocal(divisor, limit)
        name = f"{self.prefix}_by_{divisor}_below_{limit}"
        self.helpers[name] = Helper(name, terms(factor), shift, f"x / {divisor} for x < {limit}")
        return f"{name}({operand})"


def _shifted(operand: str, how: str, bits: int) -> str:
    return f"({operand} {how} {bits})" if bits else f"({operand})"
