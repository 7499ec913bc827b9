"""What a report plots: plain data, the same for the page's JSON and for its pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum

from spikepress.labels import label


class PlotKind(Enum):
    LINE = "line"
    GROUPED = "grouped"
    STACKED = "stacked"
    DOTS = "dots"
    TREEMAP = "treemap"
    """Areas: a rectangle for each x, divided by series."""
    PLAN = "plan"
    """Bytes over moments: a series for each buffer, "layer: kind", whose two points are the corners (first
    moment, first byte) and (last moment, byte after the last)."""


@dataclass(frozen=True)
class Series:
    """Points (x, y); x is a category in bar plots."""

    name: str
    points: tuple[tuple[float | str, float], ...]


@dataclass(frozen=True)
class Plot:
    """One picture. ``id`` is its name in the page's JSON and in the ``data-plot`` of its marks."""

    id: str
    title: str
    kind: PlotKind
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    note: str = ""
    percent: bool = False
    """Write y as a percentage."""
    x_names: tuple[str, ...] = ()
    """What the whole numbers 0, 1, ... of x are called, where they have names."""


def named(plot: Plot, labels: Mapping[str, str]) -> Plot:
    """The plot with layers called by their labels, as categories and as series."""
    return replace(
        plot,
        series=tuple(
            Series(
                label(labels, series.name),
                tuple((label(labels, x) if isinstance(x, str) else x, y) for x, y in series.points),
            )
            for series in plot.series
        ),
    )


def as_json(plot: Plot) -> dict[str, object]:
    return {
        "id": plot.id,
        "title": plot.title,
        "kind": plot.kind.value,
        "x_label": plot.x_label,
        "y_label": plot.y_label,
        "series": [{"name": s.name, "points": [list(point) for point in s.points]} for s in plot.series],
        "note": plot.note,
        "x_names": list(plot.x_names),
    }
