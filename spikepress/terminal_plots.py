"""The pictures of a report that say how much and where, as bars of characters."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.text import Text

from spikepress.plots import Plot, PlotKind, Series

BAR = 44
COLORS = ("blue", "dark_orange", "green", "purple", "yellow", "cyan", "magenta", "grey62")
PRINTED = ("flash-by-layer", "ram-by-layer", "size-vs-bounds", "fit-flash", "fit-ram")
"""Plots whose numbers are told nowhere else on the terminal."""


def print_plot(plot: Plot) -> None:
    """Prints one of ``PRINTED`` with a line for each of its bars or points; any other not at all."""
    if plot.id not in PRINTED:
        return
    console = Console(highlight=False)
    console.print(Text(plot.title, "bold"))
    painters = {PlotKind.STACKED: stacked, PlotKind.GROUPED: grouped, PlotKind.LINE: points}
    for line in painters[plot.kind](plot):
        console.print(line, soft_wrap=True)
    if plot.kind is PlotKind.STACKED:
        console.print(_legend(plot.series), soft_wrap=True)
    console.print()


def stacked(plot: Plot) -> Iterator[Text]:
    """A bar for each category, its parts in the colors of their series."""
    names = list(dict.fromkeys(str(x) for series in plot.series for x, _ in series.points))
    parts = {n: [sum(y for x, y in s.points if x == n) for s in plot.series] for n in names}
    most = max((sum(found) for found in parts.values()), default=1.0)
    for name in names:
        line = Text(f"  {_cut(name)} ")
        for index, amount in enumerate(parts[name]):
            line.append("█" * round(BAR * amount / most), COLORS[index % len(COLORS)])
        yield line.append(f" {sum(parts[name]):,.0f}")


def grouped(plot: Plot) -> Iterator[Text]:
    """A bar for each point, by category."""
    most = max((y for series in plot.series for _, y in series.points), default=1.0)
    for name in dict.fromkeys(str(x) for series in plot.series for x, _ in series.points):
        yield Text(f"  {name}")
        for index, series in enumerate(plot.series):
            for x, y in series.points:
                if x == name:
                    bar = "█" * max(1, round(BAR * y / most))
                    line = Text(f"    {_cut(series.name, 20)} ")
                    yield line.append(bar, COLORS[index % len(COLORS)]).append(f" {y:,.0f}")


def points(plot: Plot) -> Iterator[Text]:
    """A line for each point: x, y, and a bar of x."""
    most = max((float(x) for series in plot.series for x, _ in series.points), default=1.0)
    for index, series in enumerate(plot.series):
        for x, y in series.points:
            told = f"{y:.2%}" if plot.percent else f"{y:,.4g}"
            line = Text(f"  {_cut(series.name, 24)} {told:>8} ")
            bar = "█" * max(1, round(BAR * float(x) / most))
            yield line.append(bar, COLORS[index % len(COLORS)]).append(f" {float(x):,.0f}")


def _legend(series: tuple[Series, ...]) -> Text:
    line = Text("  ")
    for index, one in enumerate(series):
        line.append("█", COLORS[index % len(COLORS)]).append(f" {one.name}  ")
    return line


def _cut(name: str, width: int = 24) -> str:
    return f"{name[: width - 1]}…" if len(name) > width else f"{name:<{width}}"
