"""The catalogue of devices, and the verdict whether a network fits one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache
from importlib.resources import files
from pathlib import Path

from runtime.errors import ConfigError, DataError


class Kind(Enum):
    MCU = "mcu"
    FPGA = "fpga"
    NEUROMORPHIC = "neuromorphic"


class Status(Enum):
    """How far a device's figures were checked against the named source."""

    VERIFIED = "verified"
    PARTLY = "partly verified"
    GENERAL = "general knowledge"


class Resource(Enum):
    """What a device has a limited amount of; the value is the key in ``devices.toml``."""

    FLASH = "flash_bytes"
    RAM = "ram_bytes"
    BLOCK_RAM = "block_ram_bits"
    NEURONS = "neurons"
    SYNAPSES = "synapses"
    STORED_WEIGHTS = "stored_weights"
    """Weights of a chip that stores zeros like any other."""
    INPUTS = "inputs"


@dataclass(frozen=True)
class Device:
    """One target: its limits, and what of them is not for the network."""

    name: str
    title: str
    kind: Kind
    core: str
    mhz: int
    limits: Mapping[Resource, int]
    reserved: Mapping[Resource, int]
    source: str
    status: Status
    multiplier: bool | None = None
    """Whether the core multiplies in hardware; None where that is no question."""
    wait_states: int | None = None
    """Cycles that an access to flash waits at ``mhz``; None where nobody says, or a cache is before it."""
    vendor: str = ""
    not_modelled: tuple[str, ...] = ()
    """What of the device no figure here knows: caches, wait states, further memories."""

    def available(self, resource: Resource) -> int:
        return self.limits[resource] - self.reserved.get(resource, 0)


def device_json(device: Device) -> dict[str, object]:
    return {
        "name": device.name,
        "title": device.title,
        "vendor": device.vendor,
        "core": device.core,
        "kind": device.kind.value,
        "mhz": device.mhz,
        "limits": {resource.value: limit for resource, limit in device.limits.items()},
        "reserved": {resource.value: amount for resource, amount in device.reserved.items()},
        "source": device.source,
        "status": device.status.value,
        "multiplier": device.multiplier,
        "flash_wait_states": device.wait_states,
        "not_modelled": list(device.not_modelled),
    }


@dataclass(frozen=True)
class Verdict:
    """Whether a network fits a device. ``shares`` is needed / available per limited resource; the
    binding resource is the one with the largest share."""

    device: Device
    shares: Mapping[Resource, float]
    binding: Resource
    needed: int
    available: int

    @property
    def fits(self) -> bool:
        return self.needed <= self.available

    @property
    def sentence(self) -> str:
        word = "fits" if self.fits else "does not fit"
        return (
            f"{word}: {self.binding.value} {self.needed:,} of {self.available:,}"
            f" ({self.shares[self.binding]:.1%})"
        )


def judge(needs: Mapping[Resource, int], device: Device) -> Verdict:
    """Sets ``needs`` against every limit of the device; a limit nobody states a need for is an error."""
    missing = [resource.value for resource in device.limits if resource not in needs]
    if missing:
        raise ConfigError(f"device {device.name}: found no need for {missing}, expected one for each limit")
    shares = {resource: needs[resource] / max(1, device.available(resource)) for resource in device.limits}
    binding = max(shares, key=lambda resource: shares[resource])
    return Verdict(device, shares, binding, needs[binding], device.available(binding))


def judge_all(needs: Mapping[Resource, int], entries: Iterable[Device] | None = None) -> tuple[Verdict, ...]:
    """A verdict for each of ``entries``, by default for the whole catalogue."""
    return tuple(judge(needs, entry) for entry in (devices() if entries is None else entries))


def devices(file: str | Path | None = None) -> tuple[Device, ...]:
    """Every device of the catalogue, in its order, then those of a user's TOML ``file``.

    Raises DataError where the file cannot be read, ConfigError for anything in it that cannot be.
    """
    if file is None:
        return _built_in()
    from spikepress.device_file import parse

    try:
        text = Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"devices {file}: found {error}, expected a TOML file") from error
    own = parse(text, str(file))
    known = {entry.name for entry in _built_in()}
    for entry in own:
        if entry.name in known:
            raise ConfigError(
                f"{file}: found device {entry.name!r}, which the catalogue has, expected a new name"
            )
    return (*_built_in(), *own)


@cache
def _built_in() -> tuple[Device, ...]:
    from spikepress.device_file import parse

    text = files("spikepress").joinpath("devices.toml").read_text(encoding="utf-8")
    return parse(text, "devices.toml")


def device(name: str, file: str | Path | None = None) -> Device:
    """The device of that name, or at ``module:DEVICE``; ConfigError names the known ones."""
    from runtime.plugins import known_or_own, made

    known = {entry.name: entry for entry in devices(file)}
    found = made("device", known_or_own("device", "device", name, known))
    if not isinstance(found, Device):
        raise ConfigError(f"device: found a {type(found).__name__} at {name}, expected a Device")
    return found


@dataclass(frozen=True)
class Wanted:
    """Which devices to list; None asks for nothing. Words are found whatever their case."""

    kind: str | None = None
    core: str | None = None
    """Part of the core's name."""
    vendor: str | None = None
    """Part of the vendor's name."""
    words: str | None = None
    """Part of the name, the title, the vendor's or the core's name."""
    flash: int | None = None
    """Bytes of flash that a network must be able to use at least."""
    ram: int | None = None

    def __post_init__(self) -> None:
        kinds = [one.value for one in Kind]
        if self.kind is not None and self.kind not in kinds:
            raise ConfigError(f"--kind: found {self.kind!r}, expected one of {', '.join(kinds)}")

    def admits(self, device: Device) -> bool:
        words = (device.name, device.title, device.vendor, device.core)
        return (
            (self.kind is None or device.kind.value == self.kind)
            and _within(self.core, (device.core,))
            and _within(self.vendor, (device.vendor,))
            and _within(self.words, words)
            and _usable(device, Resource.FLASH, self.flash)
            and _usable(device, Resource.RAM, self.ram)
        )


def _within(part: str | None, words: Iterable[str]) -> bool:
    return part is None or any(part.lower() in word.lower() for word in words)


def _usable(device: Device, resource: Resource, least: int | None) -> bool:
    return least is None or (resource in device.limits and device.available(resource) >= least)


def matching(entries: Iterable[Device], wanted: Wanted) -> list[Device]:
    """The devices that ``wanted`` admits, in their order."""
    return [entry for entry in entries if wanted.admits(entry)]
