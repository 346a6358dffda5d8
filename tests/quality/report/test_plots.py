"""The SVG of the figures: readable as XML, escaped, and broken at missing values."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import polars as pl
import pytest

from runner.quality.report.charts import by_hour_of_day, by_month, daily_course, shares_of_bands
from runner.quality.report.html import Markup
from runner.quality.report.plots import OWN, Plot, nice_step

HOSTILE = '</title></svg><script>alert(1)</script>"&'
NO_FLAGS = pl.DataFrame(schema={"day": pl.String, "check": pl.String})


def _svg(figure: Markup) -> ET.Element:
    found = re.search(r"<svg .*</svg>", figure.html, re.DOTALL)
    assert found
    return ET.fromstring(found[0])  # noqa: S314 - our own SVG


def test_a_line_breaks_at_a_missing_value_and_a_lone_value_is_a_dot() -> None:
    plot = Plot(100, 50, (0, 4), 10)
    plot.line(range(5), [1.0, 2.0, None, 4.0, None], OWN, 1)
    (path,) = _svg(plot.markup("line")).findall("path")
    pieces = path.attrib["d"].split("M")[1:]
    assert len(pieces) == 2
    start, end = pieces[1].split("L")
    assert start == end


def test_names_and_titles_cannot_leave_their_element() -> None:
    shares = pl.DataFrame({"station": [HOSTILE], "category": ["0-50"], "share": [1.0]})
    texts = [one.text for one in _svg(shares_of_bands(shares)).iter("text")]
    assert texts == [HOSTILE]
    course = pl.DataFrame({"hod": [0], "q1": [1.0], "median": [2.0], "q3": [3.0], "peers": [None]})
    assert "<script" not in by_hour_of_day(course, HOSTILE).html


def test_every_figure_has_a_title_for_a_screen_reader() -> None:
    days = pl.DataFrame({"day": ["2025-01-01"], "median": [1.0], "max": [2.0]})
    months = pl.DataFrame({"month": ["2025-01"], "ugm3": [12.5]})
    for figure in (daily_course(days, NO_FLAGS), by_month(months)):
        svg = _svg(figure)
        assert svg.attrib["role"] == "img"
        assert svg.findtext("title") == repr(figure)


def test_a_figure_without_a_value_has_axes_still() -> None:
    days = pl.DataFrame(
        {"day": ["2025-01-01"], "median": [None], "max": [None]},
        schema={"day": pl.String, "median": pl.Float64, "max": pl.Float64},
    )
    texts = [one.text for one in _svg(daily_course(days, NO_FLAGS)).iter("text")]
    assert "2025-01-01" in texts
    assert "0" in texts


@pytest.mark.parametrize(
    ("top", "steps", "step"), [(200, 4, 50), (500, 6, 100), (1, 6, 0.2), (43, 6, 10), (985, 4, 500)]
)
def test_a_step_of_an_axis_is_a_round_number(top: float, steps: int, step: float) -> None:
    assert nice_step(top, steps) == pytest.approx(step)
