"""The smallest device that would do, when the one asked for does not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from spikepress.catalog import Device
from spikepress.fit_verdict import FitBudget, Model, decide
from spikepress.latency import has_clock
from spikepress.search import Search


@dataclass(frozen=True)
class Proposal:
    device: Device
    model: Model
    """One that fits it and is accurate enough; a search for that device may find a better one."""

    def as_json(self) -> dict[str, object]:
        return {
            "name": self.device.name,
            "title": self.device.title,
            "words": self.model.words,
            "validation_accuracy": self.model.accuracy,
        }


def smallest_device(
    search: Search, entries: Iterable[Device], known: Sequence[Model] = ()
) -> Proposal | None:
    """The smallest device, of the kind the search was for, that holds a model accurate enough.

    ``search`` has just found nothing; models that it made are used again. ``known`` are further models.
    """
    budget = search.budget
    able = (e for e in entries if e.kind is budget.kind and (budget.latency_ms is None or has_clock(e)))
    for entry in sorted(able, key=_size):
        limits = FitBudget.of_device(
            entry, synops=budget.synops, accuracy=budget.accuracy, latency_ms=budget.latency_ms
        )
        if _within(limits, budget):
            continue
        model = decide(known, limits) or replace(search, budget=limits).any()
        if model is not None:
            return Proposal(entry, model)
    return None


def _size(entry: Device) -> tuple[int, str]:
    return (sum(entry.available(resource) for resource in entry.limits), entry.name)


def _within(one: FitBudget, other: FitBudget) -> bool:
    """Whether whatever fits ``one`` fits ``other`` too."""
    if other.latency_ms is not None and one.clock != other.clock:
        return False
    return all(r in one.limits and one.limits[r] <= limit for r, limit in other.limits.items())
