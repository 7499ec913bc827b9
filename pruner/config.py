"""``PruneConfig``: the ``[prune]`` table of a configuration file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

from pruner.evidence import Need
from pruner.granularity import Granularity
from pruner.registry import (
    ALLOCATIONS,
    DECAYS,
    KERNELS,
    METHODS,
    NO_SEARCH,
    NORMALIZATIONS,
    SCHEDULES,
    SEARCHES,
    SURROGATE,
    Criterion,
    criterion_of,
)
from pruner.regrow import Candidates, Rules, Value
from pruner.schedule import Schedule
from trainer.tables import read_table, read_value, require


class Start(Enum):
    """Masks a run starts from: those the network has, or random ones at the schedule's first sparsity."""

    AS_IT_IS = "as-it-is"
    RANDOM = "random"


@dataclass(frozen=True)
class PruneConfig:
    """How a network is pruned while it trains. Raises ConfigError for values that cannot work.

    Sparsities are weight sparsities over all synapse layers, protected ones included. ``begin`` and
    ``end`` are shares of the stage's optimiser steps; how long and how fast the stage trains is said
    to the trainer.
    """

    sparsity: float = 0.9
    initial_sparsity: float = 0.0
    begin: float = 0.0
    end: float = 0.75
    events: int = 20
    schedule: str = "cubic"
    search: str = NO_SEARCH
    """Latent values in which masks are searched up to the last event, in place of criterion and
    regeneration; the schedule is then a plan that is followed about, its end exactly."""
    criterion: str = "magnitude"
    allocation: str = "global"
    granularity: Granularity = Granularity.WEIGHT
    """What lives and dies together. Whole groups may leave a little less than the asked density."""
    protect_readout: bool = False
    """Keep every synapse of the layers that feed the output population."""
    protect: tuple[str, ...] = ()
    """Names of further layers to keep whole."""
    start: Start = Start.AS_IT_IS
    regenerate: float = 0.0
    """Share of the kept synapses chosen anew by ``regenerate_by``."""
    regenerate_decay: str = "cosine"
    """How that share goes on from event to event."""
    regenerate_by: str = "criticality-gradient"
    regenerate_from: Candidates = Candidates.JUST_PRUNED
    regenerate_value: Value = Value.ZERO
    kernel: str = SURROGATE
    """Shape of the criticality score's kernel; ``surrogate`` is the one the neuron trains with."""
    bandwidth: float = 1.0
    """Width of that kernel, relative to the width the neuron trains with."""
    normalization: str = "mean"
    """How criticalities are made comparable between layers."""
    gather_steps: int = 10
    """Training steps before each event over which activity and criticality are averaged."""
    rewind: float | None = None
    """After each event the net goes back to the values it had this share into the training before the
    first event, and its learning rate starts again from there. None: training goes on."""
    seed: int = 0
    """Added to the training's seed, for criteria that draw at random."""

    def __post_init__(self) -> None:
        _one_of("schedule", self.schedule, SCHEDULES)
        _one_of("search", self.search, (NO_SEARCH, *SEARCHES))
        criterion_of(self.criterion, "prune.criterion")
        _one_of("allocation", self.allocation, ALLOCATIONS)
        _one_of("regenerate_decay", self.regenerate_decay, DECAYS)
        criterion_of(self.regenerate_by, "prune.regenerate_by")
        _one_of("kernel", self.kernel, (SURROGATE, *KERNELS))
        _one_of("normalization", self.normalization, NORMALIZATIONS)
        for key in ("sparsity", "initial_sparsity", "regenerate"):
            require(0.0 <= getattr(self, key) < 1.0, f"prune.{key}", getattr(self, key), "0 to below 1")
        for key in ("events", "gather_steps"):
            require(getattr(self, key) >= 1, f"prune.{key}", getattr(self, key), "at least 1")
        require(self.bandwidth > 0, "prune.bandwidth", self.bandwidth, "a number above 0")
        require(self.seed >= 0, "prune.seed", self.seed, "0 or more")
        self._check_course()

    def _check_course(self) -> None:
        if self.search != NO_SEARCH:
            require(self.regenerate == 0.0, "prune.regenerate", self.regenerate, "0 beside prune.search")
            require(self.rewind is None, "prune.rewind", self.rewind, "no rewind beside prune.search")
            grain = self.granularity
            single = grain is Granularity.WEIGHT
            require(single, "prune.granularity", grain.value, "'weight' beside prune.search")
        if self.granularity is Granularity.CHANNEL:
            whole = self.protect_readout
            require(whole, "prune.protect_readout", whole, "true for channels: a lost output is a lost class")
        lowest = self.initial_sparsity
        require(
            self.sparsity >= lowest, "prune.sparsity", self.sparsity, f"initial_sparsity {lowest} or more"
        )
        once = self.events == 1 and self.begin == self.end
        require(
            0.0 <= self.begin <= self.end <= 1.0 and (once or self.begin < self.end),
            "prune.begin and prune.end",
            (self.begin, self.end),
            "0 <= begin < end <= 1, shares of the stage (equal for a single event)",
        )
        if self.rewind is not None:
            require(0.0 <= self.rewind < 1.0, "prune.rewind", self.rewind, "0 to below 1")
            require(self.begin > 0.0, "prune.begin", self.begin, "above 0 with rewind")

    @classmethod
    def from_table(cls, table: Mapping[str, object]) -> PruneConfig:
        """The configuration of a parsed ``[prune]`` table; unknown keys and wrong types are ConfigError.

        ``method`` names an entry of ``METHODS``, whose keys hold where the table has none of its own.
        """
        return read_table(cls, _with_method(table), "prune")

    def plan(self) -> Schedule:
        """The sparsity and the regenerated share of each event."""
        curve = SCHEDULES[self.schedule]
        limits = (self.initial_sparsity, self.sparsity, self.begin, self.end)
        decay = DECAYS[self.regenerate_decay]
        return Schedule(curve, *limits, self.events, self.regenerate, decay)

    def rules(self) -> Rules:
        """How each event chooses."""
        prune_by, regrow_by = self._criteria()
        allocation = ALLOCATIONS[self.allocation]
        return Rules(prune_by, regrow_by, allocation, self.regenerate_from, self.granularity)

    def needs(self) -> frozenset[Need]:
        """What has to be measured before an event."""
        if self.search != NO_SEARCH:
            return frozenset()
        prune_by, regrow_by = self._criteria()
        return prune_by.needs | regrow_by.needs if self.regenerate > 0 else prune_by.needs

    def _criteria(self) -> tuple[Criterion, Criterion]:
        """What decides which synapses go, and which come back."""
        return (
            criterion_of(self.criterion, "prune.criterion"),
            criterion_of(self.regenerate_by, "prune.regenerate_by"),
        )


def _with_method(table: Mapping[str, object]) -> Mapping[str, object]:
    """The table with its method's keys in place of the name."""
    if not isinstance(table, Mapping) or "method" not in table:
        return table
    own = dict(table)
    name = read_value(str, own.pop("method"), "prune.method")
    _one_of("method", name, METHODS)
    return {**METHODS[name].keys, **own}


def _one_of(key: str, value: str, known: Iterable[str]) -> None:
    require(value in known, f"prune.{key}", value, f"one of {', '.join(known)}")
