"""Writes a report as one self-contained HTML page: no script, no network, every number readable."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from pathlib import Path

from exporter.files import write_whole
from spikepress.catalog import Verdict, device_json
from spikepress.plots import Plot, as_json
from spikepress.svg import draw
from spikepress.svg_parts import mark

DEVICES_PLOT = "devices"


@dataclass(frozen=True)
class Card:
    """A headline number, already written for a person, with what it means below."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class Table:
    """Rows of words under a heading; cells that are numbers are set flush right."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


@dataclass(frozen=True)
class Report:
    """All a page shows. ``numbers`` joins the plots in the page's JSON."""

    title: str
    subtitle: str
    cards: tuple[Card, ...]
    plots: tuple[Plot, ...]
    verdicts: tuple[Verdict, ...]
    tables: tuple[Table, ...]
    numbers: Mapping[str, object]


def report_json(report: Report) -> dict[str, object]:
    """What the page embeds: the numbers, each plot's points and the devices' shares."""
    return {
        "title": report.title,
        "numbers": dict(report.numbers),
        "plots": [as_json(plot) for plot in report.plots],
        DEVICES_PLOT: [verdict_json(verdict) for verdict in report.verdicts],
    }


def verdict_json(verdict: Verdict) -> dict[str, object]:
    return {
        **device_json(verdict.device),
        "fits": verdict.fits,
        "binding": verdict.binding.value,
        "needed": verdict.needed,
        "available": verdict.available,
        "shares": {resource.value: share for resource, share in verdict.shares.items()},
    }


def render(report: Report) -> str:
    """The page as text."""
    import jinja2

    template = files("spikepress").joinpath("templates/report.html.j2").read_text(encoding="utf-8")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    pictures = {plot.id: draw(plot) for plot in report.plots}
    # "<" may not start anything inside a script element; JSON reads the escape as the same character.
    data = json.dumps(report_json(report), indent=1).replace("<", "\\u003c")
    return environment.from_string(template).render(
        report=report, pictures=pictures, data=data, bar=share_bar, is_number=is_number
    )


def write_page(report: Report, path: Path) -> None:
    write_whole(path, render(report).encode())


def share_bar(verdict: Verdict, width: float = 120.0) -> str:
    """A bar of the binding resource's share; the frame is the device, a full bar is 100 % or more."""
    share = verdict.shares[verdict.binding]
    kind = "ok" if verdict.fits else "bad"
    attributes = mark(DEVICES_PLOT, verdict.binding.value, (verdict.device.name, share))
    words = f"{verdict.device.name}: {verdict.sentence}"
    return (
        f'<svg viewBox="0 0 {width:g} 10" class="share" role="img" aria-label="{escape(words)}">'
        f'<rect x="0" y="0" width="{width:g}" height="10" rx="3" class="frame"/>'
        f'<rect x="0" y="0" width="{width * min(1.0, share):.2f}" height="10" rx="3"'
        f" {attributes.replace('mark', f'mark {kind}', 1)}><title>{escape(words)}</title></rect></svg>"
    )


def is_number(cell: str) -> bool:
    return re.fullmatch(r"-?[0-9][0-9.,]*( ?%)?|-|n/a", cell) is not None


def rows_of(values: Sequence[Sequence[object]]) -> tuple[tuple[str, ...], ...]:
    """Table rows as words; whole numbers get their thousands separated."""
    return tuple(
        tuple(
            f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
            for value in row
        )
        for row in values
    )
