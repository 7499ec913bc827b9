"""Options that data sets share; each set adds its own and reads them from its TOML table."""

from __future__ import annotations

from dataclasses import dataclass

from runtime.errors import ConfigError


@dataclass(frozen=True)
class SplitOptions:
    """How the validation part is taken from the training data."""

    validation: float = 0.1
    """Share of the training samples (or whole groups of about that share)."""
    seed: int = 0
    """Of the split only; training has its own."""


@dataclass(frozen=True)
class GroupOptions(SplitOptions):
    """For data sets with groups."""

    validation_groups: tuple[int, ...] = ()
    """Groups to hold out by name; empty: a seeded choice of about ``validation``."""


def positive(value: int, key: str) -> int:
    """``value`` where it is at least one; raises ConfigError otherwise."""
    if value < 1:
        raise ConfigError(f"data.{key}: found {value}, expected at least 1")
    return value
