"""Draws a ``Plot`` as inline SVG. Every mark carries its numbers in ``data-*`` attributes, exactly as
they stand in the page's JSON; colors come from the page's style sheet, so light and dark both work."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape

from spikepress import svg_areas
from spikepress.plots import Plot, PlotKind, Series
from spikepress.svg_parts import CHARACTER, WIDTH, mark, short, text, title

RIGHT, TOP, BOTTOM = 24, 34, 44
ROW = 16
LEGEND_ROW = 18
RASTER_HEIGHT = 320
LINE_HEIGHT = 280


def draw(plot: Plot) -> str:
    """The SVG element of one plot."""
    painters = {
        PlotKind.LINE: _lines,
        PlotKind.DOTS: _raster,
        PlotKind.GROUPED: _grouped,
        PlotKind.STACKED: _stacked,
        PlotKind.TREEMAP: svg_areas.treemap,
        PlotKind.PLAN: svg_areas.plan,
    }
    height, parts = painters[plot.kind](plot)
    named = svg_areas.kinds(plot) if plot.kind is PlotKind.PLAN else [s.name for s in plot.series]
    legend, rows = _legend(named)
    body = "\n".join([*parts, *legend])
    # The legend stands above the picture and pushes its frame up, one row at a time.
    top = -LEGEND_ROW * max(0, rows - 1)
    box = f'viewBox="0 {top} {WIDTH} {height - top:g}" role="img" aria-label="{escape(plot.title)}"'
    return f"<svg {box}>\n{body}\n</svg>"


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers that cover [low, high]."""
    span = max(high - low, 1e-9)
    raw = span / count
    magnitude = 10.0 ** math.floor(math.log10(raw))
    step = next(m * magnitude for m in (1, 2, 2.5, 5, 10) if m * magnitude >= raw)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    last = max(last, first + 1)
    return [round(index * step, 12) for index in range(first, last + 1)]


def _legend(names: Sequence[str]) -> tuple[list[str], int]:
    """The legend and its rows, the last of them at the top of the picture; none for a single series."""
    if len(names) < 2:
        return [], 0
    rows: list[list[tuple[float, int, str]]] = [[]]
    x = 4.0
    for index, name in enumerate(names):
        wide = 16 + CHARACTER * len(name) + 18
        if x + wide > WIDTH and rows[-1]:
            rows.append([])
            x = 4.0
        rows[-1].append((x, index, name))
        x += wide
    parts = []
    for number, row in enumerate(reversed(rows)):
        y = 6 - LEGEND_ROW * number
        for x, index, name in row:
            parts.append(f'<rect x="{x:.1f}" y="{y}" width="11" height="11" rx="2" class="fill{index % 8}"/>')
            parts.append(text(x + 16, y + 9.5, name, "legend"))
    return parts, len(rows)


# ---- lines and dots -------------------------------------------------------------------------------


def _lines(plot: Plot) -> tuple[float, list[str]]:
    xs, ys = _values(plot, 0), _values(plot, 1)
    x_ticks, y_ticks = ticks(min(xs), max(xs)), ticks(*_padded(min(ys), max(ys), plot.percent))
    left = 14 + CHARACTER * max(len(short(y, plot.percent)) for y in y_ticks) + 14
    scale = _Scale((left, WIDTH - RIGHT), (x_ticks[0], x_ticks[-1]))
    rise = _Scale((LINE_HEIGHT - BOTTOM, TOP), (y_ticks[0], y_ticks[-1]))
    parts = list(_axes(plot, (scale, rise), (x_ticks, y_ticks), LINE_HEIGHT))
    for index, series in enumerate(plot.series):
        places = [(scale(_number(x)), rise(y)) for x, y in series.points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline points="{path}" class="line{index % 8}"/>')
        for point, (x, y) in zip(series.points, places, strict=True):
            parts.append(_dot(plot, (series, index), point, (x, y, 3.2)))
    return LINE_HEIGHT, parts


def _raster(plot: Plot) -> tuple[float, list[str]]:
    """Dashes (step, neuron), one band of rows per layer; a band keeps a small gap to the next."""
    sizes = [int(max((y for _, y in s.points), default=0)) + 1 for s in plot.series]
    steps = max((_number(x) for s in plot.series for x, _ in s.points), default=0.0)
    left, gap, least = 16 + CHARACTER * max(len(s.name) for s in plot.series), 10.0, 0.12 * sum(sizes)
    room = RASTER_HEIGHT - TOP - BOTTOM - gap * (len(sizes) - 1)
    room_x = 0.4 * (WIDTH - RIGHT - left) / (max(steps, 1.0) + 1)
    scale = _Scale((left + room_x, WIDTH - RIGHT - room_x), (0.0, max(steps, 1.0)))
    parts, top = [], float(TOP)
    for index, (series, size) in enumerate(zip(plot.series, sizes, strict=True)):
        tall = room * max(size, least) / sum(max(n, least) for n in sizes)
        band = f'x="{left}" y="{top:.1f}" width="{WIDTH - RIGHT - left}" height="{tall:.1f}"'
        parts.append(f'<rect {band} class="band"/>')
        parts.append(text(left - 8, top + tall / 2 + 4, series.name, "label end"))
        wide, high = 0.55 * (scale(1) - scale(0)), max(1.2, min(4.0, 0.8 * tall / size))
        for point in series.points:
            x, y = scale(_number(point[0])), top + (point[1] + 0.5) * tall / size
            box = (x - wide / 2, x + wide / 2, y - high / 2)
            parts.append(_bar(plot, (series, index), point, box, high))
        top += tall + gap
    for tick in ticks(0, max(steps, 1.0)):
        if tick <= steps and tick == int(tick):
            parts.append(text(scale(tick), RASTER_HEIGHT - BOTTOM + 18, short(tick), "label middle"))
    parts.append(text((left + WIDTH - RIGHT) / 2, RASTER_HEIGHT - 8, plot.x_label, "axis middle"))
    return RASTER_HEIGHT, parts


def _dot(
    plot: Plot,
    series: tuple[Series, int],
    point: tuple[float | str, float],
    circle: tuple[float, float, float],
) -> str:
    x, y, radius = circle
    return (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.2f}" {mark(plot.id, series[0].name, point)}'
        f' style="fill:var(--c{series[1] % 8})">'
        f"<title>{escape(title(plot, series[0], point))}</title></circle>"
    )


