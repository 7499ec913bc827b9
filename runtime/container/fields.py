"""Reading a manifest without trust: parsing under limits, then typed access to every field."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from enum import Enum
from typing import TypeVar

from runtime.container.layout import MAX_DEPTH, MAX_DIGITS, MAX_MANIFEST
from runtime.errors import FormatError

Choice = TypeVar("Choice", bound=Enum)
Item = TypeVar("Item")

TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[\[\]{},]', re.DOTALL)
"""A string, closed or not, so that none is scanned twice; or what opens, parts or closes values."""
COST = {b"[": 1, b",": 1, b"{": 3}
BYTES_A_VALUE, SMALLEST = 6, 64
"""No manifest of ours has as few bytes a value; bounds the objects that parsing makes of it."""


def parse(manifest: bytes) -> Fields:
    """The manifest's top object, parsed under the limits of the format."""
    if len(manifest) > MAX_MANIFEST:
        raise FormatError(f"manifest: found {len(manifest)} bytes, expected at most {MAX_MANIFEST}")
    _check_structure(manifest)
    try:
        parsed = json.loads(
            manifest.decode("ascii"),
            object_pairs_hook=_without_duplicates,
            parse_int=_integer,
            parse_float=_number,
            parse_constant=_number,
        )
    except (ValueError, RecursionError) as error:
        raise FormatError(f"manifest: found no JSON in ASCII ({error}), expected an object") from error
    return Fields(parsed, "manifest")


def _check_structure(manifest: bytes) -> None:
    """Refuse what would cost much more to parse than it is long, before it is parsed."""
    left, depth = SMALLEST + len(manifest) // BYTES_A_VALUE, 0
    for token in TOKEN.finditer(manifest):
        found = token[0]
        left -= COST.get(found, 0)
        depth += (found in (b"[", b"{")) - (found in (b"]", b"}"))
        if depth > MAX_DEPTH:
            raise FormatError(f"manifest: found more than {MAX_DEPTH} levels, expected at most that")
        if left < 0:
            raise FormatError(
                f"manifest: found too many values in {len(manifest)} bytes, expected {BYTES_A_VALUE} for each"
            )


def _without_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, value in pairs:
        if name in found:
            raise FormatError(f"manifest: found the key {name[:64]!r} twice in one object, expected it once")
        found[name] = value
    return found


def _integer(text: str) -> int:
    if len(text) > MAX_DIGITS + 1:
        raise FormatError(f"manifest: found an integer of {len(text)} digits, expected at most {MAX_DIGITS}")
    return int(text)


def _number(text: str) -> float:
    value = float(text) if len(text) <= 64 else math.nan
    if not math.isfinite(value):
        raise FormatError(f"manifest: found the number {text[:64]}, expected a finite one")
    return value


class Fields:
    """One object of the manifest. Each field is taken once; ``done`` refuses what was not asked for."""

    def __init__(self, found: object, place: str) -> None:
        if not isinstance(found, dict):
            raise FormatError(f"{place}: found {_kind(found)}, expected an object")
        self.place = place
        self._left: dict[str, object] = dict(found)

    def take(self, name: str) -> object:
        if name not in self._left:
            raise FormatError(f"{self.place}: found no field {name!r}, expected one")
        return self._left.pop(name)

    def done(self) -> None:
        if self._left:
            unknown = sorted(self._left)[0][:64]
            raise FormatError(f"{self.place}: found the unknown field {unknown!r}, expected only known ones")

    def inner(self, name: str) -> Fields:
        return Fields(self.take(name), f"{self.place}.{name}")

    def optional(self, name: str, read: Callable[[Fields], Item]) -> Item | None:
        """``read`` of an object, or None where the field is null."""
        found = self.take(name)
        return None if found is None else read(Fields(found, f"{self.place}.{name}"))

    def integer(self, name: str) -> int:
        return self._typed(name, self.take(name), int, "a whole number")

    def positive_or_absent(self, name: str) -> int:
        """A whole number that is written only where it is not 0; 0 where it is missing."""
        if name not in self._left:
            return 0
        found = self.integer(name)
        if found < 1:
            raise FormatError(f"{self.place}.{name}: found {found}, expected 1 or more, or no such field")
        return found

    def flag(self, name: str) -> bool:
        found = self.take(name)
        if not isinstance(found, bool):
            raise FormatError(f"{self.place}.{name}: found {_kind(found)}, expected true or false")
        return found

    def number(self, name: str) -> float:
        found = self.take(name)
        if isinstance(found, bool) or not isinstance(found, int | float):
            raise FormatError(f"{self.place}.{name}: found {_kind(found)}, expected a number")
        return float(found)

    def text(self, name: str, longest: int) -> str:
        found = self._typed(name, self.take(name), str, "a text")
        return _valid_text(found, f"{self.place}.{name}", longest)

    def choice(self, name: str, kind: type[Choice]) -> Choice:
        """The member of an enum whose value the field holds."""
        found = self.take(name)
        for member in kind:
            if type(found) is type(member.value) and found == member.value:
                return member
        known = ", ".join(str(member.value) for member in kind)
        shown = repr(found)[:64] if isinstance(found, str | int) else _kind(found)
        raise FormatError(f"{self.place}.{name}: found {shown}, expected one of {known}")

    def sequence(self, name: str, longest: int) -> list[object]:
        found = self._typed(name, self.take(name), list, "a list")
        if len(found) > longest:
            raise FormatError(f"{self.place}.{name}: found {len(found)} items, expected at most {longest}")
        return found

    def integers(self, name: str, longest: int) -> tuple[int, ...]:
        items = self.sequence(name, longest)
        return tuple(self._typed(name, item, int, "a whole number") for item in items)

    def optional_integers(self, name: str, longest: int) -> tuple[int, ...] | None:
        if self._left.get(name, 0) is None:
            return self.take(name)  # type: ignore[return-value]  # it is None
        return self.integers(name, longest)

    def objects(self, name: str, longest: int) -> list[Fields]:
        items = self.sequence(name, longest)
        return [Fields(item, f"{self.place}.{name}[{k}]") for k, item in enumerate(items)]

    def texts(self, name: str, most: int, longest: int) -> tuple[str, ...]:
        place = f"{self.place}.{name}"
        items = self.sequence(name, most)
        return tuple(_valid_text(self._typed(name, item, str, "a text"), place, longest) for item in items)

    def mapping(self, name: str, most: int, longest: int) -> dict[str, str]:
        """An object of text to text, as it is."""
        inner = self.inner(name)
        if len(inner._left) > most:
            raise FormatError(f"{inner.place}: found {len(inner._left)} entries, expected at most {most}")
        keys = [_valid_text(key, inner.place, longest) for key in inner._left]
        return {key: inner.text(key, longest) for key in keys}

    def _typed(self, name: str, found: object, kind: type[Item], expected: str) -> Item:
        if not isinstance(found, kind) or isinstance(found, bool):
            raise FormatError(f"{self.place}.{name}: found {_kind(found)}, expected {expected}")
        return found


def _valid_text(found: str, place: str, longest: int) -> str:
    if len(found) > longest:
        raise FormatError(f"{place}: found a text of {len(found)} characters, expected at most {longest}")
    if any(0xD800 <= ord(character) <= 0xDFFF for character in found):
        raise FormatError(f"{place}: found half a surrogate pair, expected valid Unicode")
    return found


def _kind(found: object) -> str:
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(found), "a number")
