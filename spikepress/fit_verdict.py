"""What a model may need, and the pure verdict: which of several models fits, and what binds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from exporter.plan import PlanOptions
from runtime.errors import ConfigError
from spikepress.catalog import Device, Kind, Resource
from spikepress.latency import Clock, clock_of, has_clock
from spikepress.recipe import Recipe
from spikepress.work import Work

SYNOPS = "synops"
LATENCY = "latency"


@dataclass(frozen=True)
class FitBudget:
    """What is left for a network: limits by resource, mean additions and milliseconds of an inference, and
    the least accuracy on validation samples that is worth having. ConfigError for what cannot be.

    ``clock`` is that of the device; without one no time can be told, and none can be asked for.
    """

    name: str
    limits: Mapping[Resource, int]
    synops: float | None = None
    accuracy: float = 0.0
    kind: Kind = Kind.MCU
    """Of the devices that are proposed when nothing fits."""
    latency_ms: float | None = None
    clock: Clock | None = None

    @classmethod
    def of_device(
        cls,
        device: Device,
        *,
        synops: float | None = None,
        accuracy: float = 0.0,
        latency_ms: float | None = None,
    ) -> FitBudget:
        """ConfigError where a time is asked for on a device that has no clock."""
        limits = {resource: device.available(resource) for resource in device.limits}
        clock = clock_of(device) if has_clock(device) or latency_ms is not None else None
        return cls(device.name, limits, synops, accuracy, device.kind, latency_ms, clock)

    def __post_init__(self) -> None:
        if self.latency_ms is not None and not 0 < self.latency_ms < float("inf"):
            raise ConfigError(f"--latency: found {self.latency_ms}, expected more than 0 milliseconds")
        if not self.limits and self.synops is None:
            raise ConfigError("fit: found no limit, expected --device, --flash, --ram or --synops")
        for resource, limit in self.limits.items():
            if limit <= 0:
                raise ConfigError(f"budget: found {limit} for {resource.value}, expected more than 0")
        if self.synops is not None and not 0 < self.synops < float("inf"):
            raise ConfigError(f"--synops: found {self.synops}, expected more than 0")
        if not 0 <= self.accuracy <= 1:
            raise ConfigError(f"--accuracy: found {self.accuracy}, expected 0 to 1")


@dataclass(frozen=True)
class Layout:
    """What a model needs under one schedule, and what an inference does: on average, and at most; None where
    the schedule has no C code."""

    schedule: PlanOptions
    needs: Mapping[Resource, int]
    work: Work | None = None
    worst_work: Work | None = None

    @property
    def size(self) -> tuple[PlanOptions, Mapping[Resource, int]]:
        """What a written file must need again, whatever was measured on it."""
        return (self.schedule, self.needs)


@dataclass(frozen=True)
class Model:
    """A model that was built and measured. ``recipe`` None: as the run left it. ``layouts``: at least one,
    the fastest schedule first."""

    recipe: Recipe | None
    layouts: tuple[Layout, ...]
    accuracy: float
    """On validation samples."""
    synops: float
    """Mean additions of an inference on the same samples: of events, and of direct input."""
    worst_synops: int = 0
    """The same if every neuron fired and every input bit were set in every step."""
    encodings: Mapping[str, str] = field(default_factory=dict)
    """By layer, with the width of its weights."""
    key: str = ""
    """Hash of everything the model was made from."""

    @property
    def words(self) -> str:
        return "the network as the run left it" if self.recipe is None else self.recipe.words

    @property
    def flash(self) -> int:
        return self.layouts[0].needs[Resource.FLASH]

    @property
    def least_ram(self) -> int:
        return min(layout.needs[Resource.RAM] for layout in self.layouts)


@dataclass(frozen=True)
class Judgement:
    """A model against a budget: needed / available by constraint, under the layout that was taken."""

    layout: Layout
    shares: Mapping[str, float]

    @property
    def fits(self) -> bool:
        return all(share <= 1 for share in self.shares.values())

    @property
    def binding(self) -> str:
        return max(self.shares, key=lambda name: self.shares[name])

    @property
    def worst(self) -> float:
        return max(self.shares.values())


def judge(model: Model, budget: FitBudget) -> Judgement:
    """The model under the first layout that fits, else under the one that is least too large."""
    found = [Judgement(x, shares(x, budget, model.synops)) for x in model.layouts]
    for judgement in found:
        if judgement.fits:
            return judgement
    return min(found, key=lambda judgement: judgement.worst)


def shares(layout: Layout, budget: FitBudget, synops: float | None) -> dict[str, float]:
    """Needed / available by constraint; a need of synops that is not known is left out. Of a time the high
    bound counts; a time that cannot be told is too long."""
    found = {resource.value: layout.needs[resource] / limit for resource, limit in budget.limits.items()}
    if budget.synops is not None and synops is not None:
        found[SYNOPS] = synops / budget.synops
    if budget.latency_ms is not None:
        time = None if budget.clock is None else budget.clock.span(layout.work)
        found[LATENCY] = float("inf") if time is None else time.high / budget.latency_ms
    return found


def better(model: Model) -> tuple[float, int, int, float]:
    """Sorts the best model last: most accurate, then least flash, RAM and operations."""
    return (model.accuracy, -model.flash, -model.least_ram, -model.synops)


def decide(models: Iterable[Model], budget: FitBudget) -> Model | None:
    """The most accurate model that fits the budget, or None: no other rule."""
    fitting = [m for m in models if judge(m, budget).fits and m.accuracy >= budget.accuracy]
    return max(fitting, key=better, default=None)


def nearest(models: Iterable[Model], budget: FitBudget) -> Model | None:
    """What comes nearest when nothing will do: the most accurate that fits, else the least too large."""

    def nearness(model: Model) -> tuple[bool, float, float]:
        found = judge(model, budget)
        return (found.fits, model.accuracy if found.fits else -found.worst, -model.flash)

    return max(models, key=nearness, default=None)


def front(models: Sequence[Model]) -> tuple[Model, ...]:
    """The models that no other beats in flash, RAM and accuracy together, smallest flash first."""

    def beats(one: Model, other: Model) -> bool:
        no_worse = (
            one.flash <= other.flash and one.least_ram <= other.least_ram and one.accuracy >= other.accuracy
        )
        return no_worse and better(one)[:3] != better(other)[:3]

    kept: dict[tuple[float, ...], Model] = {}
    for model in models:
        if not any(beats(other, model) for other in models):
            kept.setdefault(better(model)[:3], model)
    return tuple(sorted(kept.values(), key=lambda m: (m.flash, m.least_ram)))
