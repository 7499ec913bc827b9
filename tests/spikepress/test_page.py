"""The report page says in its marks exactly what stands in its JSON."""

import json
import re
from html.parser import HTMLParser

import pytest

from spikepress.page import DEVICES_PLOT, render, report_json, write_page
from spikepress.svg import short, ticks
from tests.spikepress.sample_report import a_report


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
