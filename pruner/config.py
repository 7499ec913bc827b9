"""``PruneConfig``: the ``[prune]`` table of a configuration file."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from enum import Enum
from pathlib import Path

from pruner.evidence import Need
from pruner.registry import ALLOCATIONS, CRITERIA, KERNELS, NORMALIZATIONS, SCHEDULES, SURROGATE
from pruner.regrow import Candidates, Rules, Value
from pruner.schedule import Schedule
from runtime.errors import ConfigError


@dataclass(frozen=True)
class PruneConfig:
    """How a network is pruned while it trains. Raises ConfigError for values that cannot work.

    Sparsities are weight sparsities over all synapse layers, protected ones included. ``begin`` and
    ``end`` are shares of the stage's optimiser steps.
    """

    sparsity: float = 0.9
    initial_sparsity: float = 0.0
    begin: float = 0.0
    end: float = 0.75
    events: int = 20
    schedule: str = "cubic"
    criterion: str = "magnitude"
    allocation: str = "global"
    protect_readout: bool = False
    """Keep every synapse of the layer that feeds the output population."""
    protect: tuple[str, ...] = ()
    """Names of further layers to keep whole."""
    regenerate: float = 0.0
    """Share of the kept synapses chosen anew by ``regenerate_by``; falls to 0 by half a cosine."""
    regenerate_by: str = "criticality-gradient"
    regenerate_from: Candidates = Candidates.JUST_PRUNED
    regenerate_value: Value = Value.ZERO
    kernel: str = "surrogate"
    """Shape of the criticality score's kernel; ``surrogate`` is the one the neuron trains with."""
    bandwidth: float = 1.0
    """Width of that kernel, relative to the width the neuron trains with."""
    normalization: str = "mean"
    """How criticalities are made comparable between layers."""
    gather_steps: int = 10
    """Training steps before each event over which activity and criticality are averaged."""
    seed: int = 0

    def __post_init__(self) -> None:
        _one_of("schedule", self.schedule, SCHEDULES)
        _one_of("criterion", self.criterion, CRITERIA)
        _one_of("allocation", self.allocation, ALLOCATIONS)
        _one_of("regenerate_by", self.regenerate_by, CRITERIA)
        _one_of("kernel", self.kernel, (SURROGATE, *KERNELS))
        _one_of("normalization", self.normalization, NORMALIZATIONS)
        _check_range("sparsity", self.sparsity, below=1.0)
        _check_range("initial_sparsity", self.initial_sparsity, below=1.0)
        _check_range("regenerate", self.regenerate, below=1.0)
        _check_schedule(self)

    @classmethod
    def from_table(cls, table: Mapping[str, object]) -> PruneConfig:
        """The configuration of a parsed ``[prune]`` table; unknown keys and wrong types are ConfigError."""
        types = {field.name: field.default for field in fields(cls)}
        for key in table:
            if key not in types:
                raise ConfigError(f"prune.{key}: found an unknown key, expected one of {', '.join(types)}")
        return cls(**{key: _typed(key, value, types[key]) for key, value in table.items()})  # type: ignore[arg-type]

    @classmethod
    def load(cls, path: Path) -> PruneConfig:
        """The ``[prune]`` table of a TOML file, defaults for what it leaves out."""
        try:
            document = tomllib.loads(path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise ConfigError(f"{path}: found no readable TOML ({error}), expected a file") from error
        table = document.get("prune", {})
        if not isinstance(table, dict):
            raise ConfigError(f"{path}: found prune = {table!r}, expected a table [prune]")
        return cls.from_table(table)

    def plan(self) -> Schedule:
        curve = SCHEDULES[self.schedule]
        limits = (self.initial_sparsity, self.sparsity, self.begin, self.end)
        return Schedule(curve, *limits, self.events, self.regenerate)

    def rules(self) -> Rules:
        regrow_by = CRITERIA[self.regenerate_by]
        return Rules(CRITERIA[self.criterion], regrow_by, ALLOCATIONS[self.allocation], self.regenerate_from)

    def needs(self) -> frozenset[Need]:
        """What has to be measured before an event."""
        needs = CRITERIA[self.criterion].needs
        return needs | CRITERIA[self.regenerate_by].needs if self.regenerate > 0 else needs


def _one_of(key: str, value: str, known: Iterable[str]) -> None:
    if value not in known:
        raise ConfigError(f"prune.{key}: found {value!r}, expected one of {', '.join(known)}")


def _check_range(key: str, value: float, *, below: float) -> None:
    if not 0.0 <= value < below:
        raise ConfigError(f"prune.{key}: found {value}, expected at least 0 and less than {below:g}")


def _check_schedule(config: PruneConfig) -> None:
    if config.sparsity < config.initial_sparsity:
        raise ConfigError(
            f"prune.sparsity: found {config.sparsity} after initial_sparsity {config.initial_sparsity}, "
            "expected it not to fall"
        )
    if not 0.0 <= config.begin < config.end <= 1.0:
        raise ConfigError(
            f"prune.begin, prune.end: found {config.begin} and {config.end}, "
            "expected 0 <= begin < end <= 1 (shares of the run)"
        )
    for key, least in (("events", 1), ("gather_steps", 1)):
        if getattr(config, key) < least:
            raise ConfigError(f"prune.{key}: found {getattr(config, key)}, expected at least {least}")
    if not config.bandwidth > 0.0:
        raise ConfigError(f"prune.bandwidth: found {config.bandwidth}, expected more than 0")


def _typed(key: str, value: object, default: object) -> object:
    """``value`` in the type of the field's default: numbers widen, strings become enum members."""
    if isinstance(default, Enum):
        choices = [member.value for member in type(default)]
        if value not in choices:
            raise ConfigError(f"prune.{key}: found {value!r}, expected one of {', '.join(choices)}")
        return type(default)(value)
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(default, tuple) and isinstance(value, list) and all(isinstance(v, str) for v in value):
        return tuple(value)
    if type(value) is not type(default):
        kind = "list of strings" if isinstance(default, tuple) else type(default).__name__
        raise ConfigError(f"prune.{key}: found {value!r}, expected a {kind}")
    return value
