"""The JSON form of a graph: dataclasses by kind, enums by value, arrays by name; read back by field types."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import Enum
from typing import Any, Union, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray

from exporter import graph as nodes
from runtime import spec
from runtime.errors import FormatError

Arrays = dict[str, NDArray[Any]]

CLASS = "class"
"""Key of an object's class name; a word that no field has (a pool has a ``kind``)."""


def plain(value: Any, arrays: Arrays) -> Any:
    """JSON form of a value; arrays go to ``arrays`` under numbered names."""
    if isinstance(value, np.ndarray):
        key = f"array_{len(arrays)}"
        arrays[key] = np.ascontiguousarray(value).astype(value.dtype.newbyteorder("<"))
        return {"array": key}
    if is_dataclass(value) and not isinstance(value, type):
        found = {field.name: plain(getattr(value, field.name), arrays) for field in fields(value)}
        return {CLASS: type(value).__name__, **found}
    if isinstance(value, tuple | list):
        return [plain(item, arrays) for item in value]
    if isinstance(value, Mapping):
        return {str(key): str(item) for key, item in value.items()}
    return value.value if isinstance(value, Enum) else value


class Reader:
    """Makes values of announced types from their JSON forms; ``FormatError`` says where one is not."""

    def __init__(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        self.arrays = arrays

    def typed(self, value: Any, hint: Any, where: str) -> Any:
        """The value that ``value`` stands for, of the type ``hint``."""
        origin = get_origin(hint)
        if origin in (Union, types.UnionType):
            return self._one_of(value, get_args(hint), where)
        if origin is tuple:
            return self._tuple(value, get_args(hint), where)
        if origin is not None:
            return self._held(value, origin, where)
        if issubclass(hint, Enum):
            return _member(value, hint, where)
        return self._object(value, hint, where) if _is_class(hint) else _scalar(value, hint, where)

    def _one_of(self, value: Any, hints: tuple[Any, ...], where: str) -> Any:
        if value is None and types.NoneType in hints:
            return None
        for hint in hints:
            if hint is not types.NoneType and _announces(value, hint):
                return self.typed(value, hint, where)
        raise _wrong(where, value, " or ".join(getattr(hint, "__name__", str(hint)) for hint in hints))

    def _tuple(self, value: Any, hints: tuple[Any, ...], where: str) -> Any:
        if not isinstance(value, list):
            raise _wrong(where, value, "a list")
        if len(hints) == 2 and hints[1] is Ellipsis:
            hints = (hints[0],) * len(value)
        if len(hints) != len(value):
            raise _wrong(where, value, f"{len(hints)} entries")
        return tuple(self.typed(item, hint, where) for item, hint in zip(value, hints, strict=True))

    def _held(self, value: Any, origin: Any, where: str) -> Any:
        """An array, or a mapping of text."""
        if origin is np.ndarray:
            key = value.get("array") if isinstance(value, dict) else None
            if not isinstance(key, str) or key not in self.arrays:
                raise _wrong(where, value, "the name of a stored array")
            return self.arrays[key]
        if isinstance(value, dict) and all(isinstance(item, str) for item in value.values()):
            return value
        raise _wrong(where, value, "text by name")

    def _object(self, value: Any, hint: type[Any], where: str) -> Any:
        if not isinstance(value, dict) or value.get(CLASS) != hint.__name__:
            raise _wrong(where, value, f"a {hint.__name__}")
        hints = get_type_hints(hint, {**vars(nodes), **vars(spec)})
        known = [field.name for field in fields(hint)]
        needed = [field.name for field in fields(hint) if _has_no_default(field)]
        if not {CLASS, *needed} <= set(value) <= {CLASS, *known}:
            raise FormatError(f"{where}: found fields {sorted(value)}, expected {sorted([CLASS, *known])}")
        place = value["name"] if isinstance(value.get("name"), str) else where
        present = [name for name in known if name in value]
        found = {name: self.typed(value[name], hints[name], f"{place}.{name}") for name in present}
        try:
            return hint(**found)
        except ValueError as error:
            raise FormatError(f"{place}: {error}") from error


def _has_no_default(field: Field[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def _is_class(hint: Any) -> bool:
    return is_dataclass(hint)


def _announces(value: Any, hint: Any) -> bool:
    """Whether a JSON form can be of this one type of a union."""
    if get_origin(hint) is np.ndarray:
        return isinstance(value, dict) and "array" in value
    if get_origin(hint) is tuple:
        return isinstance(value, list)
    if is_dataclass(hint):
        return isinstance(value, dict) and value.get(CLASS) == getattr(hint, "__name__", "")
    return isinstance(value, int | float) and not isinstance(value, bool)


def _member(value: Any, hint: type[Enum], where: str) -> Enum:
    try:
        return hint(value)
    except ValueError as error:
        raise _wrong(where, value, f"a {hint.__name__}") from error


def _scalar(value: Any, hint: Any, where: str) -> Any:
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if hint in (int, bool, str) and type(value) is hint:
        return value
    raise _wrong(where, value, getattr(hint, "__name__", str(hint)))


def _wrong(where: str, value: Any, expected: str) -> FormatError:
    return FormatError(f"{where}: found {str(value)[:80]!r}, expected {expected}")
