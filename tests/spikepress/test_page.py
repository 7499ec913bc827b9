"""The report page says in its marks exactly what stands in its JSON."""

import json
import re
from html.parser import HTMLParser

import pytest

from exporter.lower import lower
from exporter.plan import plan
from runtime.cost import footprint
from spikepress.figures import flash_by_layer
from spikepress.memory_figures import fit_fronts, ram_plan
from spikepress.page import DEVICES_PLOT, render, report_json, write_page
from spikepress.plots import PlotKind
from spikepress.svg import ticks
from spikepress.svg_areas import Box, squarified
from spikepress.svg_parts import short
from spikepress.terminal_plots import print_plot
from tests.builders.graphs import whole
from tests.spikepress.sample_report import FOUND, a_report


class PageReader(HTMLParser):
    """Collects the marks and the embedded JSON of a page."""

    def __init__(self):
        super().__init__()
        self.marks, self.outside, self.data, self._in_data = [], [], "", False

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self._in_data = tag == "script" and attributes.get("type") == "application/json"
        if "data-plot" in attributes:
            values = tuple(json.loads(attributes[key]) for key in ("data-x", "data-y"))
            self.marks.append((attributes["data-plot"], attributes["data-series"], *values))
        self.outside += [value for key, value in attrs if key in ("src", "href")]

    def handle_endtag(self, tag):
        self._in_data = False

    def handle_data(self, data):
        if self._in_data:
            self.data += data


def marks_of_json(report):
    """The marks a page with this JSON must show."""
    plotted = [
        (plot["id"], series["name"], *point)
        for plot in report["plots"]
        for series in plot["series"]
        for point in series["points"]
    ]
    shares = [
        (DEVICES_PLOT, entry["binding"], entry["name"], entry["shares"][entry["binding"]])
        for entry in report[DEVICES_PLOT]
    ]
    return plotted + shares


def assert_page_shows_its_json(page):
    reader = PageReader()
    reader.feed(page)
    expected = marks_of_json(json.loads(reader.data))
    assert sorted(map(repr, reader.marks)) == sorted(map(repr, expected))
    assert len(expected) > 0
    assert reader.outside == []


def test_every_plotted_number_of_the_page_equals_the_json():
    assert_page_shows_its_json(render(a_report()))


def test_the_embedded_json_is_the_report():
    reader = PageReader()
    reader.feed(render(a_report()))
    assert json.loads(reader.data) == json.loads(json.dumps(report_json(a_report())))


def test_the_page_loads_nothing_from_elsewhere():
    page = render(a_report())
    assert not re.search(r"https?://|@import|url\(", page)


def test_names_with_markup_stay_words():
    page = render(a_report())
    assert "out <&>" not in page.split('<script type="application/json"')[0]
    assert page.count("</script>") == 1


def test_the_page_is_written_whole(tmp_path):
    write_page(a_report(), tmp_path / "report.html")
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.html"]


def test_every_kind_of_picture_stands_on_the_page():
    assert {plot.kind for plot in a_report().plots} == set(PlotKind)


def test_a_front_keeps_what_no_smaller_model_is_as_accurate_as():
    flash, ram = fit_fronts(FOUND)
    assert flash.series[0].points == ((14_472, 0.949), (42_198, 0.9715))
    assert ram.series[0].points == ((1_440, 0.94), (1_604, 0.949), (2_192, 0.9715))
    assert ram.series[1].points == ((1_604, 0.9565),)
    assert {x for x, _ in flash.series[2].points} == {32_256}


def test_the_plan_has_the_corners_of_every_buffer():
    memory = plan(lower(whole("convolution")))
    corners = [series.points for series in ram_plan(memory, {}).series]
    assert corners == [((b.first, b.offset), (b.last, b.end)) for b in memory.buffers]


@pytest.mark.parametrize("sizes", [[6, 6, 4, 3, 2, 2, 1], [5], [1e9, 1], [3, 0, 0], [0, 0]])
def test_a_treemap_gives_each_its_share_of_the_area_and_none_overlap(sizes):
    box = Box(3.0, 5.0, 60.0, 40.0)
    placed = squarified(sizes, box)
    for size, one in zip(sizes, placed, strict=True):
        share = size / sum(sizes) if sum(sizes) else 0.0
        assert one.width * one.height == pytest.approx(share * 2_400.0, abs=1e-3)
        assert one.x >= 3.0 - 1e-6
        assert one.x + one.width <= 63.0 + 1e-6
        assert one.y >= 5.0 - 1e-6
        assert one.y + one.height <= 45.0 + 1e-6
    for number, one in enumerate(placed):
        for other in placed[number + 1 :]:
            wide = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
            high = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
            assert min(wide, high) < 1e-6


def test_the_terminal_tells_every_byte_that_the_page_draws(capsys):
    for plot in (*a_report().plots[-4:], flash_by_layer(footprint(lower(whole("convolution"))), 3_072)):
        print_plot(plot)
    shown = capsys.readouterr().out
    for line in footprint(lower(whole("convolution"))):
        assert f"{line.total:,}" in shown
    for words in ("Flash by layer", "Stored size against", "Accuracy against flash", "95.65%", "32,256"):
        assert words in shown


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0.93, 0.985), (0, 7), (-3, 1e6), (5, 5)])
def test_ticks_cover_the_range(low, high):
    values = ticks(low, high)
    assert values[0] <= low
    assert values[-1] >= high
    assert 2 <= len(values) <= 8


def test_axis_numbers_are_short():
    assert short(1_234_567) == "1,234,567"
    assert short(0.9567, percent=True) == "95.67 %"
    assert short(0.5) == "0.5"
