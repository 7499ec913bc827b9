"""A user's own part in the place of one of ours: ``module:NAME`` of Python code, or an installed entry point.

Names come from configurations and command lines, never from a model file: what is named is imported and run.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from importlib import import_module, metadata
from pathlib import Path
from typing import Any, TypeVar

from runtime.errors import ConfigError

T = TypeVar("T")
NAMED = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
GROUPS = {
    "dataset": "spikepress.datasets",
    "coder": "spikepress.coders",
    "layer": "spikepress.layers",
    "criterion": "spikepress.criteria",
    "device": "spikepress.devices",
    "encoding": "spikepress.encodings",
}
"""Groups of entry points, by the kind of part."""


def is_place(name: str) -> bool:
    """Whether a name reads as ``module:NAME``."""
    return NAMED.fullmatch(name) is not None


def known_or_own(kind: str, key: str, name: str, known: Mapping[str, T]) -> T | Any:
    """The part ``name`` of a ``kind`` of ``GROUPS``: of ``known``, of ``module:NAME``, or of an entry point.

    Raises ConfigError naming ``key`` where there is none, or it fails to import.
    """
    if name in known:
        return known[name]
    if is_place(name):
        return imported(key, name)
    for point in metadata.entry_points(group=GROUPS[kind]):
        if point.name == name:
            return imported(key, point.value)
    raise ConfigError(f"{key}: found {name!r}, expected one of {', '.join(sorted(known))}, or module:NAME")


def imported(key: str, place: str) -> Any:
    """The object at ``module:NAME``, the working directory among the places of modules."""
    if not is_place(place):
        raise ConfigError(f"{key}: found {place!r}, expected module:NAME")
    module, name = place.split(":")
    sys.path.insert(0, str(Path.cwd()))
    try:
        return getattr(import_module(module), name)
    except Exception as error:
        said = " ".join(str(error).split())[:200]
        raise ConfigError(
            f"{key}: found {type(error).__name__} ({said}) importing {place}, expected module:NAME"
        ) from error
    finally:
        sys.path.pop(0)


def made(key: str, part: Any) -> Any:
    """The part, or an instance of it where it is a class, made without arguments; ConfigError if it fails."""
    if not isinstance(part, type):
        return part
    try:
        return part()
    except Exception as error:
        said = " ".join(str(error).split())[:200]
        raise ConfigError(
            f"{key}: found {type(error).__name__} ({said}) making a {part.__name__}, expected none"
        ) from error
