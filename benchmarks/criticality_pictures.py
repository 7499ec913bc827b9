"""Tables and pictures of ``benchmarks.criticality``: means over seeds, standard deviations beside them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.criticality import CONTROLS, CRITICALITY, REGENERATIONS, SPARSITIES
from spikepress.plots import Plot, PlotKind, Series
from spikepress.svg import draw
from spikepress.tables import Figure, figure

COLORS = ("#2563eb", "#ea580c", "#059669", "#9333ea", "#ca8a04", "#0891b2", "#db2777", "#64748b")
STYLE = (
    "svg{background:#fff;font:12px sans-serif}text{fill:#1f2937}.label,.axis{fill:#475569}"
    ".end{text-anchor:end}.middle{text-anchor:middle}.grid{stroke:#e2e8f0}"
    + "".join(
        f".fill{i}{{fill:{color}}}.line{i}{{fill:none;stroke:{color};stroke-width:1.8}}"
        for i, color in enumerate(COLORS)
    )
    + "svg{"
    + ";".join(f"--c{i}:{color}" for i, color in enumerate(COLORS))
    + "}"
)
SHORT = {CRITICALITY: "criticality"}


def write(folder: Path) -> None:
    """Draw what ``criticality.json`` in ``folder`` holds."""
    result = json.loads((folder / "criticality.json").read_text(encoding="utf-8"))
    for plot in (correlations(result), silencing(result), entropies(result), accuracies(result)):
        (folder / f"criticality-{plot.id}.svg").write_text(standalone(draw(plot)), encoding="utf-8")
    (folder / "criticality.md").write_text(page(result), encoding="utf-8")


def standalone(svg: str) -> str:
    """An inline picture as a file of its own: with name space, size and style, without the marks' JSON."""
    svg = re.sub(r' class="mark"| data-[a-z]+="[^"]*"', "", svg)
    opening = '<svg xmlns="http://www.w3.org/2000/svg" width="640" '
    return svg.replace("<svg ", opening, 1).replace(">\n", f">\n<style>{STYLE}</style>\n", 1) + "\n"


def over_seeds(result: Any, pick: Callable[[Any], float]) -> Figure:
    """A number over seeds."""
    return figure([pick(seed) for seed in result["seeds"]])


def told(value: Figure, factor: float = 1.0, digits: int = 2) -> str:
    deviation = "" if value.std is None else f" ± {value.std * factor:.{digits}f}"
    return f"{value.mean * factor:.{digits}f}{deviation}"


def correlations(result: Any) -> Plot:
    others = list(result["seeds"][0]["correlations"]["with"][CRITICALITY])
    points = tuple((name, abs(_correlation(result, CRITICALITY, name).mean)) for name in others)
    return Plot(
        "correlations",
        "Rank correlation of criticality with other measures of a neuron",
        PlotKind.GROUPED,
        "",
        "rank correlation (size)",
        (Series("criticality", points),),
    )


def _correlation(result: Any, name: str, other: str) -> Figure:
    return over_seeds(result, lambda seed: float(seed["correlations"]["with"][name][other]))


def silencing(result: Any) -> Plot:
    def points(name: str) -> tuple[tuple[float | str, float], ...]:
        return tuple(
            (float(tenth + 1), over_seeds(result, lambda seed: float(seed["deciles"][name][tenth])).mean)  # noqa: B023
            for tenth in range(10)
        )

    names = (*CONTROLS, "random")
    return Plot(
        "silencing",
        "Accuracy lost by silencing a tenth of the neurons",
        PlotKind.LINE,
        "tenth of the neurons, lowest score first",
        "accuracy lost",
        tuple(Series(SHORT.get(name, name), points(name)) for name in names),
        percent=True,
    )


def pruned_figure(result: Any, sparsity: float, rule: str, key: str) -> Figure:
    return over_seeds(result, lambda seed: float(_row(seed, sparsity, rule)[key]))


def _row(seed: Any, sparsity: float, rule: str) -> Any:
    (row,) = [r for r in seed["pruned"] if r["sparsity"] == sparsity and r["regeneration"] == rule]
    return row


def entropies(result: Any) -> Plot:
    return _by_rule(result, "entropy", "entropy", "Mean spike entropy of a hidden neuron", "bits a step")


def accuracies(result: Any) -> Plot:
    return _by_rule(result, "errors", "accuracy", "Test errors after pruning", "error rate, %", error=True)


