"""Reads devices from TOML, strictly: a key nobody knows or a number that cannot be is an error."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from typing import Any, TypeVar

from runtime.errors import ConfigError
from spikepress.catalog import Device, Kind, Resource, Status

RESERVED = "reserved_"
WAIT_STATES = "flash_wait_states"
TEXTS = ("name", "title", "kind", "core", "source", "status")
LIMITS = tuple(resource.value for resource in Resource)
KEYS = frozenset(
    (
        *TEXTS,
        *("vendor", "mhz", "multiplier", WAIT_STATES, "not_modelled"),
        *LIMITS,
        *(RESERVED + key for key in LIMITS),
    )
)
Chosen = TypeVar("Chosen", Kind, Status)
MOST = 1 << 48
"""No device has more of anything: what is larger is a slip of the keyboard."""


def parse(text: str, name: str) -> tuple[Device, ...]:
    """The ``[[device]]`` tables of a TOML text; ConfigError names the device, the key and what was found."""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{name}: found {error}, expected TOML") from error
    entries = tables.pop("device", None)
    if tables or not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        found = ", ".join(sorted(tables)) or "no list of devices"
        raise ConfigError(f"{name}: found {found}, expected only [[device]] tables")
    made = tuple(_device(entry, f"{name}, device {number}") for number, entry in enumerate(entries, 1))
    seen: set[str] = set()
    for device in made:
        if device.name in seen:
            raise ConfigError(f"{name}: found device {device.name!r} twice, expected each name once")
        seen.add(device.name)
    return made


def _device(entry: Mapping[str, Any], where: str) -> Device:
    where = f"{where} ({entry['name']})" if isinstance(entry.get("name"), str) else where
    for key in entry:
        if key not in KEYS:
            raise ConfigError(f"{where}: found key {key!r}, expected one of {', '.join(sorted(KEYS))}")
    texts = {key: _text(entry, key, where) for key in TEXTS}
    kind, status = (
        _choice(Kind, texts["kind"], where, "kind"),
        _choice(Status, texts["status"], where, "status"),
    )
    limits = {r: _whole(entry, r.value, where, 1) for r in Resource if r.value in entry}
    device = Device(
        name=texts["name"],
        title=texts["title"],
        vendor=_text(entry, "vendor", where) if "vendor" in entry else "",
        kind=kind,
        core=texts["core"],
        mhz=_whole(entry, "mhz", where, 0),
        limits=limits,
        reserved=_reserved(entry, limits, where),
        source=texts["source"],
        status=status,
        multiplier=_flag(entry, "multiplier", where),
        wait_states=_whole(entry, WAIT_STATES, where, 0) if WAIT_STATES in entry else None,
        not_modelled=_words(entry, "not_modelled", where),
    )
    needed = (Resource.FLASH, Resource.RAM) if kind is Kind.MCU else ()
    missing = [r.value for r in needed if r not in limits] or ([] if limits else ["any limit"])
    if missing:
        raise ConfigError(f"{where}: found no {missing[0]}, expected it for a device of kind {kind.value}")
    return device


def _reserved(entry: Mapping[str, Any], limits: Mapping[Resource, int], where: str) -> dict[Resource, int]:
    found = {}
    for resource in Resource:
        key = RESERVED + resource.value
        if resource not in limits and key in entry:
            raise ConfigError(f"{where}: found {key} alone, expected {resource.value} beside it")
        if resource in limits:
            found[resource] = _whole(entry, key, where, 0) if key in entry else 0
            if found[resource] >= limits[resource]:
                raise ConfigError(
                    f"{where}: found {key} = {found[resource]}, expected less than {resource.value}"
                    f" = {limits[resource]}"
                )
    return found


def _text(entry: Mapping[str, Any], key: str, where: str) -> str:
    value = entry.get(key)
    if not isinstance(value, str) or not value.strip():
        raise ConfigError(f"{where}: found {_told(value)} for {key}, expected a text")
    return value


def _whole(entry: Mapping[str, Any], key: str, where: str, least: int) -> int:
    value = entry.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= MOST:
        raise ConfigError(
            f"{where}: found {_told(value)} for {key}, expected a whole number from {least} to 2^48"
        )
    return value


def _flag(entry: Mapping[str, Any], key: str, where: str) -> bool | None:
    value = entry.get(key)
    if value is not None and not isinstance(value, bool):
        raise ConfigError(f"{where}: found {value!r} for {key}, expected true or false")
    return value


def _words(entry: Mapping[str, Any], key: str, where: str) -> tuple[str, ...]:
    value = entry.get(key, [])
    if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
        raise ConfigError(f"{where}: found {value!r} for {key}, expected a list of texts")
    return tuple(value)


def _choice(kinds: type[Chosen], value: str, where: str, key: str) -> Chosen:
    known = [one.value for one in kinds]
    if value not in known:
        raise ConfigError(f"{where}: found {value!r} for {key}, expected one of {', '.join(known)}")
    return kinds(value)


def _told(value: object) -> str:
    return "nothing" if value is None else repr(value)
