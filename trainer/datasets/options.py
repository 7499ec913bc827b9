"""Options of a data set as a frozen dataclass, read from a TOML table; unknown keys are errors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar, get_type_hints

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


OptionsT = TypeVar("OptionsT", bound=SplitOptions)


def read_options(kind: type[OptionsT], table: Mapping[str, object], name: str) -> OptionsT:
    """The options of data set ``name`` from a table; raises ConfigError on an unknown key or wrong type."""
    hints = get_type_hints(kind)
    known = [field.name for field in fields(kind)]
    for key in table:
        if key not in known:
            raise ConfigError(f"data.{key}: found a key that {name} does not know, expected one of {known}")
    values: dict[str, Any] = {
        key: typed_value(value, hints[key], f"data.{key}") for key, value in table.items()
    }
    return kind(**values)


def typed_value(value: object, kind: Any, key: str) -> object:
    """``value`` as ``kind`` (int, float, str, bool or a tuple of them)."""
    if kind in (int, float) and isinstance(value, bool):
        raise ConfigError(f"{key}: found {value}, expected a number")
    if kind is float and isinstance(value, int):
        return float(value)
    if kind in (int, float, str, bool):
        if not isinstance(value, kind):
            raise ConfigError(f"{key}: found {value!r}, expected a value of type {kind.__name__}")
        return value
    inner = kind.__args__[0]
    if not isinstance(value, list | tuple):
        raise ConfigError(f"{key}: found {value!r}, expected a list")
    return tuple(typed_value(item, inner, key) for item in value)


def positive(value: int, key: str) -> int:
    """``value`` where it is at least one; raises ConfigError otherwise."""
    if value < 1:
        raise ConfigError(f"data.{key}: found {value}, expected at least 1")
    return value