def _by_rule(result: Any, name: str, key: str, title: str, unit: str, *, error: bool = False) -> Plot:
    def value(mean: float) -> float:
        return 100 * (1 - mean) if error else mean

    series = []
    for sparsity in SPARSITIES:
        points = [(rule, value(pruned_figure(result, sparsity, rule, key).mean)) for rule in REGENERATIONS]
        series.append(Series(f"{sparsity:.0%} sparse", tuple(points)))
    dense = over_seeds(result, lambda seed: float(seed["dense"][key])).mean
    series.append(Series("dense", (("dense", value(dense)),)))
    return Plot(name, title, PlotKind.GROUPED, "", unit, tuple(series))


# ---- the tables ------------------------------------------------------------------------------------


def page(result: Any) -> str:
    n = len(result["seeds"])
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    return "\n".join(
        [
            "# Criticality, measured",
            "",
            f"`python -m benchmarks.criticality`: {result['net']}, {n} seeds, mean ± standard deviation.",
            "What follows from it stands in [docs/criticality.md](../criticality.md).",
            "",
            *correlation_table(result),
            "",
            *silencing_table(result),
            "",
            *pruning_table(result),
            "",
            f"Measured with {result['machine']}, {versions}; {result['seconds'] / 60:.0f} minutes "
            "on a machine that did other work.",
            "",
        ]
    )


def correlation_table(result: Any) -> list[str]:
    first = result["seeds"][0]["correlations"]["with"]
    others = list(first[CRITICALITY])
    lines = [
        "## Rank correlations over the 256 hidden neurons",
        "",
        _line(["", *others]),
        "|" + "---|" * (len(others) + 1),
        *(_line([name, *(told(_correlation(result, name, other)) for other in others)]) for name in first),
        "",
        "Width is that of the arctan kernel, relative to the surrogate that the net trains with. "
        "*Loss without it* is the rise of the cross-entropy on validation samples when the neuron "
        "alone is silenced.",
        "",
        "Rank correlation with the loss without it, firing rate held fixed (partial):",
        "",
        _line(list(partials(result))),
        "|" + "---|" * len(partials(result)),
        _line([told(value) for value in partials(result).values()]),
    ]
    return lines


def partials(result: Any) -> dict[str, Figure]:
    key = "loss without it, at equal firing rate"
    names = result["seeds"][0]["correlations"][key]
    return {
        name: over_seeds(result, lambda seed: float(seed["correlations"][key][name]))  # noqa: B023
        for name in names
    }


def silencing_table(result: Any) -> list[str]:
    heads = [str(tenth) for tenth in range(1, 11)]
    lines = [
        "## Test accuracy lost, in points, by silencing a tenth of the hidden neurons (lowest score first)",
        "",
        _line(["tenths by", *heads]),
        "|" + "---|" * 11,
    ]
    for name in (*CONTROLS, "random"):
        values = [
            told(over_seeds(result, lambda seed: float(seed["deciles"][name][tenth])), 100)  # noqa: B023
            for tenth in range(10)
        ]
        lines.append(_line([name, *values]))
    return lines


def pruning_table(result: Any) -> list[str]:
    keys = ("entropy", "rate", "information", "silent", "spread", "accuracy")
    lines = [
        "## After gradual magnitude pruning with a regenerated share of 30 % (falling to 0), two epochs",
        "",
        _line(["weight sparsity", "regeneration", *_HEADS, "Δ accuracy to random", "Δ entropy to random"]),
        "|" + "---|" * (len(keys) + 4),
    ]
    dense = [_shown(key, over_seeds(result, lambda seed: float(seed["dense"][key]))) for key in keys]  # noqa: B023
    lines.append(_line(["0", "(dense)", *dense, "–", "–"]))
    for sparsity in SPARSITIES:
        for rule in REGENERATIONS:
            values = [_shown(key, pruned_figure(result, sparsity, rule, key)) for key in keys]
            pairs = [
                _shown(key, against_random(result, sparsity, rule, key)) for key in ("accuracy", "entropy")
            ]
            lines.append(
                _line([f"{sparsity:.0%}", rule, *values, *(["–", "–"] if rule == "random" else pairs)])
            )
    return lines


PAIRED = ("accuracy", "entropy")

_HEADS = (
    "entropy (bits a step)",
    "firing rate",
    "information on class (bits)",
    "silent neurons (%)",
    "classes apart / within",
    "accuracy (%)",
)


def against_random(result: Any, sparsity: float, rule: str, key: str) -> Figure:
    """Paired difference to regeneration at random."""
    return over_seeds(
        result,
        lambda seed: float(_row(seed, sparsity, rule)[key]) - float(_row(seed, sparsity, "random")[key]),
    )


def _shown(key: str, value: Figure) -> str:
    return told(value, 100) if key in ("accuracy", "silent") else told(value, digits=4)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
