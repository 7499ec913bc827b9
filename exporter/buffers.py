"""Where buffers lie in RAM: those that are never live together share bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

ALIGNMENT = 4
"""RAM as a whole ends on a multiple of this, so that sections beside it start aligned."""


@dataclass(frozen=True)
class Buffer:
    """Bytes that one layer needs from moment ``first`` to moment ``last``, both included."""

    layer: str
    kind: str
    bytes: int
    first: int
    last: int
    align: int = 1
    offset: int = 0

    @property
    def end(self) -> int:
        return self.offset + self.bytes

    def meets(self, other: Buffer) -> bool:
        """Whether both are live at some moment."""
        return self.first <= other.last and other.first <= self.last


Order = Callable[[Buffer], tuple[int, ...]]

ORDERS: tuple[Order, ...] = (
    lambda b: (b.first - b.last, -b.align, -b.bytes),
    lambda b: (-b.align, -b.bytes),
    lambda b: (b.first, -b.align, -b.bytes),
    lambda b: (-b.last, -b.align, -b.bytes),
)
"""Orders in which buffers take the lowest place that is free: longest life first, largest first, earliest
first, latest first. The order with the smallest RAM is kept."""


def place(buffers: Iterable[Buffer]) -> tuple[Buffer, ...]:
    """The buffers with offsets: no two that are live together overlap, each lies on its alignment.

    Greedy, by several orders (Pisarchyk and Lee 2020, arXiv 2001.03288, section 5, has the second).
    """
    given = [buffer for buffer in buffers if buffer.bytes > 0]
    return min((_placed(sorted(given, key=order)) for order in ORDERS), key=extent)


def extent(buffers: Iterable[Buffer]) -> int:
    """Bytes from offset 0 to the end of the last buffer, rounded up to ``ALIGNMENT``."""
    return _up(max((buffer.end for buffer in buffers), default=0), ALIGNMENT)


def live(buffers: Iterable[Buffer], moment: int) -> tuple[Buffer, ...]:
    """The buffers that are live at a moment."""
    return tuple(buffer for buffer in buffers if buffer.first <= moment <= buffer.last)


def _placed(ordered: Sequence[Buffer]) -> tuple[Buffer, ...]:
    done: list[Buffer] = []
    for buffer in ordered:
        offset = 0
        for other in sorted((b for b in done if b.meets(buffer)), key=lambda b: b.offset):
            if offset + buffer.bytes <= other.offset:
                break
            offset = max(offset, _up(other.end, buffer.align))
        done.append(replace(buffer, offset=offset))
    return tuple(done)


def _up(value: int, step: int) -> int:
    return -(-value // step) * step
