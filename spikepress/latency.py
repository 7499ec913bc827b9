"""Milliseconds of an inference on a part: its work, by the fitted cycles of the part's core, by its clock."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from exporter.targets.c_cores import NAMES
from runtime.errors import ConfigError
from spikepress.catalog import Device
from spikepress.work import Work, labels_of

COSTS = Path(__file__).parent / "results" / "cycles.json"
"""Written by ``python -m benchmarks.cycles --write``."""


@dataclass(frozen=True)
class Span:
    """Bounds in milliseconds."""

    low: float
    high: float

    @property
    def sentence(self) -> str:
        return f"{self.low:.3g} to {self.high:.3g} ms"

    def as_json(self) -> list[float]:
        return [round(self.low, 4), round(self.high, 4)]


@dataclass(frozen=True)
class Clock:
    """How long work takes on one part.

    ``cycles`` holds the bounds of each piece with memory that never waits. ``spread`` holds, by kind of
    projection and table, how far below and above what was executed the sum has been in any network that has
    it, as shares. Every cycle may touch flash, so that ``wait_states`` can delay each: in the high bound they
    do.
    """

    core: str
    mhz: int
    wait_states: int
    cycles: Mapping[str, tuple[float, float]]
    spread: Mapping[str, tuple[float, float]]

    def span(self, work: Work | None) -> Span | None:
        """Of an inference; None for work without C code or with a piece that was never measured."""
        if work is None or not work.keys() <= self.cycles.keys():
            return None
        low, high = (sum(self.cycles[name][k] * n for name, n in work.items()) for k in (0, 1))
        met = [self.spread[label] for label in labels_of(work) if label in self.spread]
        under, over = min((off for off, _ in met), default=0.0), max((off for _, off in met), default=0.0)
        per_ms = 1000.0 * self.mhz
        slowest = (1 + self.wait_states) / (1.0 + min(0.0, under))
        return Span(low / (1.0 + max(0.0, over)) / per_ms, high * slowest / per_ms)


def clock_of(device: Device) -> Clock:
    """The device's clock; ConfigError where its core or its memory has no fitted model."""
    core = NAMES.get(device.core, "")
    costs = _costs().get(core)
    if costs is None:
        raise ConfigError(
            f"--latency: found no cost model that was fitted to device {device.name} ({device.core}),"
            f" expected a device with one of the cores {', '.join(sorted(_costs()))}"
        )
    if device.wait_states is None or device.mhz == 0:
        raise ConfigError(
            f"--latency: found device {device.name} without a clock or without flash wait states,"
            " expected mhz and flash_wait_states in its entry"
        )
    cycles = {name: (bounds[0], bounds[1]) for name, bounds in costs["cycles"].items()}
    spread = {label: (off[0], off[1]) for label, off in costs["spread"].items()}
    return Clock(core, device.mhz, device.wait_states, cycles, spread)


def has_clock(device: Device) -> bool:
    """Whether an inference's time on the device can be told."""
    return NAMES.get(device.core, "") in _costs() and device.wait_states is not None and device.mhz > 0


@cache
def _costs() -> Mapping[str, Mapping[str, Any]]:
    found: Mapping[str, Mapping[str, Any]] = json.loads(COSTS.read_text(encoding="utf-8"))["cores"]
    return found
