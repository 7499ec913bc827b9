"""A ``Table`` as Markdown, CSV or LaTeX."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from typing import Any

from runtime.errors import ConfigError
from spikepress.tables import Figure, Row, Table

PERCENT = ("accuracy", "validation_accuracy", "weight_sparsity")
"""Metrics that are shares; a table for people shows them in percent."""

ESCAPES = str.maketrans(
    {
        **{character: f"\\{character}" for character in "&%_#${}"},
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "Δ": r"$\Delta$",
        "±": r"$\pm$",
        "–": "--",
    }
)


def formatted(found: Table, kind: str) -> str:
    """The table as md, csv or latex; ConfigError for another kind."""
    check_format(kind)
    return FORMATS[kind](found)


def check_format(kind: str) -> None:
    if kind not in FORMATS:
        raise ConfigError(f"table --format: found {kind!r}, expected one of {', '.join(FORMATS)}")


def _shown(metric: str, value: Figure, between: str, signed: bool = False) -> str:
    """Mean and deviation as a person writes them: shares in percent with two decimals, else four digits."""
    factor = 100.0 if metric in PERCENT else 1.0

    def number(x: float, sign: str = "") -> str:
        return f"{x * factor:{sign}.2f}" if metric in PERCENT else f"{x:{sign}.4g}"

    mean = number(value.mean, "+" if signed else "")
    return mean if value.std is None else f"{mean}{between}{number(value.std)}"


def _heads(found: Table) -> list[str]:
    def unit(metric: str) -> str:
        return f"{metric.replace('_', ' ')}{' (%)' if metric in PERCENT else ''}"

    heads = ["setting", "n", *map(unit, found.metrics)]
    if found.against is not None:
        heads += [f"Δ {unit(metric)}" for metric in found.metrics]
        heads.append("pairs")
    return heads


def _cells(found: Table, row: Row, between: str) -> list[str]:
    cells = [row.label, str(len(row.seeds))]
    cells += [_shown(metric, row.figures[metric], between) for metric in found.metrics]
    if found.against is not None:
        told = [row.differences.get(metric) for metric in found.metrics]
        cells += [
            "–" if one is None else _shown(metric, one, between, signed=True)
            for metric, one in zip(found.metrics, told, strict=True)
        ]
        cells.append("–" if told[0] is None else str(told[0].n))
    return cells


def _markdown(found: Table) -> str:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    heads = _heads(found)
    lines = [line(heads), "|" + "---|" * len(heads)]
    return "\n".join([*lines, *(line(_cells(found, row, " ± ")) for row in found.rows), *_note(found)]) + "\n"


def _note(found: Table) -> list[str]:
    told = f"Stage {found.stage}; mean ± standard deviation over seeds."
    paired = f" Δ: paired over common seeds, against {found.against}." if found.against is not None else ""
    return ["", told + paired]


def _csv(found: Table) -> str:
    """Plain numbers, in the metric's own unit."""
    heads = ["setting", "stage", "n"]
    for prefix in ("", "difference_") if found.against is not None else ("",):
        heads += [f"{prefix}{metric}_{part}" for metric in found.metrics for part in ("mean", "std", "n")]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(heads)
    for row in found.rows:
        cells: list[Any] = [row.label, found.stage, len(row.seeds)]
        for figures in (row.figures, row.differences) if found.against is not None else (row.figures,):
            for metric in found.metrics:
                one = figures.get(metric)
                cells += ["", "", ""] if one is None else [one.mean, _or_empty(one.std), one.n]
        writer.writerow(cells)
    return out.getvalue()


def _or_empty(value: float | None) -> float | str:
    return "" if value is None else value


def _latex(found: Table) -> str:
    """A tabular for booktabs."""

    def line(cells: Sequence[str]) -> str:
        return " & ".join(cell.translate(ESCAPES) for cell in cells) + r" \\"

    heads = _heads(found)
    top = [rf"\begin{{tabular}}{{l{'r' * (len(heads) - 1)}}}", r"\toprule", line(heads), r"\midrule"]
    rows = [line(_cells(found, row, " ± ")) for row in found.rows]
    note = [f"% {text}" for text in _note(found) if text]
    return "\n".join([*note, *top, *rows, r"\bottomrule", r"\end{tabular}"]) + "\n"


FORMATS: dict[str, Callable[[Table], str]] = {"md": _markdown, "csv": _csv, "latex": _latex}
