"""How much is pruned when: the weight sparsity and the regenerated share at each event."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from runtime.errors import ConfigError

Curve = Callable[[float], float]
"""Progress 0..1 -> share of the way from the initial to the final sparsity, 0..1, never falling."""


def cubic(progress: float) -> float:
    """1 - (1 - p)^3 (Zhu and Gupta 2017, "To prune, or not to prune", section 3)."""
    return 1.0 - (1.0 - progress) ** 3


def linear(progress: float) -> float:
    """p."""
    return progress


def cosine(progress: float) -> float:
    """Falls from 1 to 0 along half a cosine."""
    return 0.5 * (1.0 + math.cos(math.pi * progress))


@dataclass(frozen=True)
class Schedule:
    """``events`` prunings spread evenly over [begin, end] of a run, as shares of its steps.

    Event k of 1..events reaches ``sparsity(k)``; the last one reaches ``final``. ``regenerated(k)`` is
    the share of the kept synapses that is chosen anew at that event; it ends at 0.
    """

    curve: Curve
    initial: float
    final: float
    begin: float
    end: float
    events: int
    regenerate: float = 0.0

    def sparsity(self, event: int) -> float:
        return self.initial + (self.final - self.initial) * self.curve(event / self.events)

    def regenerated(self, event: int) -> float:
        return self.regenerate * cosine(event / self.events)

    def steps(self, total_steps: int) -> tuple[int, ...]:
        """Optimiser step (0-based) of each event, strictly rising.

        Raises ConfigError if the run has too few steps for the events.
        """
        first = round(self.begin * total_steps)
        last = min(round(self.end * total_steps), total_steps) - 1
        if last - first + 1 < self.events:
            raise ConfigError(
                f"prune.events: found {self.events} events for the {max(0, last - first + 1)} steps between "
                f"begin and end of a run of {total_steps} steps, expected at least one step for each event"
            )
        if self.events == 1:
            return (last,)
        return tuple(first + (last - first) * k // (self.events - 1) for k in range(self.events))