def _axes(
    plot: Plot, scales: tuple[_Scale, _Scale], marks: tuple[list[float], list[float]], height: float
) -> Iterator[str]:
    scale, rise = scales
    for y in marks[1]:
        ends = f'x1="{scale.start:.1f}" x2="{scale.end:.1f}" y1="{rise(y):.1f}" y2="{rise(y):.1f}"'
        yield f'<line {ends} class="grid"/>'
        yield text(scale.start - 8, rise(y) + 4, short(y, plot.percent), "label end")
    for x in marks[0]:
        yield text(scale(x), height - BOTTOM + 18, short(x), "label middle")
    yield text((scale.start + scale.end) / 2, height - 8, plot.x_label, "axis middle")
    middle = (TOP + height - BOTTOM) / 2
    yield text(11, middle, plot.y_label, "axis middle", f' transform="rotate(-90 11 {middle:.1f})"')


# ---- bars -----------------------------------------------------------------------------------------


def _grouped(plot: Plot) -> tuple[float, list[str]]:
    categories = _categories(plot)
    left = 16 + CHARACTER * max(len(c) for c in categories)
    top = TOP if len(plot.series) > 1 else 12
    scale = _Scale((left, WIDTH - 110), (0.0, max([*_values(plot, 1), 1e-12])))
    parts, y = [], float(top)
    for category in categories:
        rows = [(i, s, p) for i, s in enumerate(plot.series) for p in s.points if p[0] == category]
        parts.append(text(left - 8, y + ROW * len(rows) / 2 + 4, category, "label end"))
        for index, series, point in rows:
            parts.append(_bar(plot, (series, index), point, (scale(0), scale(point[1]), y)))
            parts.append(text(scale(point[1]) + 6, y + 11.5, short(point[1], plot.percent), "label"))
            y += ROW
        y += 8
    parts.append(text((left + WIDTH - 110) / 2, y + 16, plot.y_label, "axis middle"))
    return y + 26, parts


def _stacked(plot: Plot) -> tuple[float, list[str]]:
    categories = _categories(plot)
    left = 16 + CHARACTER * max(len(c) for c in categories)
    totals = {c: sum(p[1] for s in plot.series for p in s.points if p[0] == c) for c in categories}
    scale = _Scale((left, WIDTH - 90), (0.0, max([*totals.values(), 1e-12])))
    parts, y = [], float(TOP)
    for category in categories:
        parts.append(text(left - 8, y + 13, category, "label end"))
        start = 0.0
        for index, series in enumerate(plot.series):
            for point in series.points:
                if point[0] == category:
                    end = start + point[1]
                    parts.append(_bar(plot, (series, index), point, (scale(start), scale(end), y), 18))
                    start = end
        parts.append(text(scale(start) + 6, y + 13, short(start), "label"))
        y += 27
    parts.append(text((left + WIDTH - 90) / 2, y + 14, plot.y_label, "axis middle"))
    return y + 24, parts


def _bar(
    plot: Plot,
    series: tuple[Series, int],
    point: tuple[float | str, float],
    box: tuple[float, float, float],
    tall: float = ROW - 3,
) -> str:
    start, end, y = box
    return (
        f'<rect x="{start:.2f}" y="{y:.1f}" width="{max(0.0, end - start):.2f}" height="{tall:g}" rx="1.5"'
        f' {mark(plot.id, series[0].name, point)} style="fill:var(--c{series[1] % 8})">'
        f"<title>{escape(title(plot, series[0], point))}</title></rect>"
    )


# ---- numbers --------------------------------------------------------------------------------------


class _Scale:
    """Maps a range of values onto a range of SVG units."""

    def __init__(self, onto: tuple[float, float], values: tuple[float, float]) -> None:
        self.start, self.end = onto
        self.low = values[0]
        self.factor = (onto[1] - onto[0]) / max(values[1] - values[0], 1e-12)

    def __call__(self, value: float) -> float:
        return self.start + (value - self.low) * self.factor


def _number(value: float | str) -> float:
    return float(value)


def _values(plot: Plot, axis: int) -> list[float]:
    return [_number(point[axis]) for series in plot.series for point in series.points] or [0.0]


def _categories(plot: Plot) -> list[str]:
    seen = dict.fromkeys(str(point[0]) for series in plot.series for point in series.points)
    return list(seen) or ["-"]


def _padded(low: float, high: float, percent: bool) -> tuple[float, float]:
    pad = 0.05 * max(high - low, 0.02 * abs(high), 1e-6)
    return max(0.0, low - pad) if low >= 0 else low - pad, min(1.0, high + pad) if percent else high + pad
