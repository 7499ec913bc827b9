"""Prints results for a person: rich tables on stdout."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from rich.console import Console
from rich.table import Table

from spikepress.catalog import Device, Resource, Verdict
from spikepress.formats import Format, format_tables
from spikepress.terminal_plots import print_plot

if TYPE_CHECKING:
    from spikepress.exactness import LegResult
    from spikepress.page import Report
    from spikepress.stage import Outcome
    from spikepress.timing import Timing
    from spikepress.verification import Verification


WORDY = ("value", "basis", "")
"""Columns that hold sentences or hashes: flush left, and folded where the terminal is narrow."""


def _console() -> Console:
    return Console(highlight=False)


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table whose columns after the first are flush right."""
    table = Table(title=title, title_justify="left", title_style="bold")
    for index, column in enumerate(columns):
        words = column in WORDY
        table.add_column(column, justify="left" if index == 0 or words else "right", overflow="fold")
    for row in rows:
        table.add_row(*row)
    _console().print(table)


def print_devices(devices: Sequence[Device]) -> None:
    """What of each device a network may use: total less reserved."""

    def usable(device: Device, resource: Resource) -> str:
        return f"{device.available(resource):,}" if resource in device.limits else "-"

    columns = ("name", "vendor", "core", "usable flash B", "usable RAM B", "block RAM bit", "MHz", "figures")
    resources = (Resource.FLASH, Resource.RAM, Resource.BLOCK_RAM)
    rows = (
        (
            d.name,
            d.vendor or "-",
            d.core,
            *(usable(d, r) for r in resources),
            str(d.mhz or "-"),
            d.status.value,
        )
        for d in devices
    )
    print_table("Devices", columns, rows)
    _console().print("Totals, reserves, sources and what is not modelled of each: --json")


def print_verdicts(verdicts: Sequence[Verdict]) -> None:
    rows = (
        (
            v.device.name,
            "[green]fits[/]" if v.fits else "[red]does not fit[/]",
            v.binding.value,
            f"{v.needed:,}",
            f"{v.available:,}",
            f"{v.shares[v.binding]:.1%}",
        )
        for v in verdicts
    )
    print_table("Devices", ("device", "verdict", "binding", "needed", "available", "share"), rows)


def print_report(report: Report) -> None:
    """The cards, tables and verdicts of a report."""
    console = _console()
    console.print(f"[bold]{report.title}[/]\n{report.subtitle}")
    print_table("Figures", ("figure", "measured", ""), ((c.label, c.value, c.note) for c in report.cards))
    for plot in report.plots:
        print_plot(plot)
    for table in report.tables:
        print_table(table.title, table.columns, table.rows)
    print_verdicts(report.verdicts)


def _print_legs(title: str, legs: Sequence[LegResult]) -> None:
    rows = (
        (
            leg.leg,
            "[green]exact[/]" if leg.exact else "[red]differs[/]",
            f"{leg.differing_spikes:,}",
            f"{leg.differing_membranes:,}",
            f"{leg.differing_predictions:,}",
        )
        for leg in legs
    )
    columns = ("leg", "verdict", "spikes", "membranes", "predictions")
    print_table(title, columns, rows)


def print_verification(result: Verification) -> None:
    given = f"{result.samples:,} test and {result.stress:,} stress samples"
    _print_legs(f"Differences from the reference over {given}", result.legs)
    _print_legs(f"The same with bounds that clamp {result.clamps:,} membranes", result.saturated)
    layers = (
        (
            x.layer,
            "silent" if x.silent else f"{x.rate:.2%}",
            "n/a" if x.ties is None else f"{x.ties:,}",
            *(f"{count:,}" for count in (x.clamps, x.positive, x.negative)),
        )
        for x in result.activity
    )
    print_table("Activity of the reference", ("layer", "rate", "ties", "clamps", "v > 0", "v < 0"), layers)
    for sentence in result.sentences:
        _console().print(sentence)


def print_outcome(outcome: Outcome) -> None:
    rows = ((name, _word(value)) for name, value in outcome.as_json().items() if not isinstance(value, dict))
    print_table("Run", ("figure", "measured"), rows)


def print_card(card: Mapping[str, object]) -> None:
    """The scalar facts of an artefact, then its populations and projections."""
    rows = ((k, _word(v)) for k, v in card.items() if not isinstance(v, (list, dict)))
    print_table("Artefact", ("fact", "value"), rows)
    for name in ("populations", "projections", "meta"):
        entries = card.get(name)
        if isinstance(entries, dict):
            print_table(name, ("fact", "value"), ((str(k), _word(v)) for k, v in entries.items()))
        elif isinstance(entries, list) and entries:
            listed = cast(list[dict[str, object]], entries)
            print_table(name, tuple(listed[0]), (tuple(_word(v) for v in x.values()) for x in listed))
    for table in format_tables(tuple(Format(**one) for one in cast(list[Any], card["formats"]))):
        print_table(table.title, table.columns, table.rows)


def print_timings(result: Timing) -> None:
    rows = (
        (x.name, f"{x.p50_us:,.0f}", f"{x.p99_us:,.0f}", f"{x.per_second:,.0f}", f"{x.memory_bytes:,}")
        for x in result.contestants
    )
    columns = ("system", "p50 us", "p99 us", "inferences/s", "model bytes")
    print_table("One sample at a time, one thread, interleaved", columns, rows)
    layers = ((x.layer, f"{x.microseconds:,.1f}", f"{x.rate:.2%}") for x in result.layers)
    print_table("Per layer", ("layer", "us", "spike rate"), layers)
    print_table("Machine", ("fact", "value"), result.machine.items())


def print_summary(summary: Mapping[str, object], output: Path) -> None:
    """This run's figures beside the five-seed means where there are any, then legs and devices."""
    means = cast(Mapping[str, object], summary.get("five_seeds") or {})
    told = {k: v for k, v in summary.items() if v is not None and not isinstance(v, (Mapping, list))}
    if means:
        rows = [(k, _word(v), _word(means[k]) if k in means else "") for k, v in told.items()]
        print_table("Summary", ("figure", "this run", "mean of five seeds"), rows)
    else:
        print_table("Summary", ("figure", "this run"), ((k, _word(v)) for k, v in told.items()))
    legs = cast(Mapping[str, Mapping[str, int]], summary["verify"])
    names = ("differing_spikes", "differing_membranes", "differing_predictions")
    counted = ((leg, *(f"{found[name]:,}" for name in names)) for leg, found in legs.items())
    columns = ("leg", "spikes", "membranes", "predictions")
    print_table("Differences of each leg from the reference", columns, counted)
    devices = cast(Mapping[str, bool], summary["devices"])
    print_table(
        "Devices", ("device", "verdict"), ((k, "fits" if v else "does not fit") for k, v in devices.items())
    )
    _console().print(f"Files: {output}/{{model.spk,model.onnx,summary.json,report.html}}")


def _word(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
