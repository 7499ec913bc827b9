"""The catalogue of devices, and the verdict whether a network fits one."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache
from importlib.resources import files

from runtime.errors import ConfigError


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

    def available(self, resource: Resource) -> int:
        return self.limits[resource] - self.reserved.get(resource, 0)


def device_json(device: Device) -> dict[str, object]:
    return {
        "name": device.name,
        "title": device.title,
        "core": device.core,
        "kind": device.kind.value,
        "mhz": device.mhz,
        "limits": {resource.value: limit for resource, limit in device.limits.items()},
        "reserved": {resource.value: amount for resource, amount in device.reserved.items()},
        "source": device.source,
        "status": device.status.value,
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


def judge_all(needs: Mapping[Resource, int]) -> tuple[Verdict, ...]:
    return tuple(judge(needs, device) for device in devices())


@cache
def devices() -> tuple[Device, ...]:
    """Every device of the catalogue, in its order."""
    text = files("spikepress").joinpath("devices.toml").read_text(encoding="utf-8")
    return tuple(_device(entry) for entry in tomllib.loads(text)["device"])


def device(name: str) -> Device:
    """The device of that name; ConfigError names the known ones."""
    for entry in devices():
        if entry.name == name:
            return entry
    known = ", ".join(entry.name for entry in devices())
    raise ConfigError(f"device: found {name!r}, expected one of {known}")


def _device(entry: Mapping[str, object]) -> Device:
    limits = {resource: entry[resource.value] for resource in Resource if resource.value in entry}
    reserved = {resource: entry.get(f"reserved_{resource.value}", 0) for resource in limits}
    return Device(
        name=str(entry["name"]),
        title=str(entry["title"]),
        kind=Kind(entry["kind"]),
        core=str(entry["core"]),
        mhz=int(str(entry["mhz"])),
        limits={resource: int(str(value)) for resource, value in limits.items()},
        reserved={resource: int(str(value)) for resource, value in reserved.items()},
        source=str(entry["source"]),
        status=Status(entry["status"]),
    )
