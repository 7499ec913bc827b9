"""Reads a TOML table into a frozen dataclass: unknown keys, wrong types and unknown choices are errors."""

from __future__ import annotations

import math
import types
from collections.abc import Mapping
from dataclasses import MISSING, fields
from enum import Enum
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from runtime.errors import ConfigError

TableT = TypeVar("TableT")

_WORDS: dict[type, str] = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}


def read_table(kind: type[TableT], table: object, where: str) -> TableT:
    """A ``kind`` from a TOML table; ``where`` names the table in messages.

    Fields may be bool, int, float, str, an Enum (by value), a tuple of one of these (a single value
    stands for a tuple of one), a mapping taken as it is, or any of these or None.

    Raises:
        ConfigError: a key is unknown or missing, or a value has the wrong type.
    """
    if not isinstance(table, Mapping):
        raise ConfigError(f"{where}: found {shown(table)}, expected a table")
    hints = get_type_hints(kind)
    known = {field.name: field for field in fields(kind)}  # type: ignore[arg-type]
    for key in table:
        if key not in known:
            raise ConfigError(f"{where}.{key}: found an unknown key, expected one of {', '.join(known)}")
    for name, field in known.items():
        required = field.default is MISSING and field.default_factory is MISSING
        if required and name not in table:
            raise ConfigError(f"{where}.{name}: found no value, expected {expected(hints[name])}")
    values = {key: read_value(hints[key], value, f"{where}.{key}") for key, value in table.items()}
    return kind(**values)


def read_value(hint: Any, value: object, where: str) -> Any:
    """``value`` as the type ``hint``; raises ConfigError."""
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        inner = next(arg for arg in get_args(hint) if arg is not type(None))
        return read_value(inner, value, where)
    if origin is tuple:
        items = value if isinstance(value, list | tuple) else [value]
        return tuple(read_value(get_args(hint)[0], item, where) for item in items)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return _choice(hint, value, where)
    if origin is not None or hint is Any:
        return value
    return _plain(hint, value, where)


def _choice(hint: type[Enum], value: object, where: str) -> Enum:
    for member in hint:
        if member.value == value:
            return member
    raise ConfigError(f"{where}: found {shown(value)}, expected {expected(hint)}")


def _plain(hint: Any, value: object, where: str) -> Any:
    if hint is float and type(value) is int:
        return float(value)
    if type(value) is not hint:
        raise ConfigError(f"{where}: found {shown(value)}, expected {expected(hint)}")
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{where}: found {value}, expected a finite number")
    return value


def expected(hint: Any) -> str:
    """A type in a reader's words."""
    if isinstance(hint, type) and issubclass(hint, Enum):
        return "one of " + ", ".join(repr(member.value) for member in hint)
    if get_origin(hint) is tuple:
        return f"a list, each item {expected(get_args(hint)[0])}"
    return _WORDS.get(hint, "a value of another type")


def shown(value: object) -> str:
    """A value in a message, short."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def require(condition: bool, key: str, found: object, wanted: str) -> None:
    """Raise the ConfigError of ``key`` unless ``condition`` holds."""
    if not condition:
        raise ConfigError(f"{key}: found {shown(found)}, expected {wanted}")
