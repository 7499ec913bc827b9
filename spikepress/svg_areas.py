"""Pictures whose areas are bytes: a treemap of memory, and the plan of what lies where in RAM and when."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import NamedTuple

from spikepress.plots import Plot, Series
from spikepress.svg_parts import CHARACTER, WIDTH, mark, short, text, title

TOP = 30.0
MAP_HEIGHT = 300.0
PLAN_HEIGHT = 330.0
PLAN_BOTTOM = 56.0
LEAST_LABEL = 13.0
"""Height that a rectangle needs for a line of words."""


class Box(NamedTuple):
    x: float
    y: float
    width: float
    height: float


# ---- treemap --------------------------------------------------------------------------------------


def treemap(plot: Plot) -> tuple[float, list[str]]:
    """A rectangle for each layer, divided by kind; areas are bytes."""
    layers = dict.fromkeys(str(point[0]) for series in plot.series for point in series.points)
    parts = {layer: list(_of_layer(plot, layer)) for layer in layers}
    totals = {layer: sum(point[1] for _, _, point in found) for layer, found in parts.items()}
    ordered = sorted(layers, key=lambda layer: -totals[layer])
    drawn: list[str] = []
    whole = Box(0.0, TOP, float(WIDTH), MAP_HEIGHT - TOP)
    for layer, box in zip(ordered, squarified([totals[x] for x in ordered], whole), strict=True):
        found = sorted(parts[layer], key=lambda part: -part[2][1])
        inner = squarified([point[1] for _, _, point in found], _inset(box))
        for (index, series, point), place in zip(found, inner, strict=True):
            drawn.append(_rectangle(plot, (series, index), point, place))
        drawn += _caption(f"{layer}: {short(totals[layer])} B", layer, box)
    return MAP_HEIGHT, drawn


def squarified(sizes: Sequence[float], box: Box) -> list[Box]:
    """Boxes with areas in proportion to falling ``sizes`` that fill ``box``, as square as rows allow.

    Bruls, Huizing and van Wijk 2000, "Squarified treemaps", section 3.
    """
    total = sum(sizes)
    if total <= 0:
        return [Box(box.x, box.y, 0.0, 0.0) for _ in sizes]
    areas = [size * box.width * box.height / total for size in sizes]
    placed: list[Box] = []
    while areas:
        row = _best_row(areas, min(box.width, box.height))
        strip, box = _cut(sum(areas[:row]), box)
        placed += _divided(areas[:row], strip)
        areas = areas[row:]
    return placed


def _best_row(areas: Sequence[float], side: float) -> int:
    """How many of the areas make the squarest strip along a side."""
    count, best = 1, _worst(areas[:1], side)
    while count < len(areas):
        worse = _worst(areas[: count + 1], side)
        if worse > best:
            break
        count, best = count + 1, worse
    return count


def _worst(areas: Sequence[float], side: float) -> float:
    """The largest ratio of sides in a strip."""
    thick = sum(areas) / max(side, 1e-9)
    lengths = [max(area / max(thick, 1e-9), 1e-9) for area in areas]
    return max(max(thick / length, length / max(thick, 1e-9)) for length in lengths)


def _cut(area: float, box: Box) -> tuple[Box, Box]:
    """A strip of that area along the shorter side, and what is left."""
    if box.width >= box.height:
        wide = min(box.width, area / max(box.height, 1e-9))
        rest = Box(box.x + wide, box.y, box.width - wide, box.height)
        return Box(box.x, box.y, wide, box.height), rest
    high = min(box.height, area / max(box.width, 1e-9))
    return box._replace(height=high), Box(box.x, box.y + high, box.width, box.height - high)


def _divided(areas: Sequence[float], strip: Box) -> Iterator[Box]:
    total, place = max(sum(areas), 1e-9), 0.0
    for area in areas:
        share = area / total
        if strip.width >= strip.height:
            yield Box(strip.x + place * strip.width, strip.y, share * strip.width, strip.height)
        else:
            yield Box(strip.x, strip.y + place * strip.height, strip.width, share * strip.height)
        place += share


def _inset(box: Box) -> Box:
    edge = min(1.5, box.width / 4, box.height / 4)
    return Box(box.x + edge, box.y + edge, box.width - 2 * edge, box.height - 2 * edge)


def _of_layer(plot: Plot, layer: str) -> Iterator[tuple[int, Series, tuple[float | str, float]]]:
    for index, series in enumerate(plot.series):
        for point in series.points:
            if point[0] == layer:
                yield index, series, point


def _rectangle(plot: Plot, series: tuple[Series, int], point: tuple[float | str, float], box: Box) -> str:
    return (
        f'<rect x="{box.x:.2f}" y="{box.y:.2f}" width="{box.width:.2f}" height="{box.height:.2f}"'
        f' {mark(plot.id, series[0].name, point)} style="fill:var(--c{series[1] % 8});stroke:var(--paper)">'
        f"<title>{escape(title(plot, series[0], point))}</title></rect>"
    )


def _caption(words: str, fewer: str, box: Box) -> list[str]:
    """The longer of two captions that has room in a box; none where neither has."""
    for candidate in (words, fewer):
        if box.height >= LEAST_LABEL + 4 and box.width >= CHARACTER * len(candidate) + 10:
            return [text(box.x + 6, box.y + LEAST_LABEL + 2, candidate, "inside")]
    return []


# ---- plan -----------------------------------------------------------------------------------------


def kinds(plot: Plot) -> list[str]:
    """What the buffers of a plan hold, in the order of their colors."""
    return list(dict.fromkeys(_kind(series) for series in plot.series))


def plan(plot: Plot) -> tuple[float, list[str]]:
    """A rectangle for each buffer: from its first to its last moment, from its first byte to its last."""
    colors = {kind: index for index, kind in enumerate(kinds(plot))}
    corners = [(series, *_corners(series)) for series in plot.series]
    bytes_high = max((high[1] for _, _, high in corners), default=1.0)
    moments = max((int(high[0]) for _, _, high in corners), default=0) + 1
    left = 20 + CHARACTER * len(short(bytes_high))
    wide = (WIDTH - 12 - left) / moments
    tall = (PLAN_HEIGHT - TOP - PLAN_BOTTOM) / max(bytes_high, 1.0)
    floor = PLAN_HEIGHT - PLAN_BOTTOM
    drawn = [
        text(left - 8, floor - tall * share * bytes_high + 4, short(share * bytes_high), "label end")
        for share in (0.0, 0.5, 1.0)
    ]
    for series, low, high in corners:
        box = Box(
            left + low[0] * wide,
            floor - tall * high[1],
            (high[0] - low[0] + 1) * wide - 1,
            tall * (high[1] - low[1]),
        )
        drawn.append(_rectangle(plot, (series, colors[_kind(series)]), series.points[0], box))
        drawn.append(_far_corner(plot, series, box))
        drawn += _caption(series.name, series.name.rsplit(": ", 1)[-1], box)
    for moment in range(moments):
        words = plot.x_names[moment] if moment < len(plot.x_names) else str(moment)
        fewer = words if CHARACTER * len(words) <= wide else words.split(" ")[0]
        drawn.append(text(left + (moment + 0.5) * wide, floor + 18, fewer, "label middle"))
    drawn.append(text((left + WIDTH) / 2, PLAN_HEIGHT - 12, plot.x_label, "axis middle"))
    middle = (TOP + floor) / 2
    drawn.append(text(11, middle, plot.y_label, "axis middle", f' transform="rotate(-90 11 {middle:.1f})"'))
    return PLAN_HEIGHT, drawn


def _corners(series: Series) -> tuple[tuple[float, float], tuple[float, float]]:
    low, high = series.points
    return (float(low[0]), low[1]), (float(high[0]), high[1])


def _far_corner(plot: Plot, series: Series, box: Box) -> str:
    """The mark of a buffer's second point: a dot of no size at the corner it means."""
    place = f'x="{box.x + box.width:.2f}" y="{box.y:.2f}" width="0" height="0"'
    return f"<rect {place} {mark(plot.id, series.name, series.points[1])}/>"


def _kind(series: Series) -> str:
    return series.name.rsplit(": ", 1)[-1]
