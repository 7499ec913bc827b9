"""What every picture is made of: marks with their numbers, words, and numbers as words."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape

from spikepress.plots import Plot, Series

WIDTH = 640
CHARACTER = 6.6
"""Width of one character at the pictures' font size, in SVG units."""


def mark(plot_id: str, series: str, point: Sequence[float | str]) -> str:
    """The attributes that make a mark readable by machine: JSON numbers, not rounded ones."""
    values = "".join(
        f' data-{axis}="{escape(json.dumps(value))}"' for axis, value in zip("xy", point, strict=True)
    )
    return f'class="mark" data-plot="{escape(plot_id)}" data-series="{escape(series)}"{values}'


def short(value: float, percent: bool = False) -> str:
    """A number as a person writes it on an axis."""
    if percent:
        return f"{value * 100:.4g} %"
    if value and abs(value) < 0.01:
        return f"{value:.2g}"
    if abs(value) >= 1_000 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.4g}"


def text(x: float, y: float, words: str, kind: str, extra: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}"{extra}>{escape(words)}</text>'


def title(plot: Plot, series: Series, point: tuple[float | str, float]) -> str:
    x = point[0] if isinstance(point[0], str) else short(point[0])
    return f"{series.name}, {x}: {short(point[1], plot.percent)}"
