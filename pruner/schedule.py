"""How much is pruned when: the weight sparsity and the regenerated share at each event."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from runtime.errors import ConfigError

Curve = Callable[[float, float, float], float]
"""(progress 0..1, initial, final weight sparsity) -> weight sparsity on the way, never falling."""

Decay = Callable[[float], float]
"""Progress 0..1 -> share of the first regenerated share that is left."""


def cubic(progress: float, initial: float, final: float) -> float:
    """Fast at first (Zhu and Gupta 2017, "To prune, or not to prune", section 3)."""
    return initial + (final - initial) * (1.0 - (1.0 - progress) ** 3)


def linear(progress: float, initial: float, final: float) -> float:
    """The same number of synapses at every event."""
    return initial + (final - initial) * progress


def geometric(progress: float, initial: float, final: float) -> float:
    """The same share of the living synapses at every event, as iterative pruning takes it."""
    left = (1.0 - final) / (1.0 - initial)
    share = progress if left == 1.0 else (1.0 - math.pow(left, progress)) / (1.0 - left)
    return initial + (final - initial) * share


def constant(progress: float, initial: float, final: float) -> float:
    """The final sparsity from the start."""
    return final


def cosine(progress: float) -> float:
    """Falls from 1 to 0 along half a cosine."""
    return 0.5 * (1.0 + math.cos(math.pi * progress))


def fading(progress: float) -> float:
    """Falls from 1 to 0 in a straight line."""
    return 1.0 - progress


def steady(progress: float) -> float:
    """Stays at 1."""
    return 1.0


@dataclass(frozen=True)
class Schedule:
    """``events`` prunings spread evenly over [begin, end] of a run, as shares of its steps.

    Event k of 1..events reaches ``sparsity(k)``; the last one reaches ``final``. ``regenerated(k)`` is
    the share of the kept synapses that is chosen anew at that event. A single event may have
    ``begin == end``: it falls on that step.
    """

    curve: Curve
    initial: float
    final: float
    begin: float
    end: float
    events: int
    regenerate: float = 0.0
    decay: Decay = cosine

    def sparsity(self, event: int) -> float:
        return self.curve(event / self.events, self.initial, self.final)

    def regenerated(self, event: int) -> float:
        return self.regenerate * self.decay(event / self.events)

    def steps(self, total_steps: int) -> tuple[int, ...]:
        """Optimiser step (0-based) of each event, strictly rising.

        Raises ConfigError if the run has too few steps for the events.
        """
        first = round(self.begin * total_steps)
        end = first + 1 if self.begin == self.end else round(self.end * total_steps)
        last = min(end, total_steps) - 1
        if last - first + 1 < self.events:
            raise ConfigError(
                f"prune.events: found {self.events} events for the {max(0, last - first + 1)} steps between "
                f"begin and end of a run of {total_steps} steps, expected at least one step for each event"
            )
        if self.events == 1:
            return (last,)
        return tuple(first + (last - first) * k // (self.events - 1) for k in range(self.events))
