"""The count of tests by core: too few fail, missing tools are told and never count as passed."""

from __future__ import annotations

import tests.tiers
from tests.tiers import EXPECTED, absences, shortfalls


def test_as_many_as_expected_is_no_shortfall_and_one_fewer_is_named(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(tests.tiers, "missing", lambda core: None)
    assert shortfalls(dict(EXPECTED)) == []
    assert shortfalls({**EXPECTED, "avr": EXPECTED["avr"] - 1}) == [
        f"avr: found {EXPECTED['avr'] - 1} passed tests, expected at least {EXPECTED['avr']}"
    ]
    assert absences() == []


def test_a_core_without_tools_is_told_and_not_failed(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    reasons = {"avr": "found no avr-gcc"}
    monkeypatch.setattr(tests.tiers, "missing", lambda core: reasons.get(core.name))
    assert shortfalls({**EXPECTED, "avr": 0}) == []
    assert absences() == ["avr: not tested, found no avr-gcc"]
