"""Brings real decay factors to the grid of leaks by shifts, and says how far each had to go."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import NDArray

from exporter.graph import Graph, Neuron, Node
from exporter.wiring import neurons
from runtime.errors import UnsupportedError
from runtime.spec import MAX_SHIFT, FloatNeuron, Leak

SAME = 1e-6
"""Decays are stored in 32-bit floats by most tools: a factor is on the grid within this share of 1 - beta."""


@dataclass(frozen=True)
class LeakChange:
    """What one population's leak was and became."""

    neuron: str
    what: str
    """"membrane" or "synapse"."""
    wanted: tuple[float, float]
    """Smallest and largest factor of the population."""
    leak: Leak

    @property
    def error(self) -> float:
        """Largest distance of a wanted factor from the one that was taken."""
        return max(abs(beta - self.leak.beta) for beta in self.wanted)

    @property
    def sentence(self) -> str:
        words = " ".join(f"v>>{k}" for k in self.leak.shifts) or "no leak"
        return f"{self.neuron}: {self.what} factor {self.wanted[0]:g} became {self.leak.beta:g} ({words})."


@cache
def leak_grid() -> tuple[Leak, ...]:
    """Every leak that shifts can say: none, one or two, by factor left, each factor once."""
    shifts = range(1, MAX_SHIFT + 1)
    leaks = [Leak(), *(Leak((k,)) for k in shifts), *map(Leak, combinations_with_replacement(shifts, 2))]
    fewest: dict[float, Leak] = {}
    for leak in leaks:
        fewest.setdefault(leak.beta, leak)
    return tuple(fewest[beta] for beta in sorted(fewest))


def nearest_leak(beta: float) -> Leak:
    """The leak whose factor is nearest to ``beta``, 0 to 1."""
    grid = leak_grid()
    return min(grid, key=lambda leak: abs(leak.beta - beta))


def exact_leak(beta: float) -> Leak | None:
    """The leak whose factor is ``beta``, up to the rounding of a 32-bit float; None off the grid."""
    leak = nearest_leak(beta)
    return leak if abs(leak.beta - beta) <= SAME * max(1.0 - beta, SAME) else None


def shift_leaks(graph: Graph) -> tuple[Graph, tuple[LeakChange, ...]]:
    """The graph with every decay at its nearest leak by shifts, and the changes.

    A population has one leak: ``UnsupportedError`` names one whose factors have several nearest leaks.
    """
    changes: list[LeakChange] = []
    nodes: list[Node] = []
    for node in graph.nodes:
        if isinstance(node, Neuron) and isinstance(node.model, FloatNeuron):
            found = _changes(node.name, node.model)
            changes += found
            nodes.append(replace(node, model=_changed(node.model, found)))
        else:
            nodes.append(node)
    return replace(graph, nodes=tuple(nodes)), tuple(changes)


def refuse_decays(graph: Graph) -> None:
    """Raise UnsupportedError for a neuron whose leak is not one of shifts."""
    for neuron in neurons(graph):
        model = neuron.model
        if isinstance(model, FloatNeuron) and (model.decay, model.synaptic_decay) != (None, None):
            raise UnsupportedError(
                f"{neuron.name}: found a decay off the grid of shifts, expected exporter.shift_leaks first"
            )


def _changes(name: str, model: FloatNeuron) -> list[LeakChange]:
    found = (("membrane", model.decay), ("synapse", model.synaptic_decay))
    return [_change(name, what, decay) for what, decay in found if decay is not None]


def _change(name: str, what: str, decay: tuple[float, ...]) -> LeakChange:
    low, high = min(decay), max(decay)
    leaks = {nearest_leak(beta) for beta in set(decay)}
    if len(leaks) > 1:
        raise UnsupportedError(
            f"{name}: found {len(set(decay))} {what} decays from {low:g} to {high:g} in one population, "
            f"expected one leak by shifts ({len(leaks)} are nearest)"
        )
    return LeakChange(name, what, (low, high), leaks.pop())


def _changed(model: FloatNeuron, changes: list[LeakChange]) -> FloatNeuron:
    for change in changes:
        if change.what == "membrane":
            model = replace(model, leak=change.leak, decay=None)
        else:
            model = replace(model, synaptic_leak=change.leak, synaptic_decay=None)
    return model


def decay_of(betas: NDArray[np.float64]) -> tuple[Leak, tuple[float, ...] | None]:
    """A population's factors as a leak by shifts where they are one, else as they are."""
    flat = tuple(float(beta) for beta in betas.reshape(-1))
    leak = exact_leak(flat[0]) if len(set(flat)) == 1 else None
    if leak is not None:
        return leak, None
    return Leak(), flat if len(set(flat)) > 1 else flat[:1]
