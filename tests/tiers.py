"""The emulated cores that tests run on, and how many tests of the gate must pass on each.

A core whose tools are missing skips with the reason and is told so at the end; one whose tools are there and
on which fewer tests passed fails the whole run. Raise a number when you add tests.
"""

from __future__ import annotations

import pytest

from exporter.targets.c_cores import CORES
from spikepress.tools.toolchain import missing

EXPECTED = {"cortex-m0": 5, "cortex-m4": 5, "cortex-m33": 2, "rv32i": 3, "rv32ec": 6, "avr": 19}
"""Passed tests by core; each core of the parametrised parity tests."""


def on(core: str, *values: object) -> object:
    """A parameter set that runs on a core."""
    return pytest.param(*values, marks=pytest.mark.tier(core))


def need(core: str) -> None:
    """Skip where the tools of a core are missing, with the reason."""
    reason = missing(CORES[core])
    if reason is not None:
        pytest.skip(reason)


def shortfalls(passed: dict[str, int]) -> list[str]:
    """A sentence for each core whose tools are here and that ran fewer tests than it must."""
    return [
        f"{core}: found {passed.get(core, 0)} passed tests, expected at least {least}"
        for core, least in EXPECTED.items()
        if passed.get(core, 0) < least and missing(CORES[core]) is None
    ]


def absences() -> list[str]:
    """A sentence for each core that could not be tested here."""
    found = {core: missing(CORES[core]) for core in EXPECTED}
    return [f"{core}: not tested, {reason}" for core, reason in found.items() if reason is not None]
