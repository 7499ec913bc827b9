"""The matrix of ``benchmarks.interop`` as a page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def page(found: Mapping[str, Any]) -> str:
    """Markdown: a row for each construct and way."""
    versions = ", ".join(f"{name} {number}" for name, number in found["versions"].items())
    elsewhere = "".join(f" Brought from elsewhere: {line}." for line in found["elsewhere"])
    head = f"""# Networks of other frameworks, brought here

`{found["command"]}`, Python {found["python"]}, {versions};
{found["test_samples"]} test samples of scikit-learn's digits as events, 25 steps; one seed.{elsewhere}
*Exact*: every spike of the output is the framework's. Else the share of samples that are whole, and of bits.
Accuracies: in the framework, here in real units, here in integers (8-bit weights, leaks by shifts, nothing
trained again). Out and back: exported as NIR, refused where NIR has no word for it, read by NIR's own rules.

| framework | construct | way | spikes | accuracy: framework, float, integer |
|---|---|---|---|---|
"""
    return head + "".join(_row(row) for row in found["rows"])


def _row(row: Mapping[str, Any]) -> str:
    accuracy = row.get("accuracy")
    three = "–" if accuracy is None else ", ".join(f"{value:.2%}" for value in accuracy.values())
    return f"| {row['framework']} | {row['construct']} | {row['way']} | {_verdict(row)} | {three} |\n"


def _verdict(row: Mapping[str, Any]) -> str:
    if "refused" in row:
        return f"refused: {row['refused']}"
    if row["bits"] == 1.0:
        return "exact"
    known = f" ({row['loses']})" if "loses" in row else ""
    return f"{row['samples_whole']:.2%} of samples whole, {row['bits']:.4%} of bits{known}"
