"""Prints what ``fit`` found for a person."""

from __future__ import annotations

from rich.console import Console

from spikepress.fit_result import FitResult
from spikepress.fit_verdict import LATENCY, SYNOPS, Judgement, Model, judge
from spikepress.latency import Span
from spikepress.terminal import print_table

BAR = 24


def print_fit(result: FitResult) -> None:
    """The verdict, each constraint with its share, the front, and where the model lies."""
    console = Console(highlight=False)
    color = "green" if result.fits else "red"
    console.print(f"[bold {color}]{result.sentence}[/]")
    told, found = result.model or result.near, result.judgement
    if told is not None and found is not None:
        _print_needs(result, told, found)
    if result.front:
        _print_front(result)
    if result.proposal is not None:
        device, model = result.proposal.device, result.proposal.model
        console.print(
            f"Smallest device that would do: {device.name} ({device.title}), with {model.accuracy:.2%}"
            f" on validation samples: {model.words}"
        )
    elif not result.fits:
        console.print("No device of the catalogue would do.")
    if result.output is not None:
        what = "model.spk with all that belongs to it" if result.fits else "fit.json"
        console.print(f"Files: {result.output} ({what})")


def _print_needs(result: FitResult, model: Model, found: Judgement) -> None:
    limits = {resource.value: f"{limit:,}" for resource, limit in result.budget.limits.items()}
    needs = {resource.value: f"{need:,}" for resource, need in found.layout.needs.items()}
    if result.budget.synops is not None:
        limits[SYNOPS], needs[SYNOPS] = f"{result.budget.synops:,.0f}", f"{model.synops:,.0f}"
    if result.budget.latency_ms is not None:
        limits[LATENCY], needs[LATENCY] = f"{result.budget.latency_ms:g} ms", _time(result.latency)
    rows = (
        (name, needs[name], limits[name], f"{share:.1%}", bar(share)) for name, share in found.shares.items()
    )
    print_table(f"Needs: {model.words}", ("constraint", "needed", "available", "share", ""), rows)
    tested = "-" if result.test_accuracy is None else f"{result.test_accuracy:.2%}"
    facts = [
        ("accuracy on validation samples", f"{model.accuracy:.2%}"),
        ("accuracy on test samples", tested),
        ("additions of an inference, mean", f"{model.synops:,.0f}"),
        ("additions of an inference, worst case", f"{model.worst_synops:,}"),
        ("time of an inference, mean", _time(result.latency)),
        ("time of an inference, worst case", _time(result.worst_latency)),
        ("schedule", found.layout.schedule.sentence),
        *((f"encoding of {name}", words) for name, words in model.encodings.items()),
        ("models tried", f"{result.tried} ({result.kept} kept from before), {result.seconds:.0f} s"),
    ]
    print_table("Model", ("fact", "value"), facts)


def _print_front(result: FitResult) -> None:
    rows = (
        (
            model.words,
            f"{model.accuracy:.2%}",
            f"{model.flash:,}",
            f"{model.least_ram:,}",
            f"{model.synops:,.0f}",
            "yes" if judge(model, result.budget).fits else "no",
        )
        for model in result.front
    )
    columns = ("what else is possible", "accuracy", "flash B", "RAM B", "additions", "fits")
    print_table("Front of the models tried", columns, rows)


def _time(span: Span | None) -> str:
    return "-" if span is None else span.sentence


def bar(share: float, width: int = BAR) -> str:
    """A bar of a share; full at 100 % and more."""
    return "█" * round(width * min(1.0, share)) or "▏"
