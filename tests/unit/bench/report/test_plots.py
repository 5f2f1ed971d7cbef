"""Each kind of plot: what it draws lies in its frame, and its figures say the same."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import pytest

from trident.bench.report import frame, markup
from trident.bench.report.frame import Plot
from trident.bench.report.plots.cdf import Sample, cdf
from trident.bench.report.plots.differences import Change, differences
from trident.bench.report.plots.histogram import histogram
from trident.bench.report.plots.lines import Limit, Line, Mark, lines
from trident.bench.report.plots.ranges import Row, ranges
from trident.bench.report.plots.timeline import Course, stacked, timeline

RIGHT, BOTTOM = frame.Frame.right, frame.Frame.bottom
HOSTILE = "</text><script>alert(1)</script>&\x00"


def places(plot: Plot) -> Iterator[tuple[float, float]]:
    """Every coordinate that is drawn."""
    for one in plot.drawing.iter():
        if one.tag == "circle" or one.tag == "text":
            x, y = ("cx", "cy") if one.tag == "circle" else ("x", "y")
            yield float(one.attrib[x]), float(one.attrib[y])
        elif one.tag == "line":
            yield float(one.attrib["x1"]), float(one.attrib["y1"])
            yield float(one.attrib["x2"]), float(one.attrib["y2"])
        elif one.tag == "rect":
            x_min, y_min = float(one.get("x", "0")), float(one.get("y", "0"))
            yield x_min, y_min
            yield x_min + float(one.attrib["width"]), y_min + float(one.attrib["height"])
        elif one.tag == "path":
            for x, y in re.findall(r"(-?[\d.]+) (-?[\d.]+)", one.attrib["d"]):
                yield float(x), float(y)


def marks(plot: Plot, tag: str) -> list[markup.Element]:
    return [one for one in plot.drawing.iter(tag) if one.get("class") != "surface"]


def sound(plot: Plot) -> Plot:
    """Fails unless the plot is well-formed, inside its frame, and described."""
    again = markup.ElementTree.fromstring(markup.svg(plot.drawing))
    assert again.tag == f"{{{markup.SVG_NAMESPACE}}}svg"
    for x, y in places(plot):
        assert -0.5 <= x <= frame.WIDTH + 0.5, (x, y)
        assert -0.5 <= y <= frame.HEIGHT + 0.5, (x, y)
    assert plot.drawing.find("title") is not None
    assert plot.drawing.find("desc") is not None
    assert all(len(row) == len(plot.table.headers) for row in plot.table.rows)
    return plot


def sweep(*values: float | None) -> tuple[Mark, ...]:
    return tuple(Mark(2.0**at, value, value and value * 0.9, value and value * 1.1) for at, value in enumerate(values))


def test_lines_rise_where_values_do() -> None:
    made = sound(lines("k", "Title", [Line("p50", "c0", sweep(10, 20, 40))], "concurrency", "ms"))
    places = [(float(dot.attrib["cx"]), float(dot.attrib["cy"])) for dot in marks(made, "circle")]
    assert len(places) == 3
    assert places == sorted(places, key=lambda place: place[0])
    assert places == sorted(places, key=lambda place: -place[1])
    assert all(frame.LEFT <= x <= RIGHT and 40 <= y <= BOTTOM for x, y in places)
    assert made.table.rows[1] == ("2", "20 (18 to 22)")


def test_lines_break_where_there_is_no_value() -> None:
    made = sound(lines("k", "Title", [Line("p99", "c0", sweep(10, 20, None, 40, 50))], "concurrency", "ms"))
    drawn = [path for path in marks(made, "path") if path.attrib["d"].count("L") >= 1]
    assert len(drawn) == 1 + 2, "the legend's swatch and two pieces"
    assert made.table.rows[2] == ("4", "–")


def test_lines_over_a_wide_span_are_logarithmic() -> None:
    made = sound(lines("k", "Title", [Line("p50", "c0", sweep(1, 10, 100))], "concurrency", "ms"))
    heights = [float(dot.attrib["cy"]) for dot in marks(made, "circle")]
    assert heights[0] - heights[1] == pytest.approx(heights[1] - heights[2], abs=0.1)
    assert any("logarithmic" in (text.text or "") for text in made.drawing.iter("text"))


def test_limit_is_drawn_even_far_above_the_values() -> None:
    made = sound(lines("k", "T", [Line("p50", "c0", sweep(10, 11))], "concurrency", "ms", limits=[Limit("SLO", 200)]))
    assert [line for line in marks(made, "line") if line.get("class") == "limit"]


@pytest.mark.parametrize("values", [(), (None,), (0.0,), (5.0,)])
def test_lines_of_almost_nothing_are_drawn(values: tuple[float | None, ...]) -> None:
    sound(lines("k", "Title", [Line("p50", "c0", sweep(*values))], "concurrency", "ms"))


def test_ranges_have_a_row_for_each_metric() -> None:
    rows = [Row("TTFT", {"p50": 40.0, "p99": 120.0}), Row("TPOT", {"p50": 9.0, "p99": None}), Row("E2E", {})]
    made = sound(ranges("k", "Latency", rows, {"p50": "c0", "p99": "c1"}, "ms"))
    assert len(marks(made, "circle")) == 3
    assert made.table.rows == (("TTFT", "40", "120"), ("TPOT", "9", "–"), ("E2E", "–", "–"))


@pytest.mark.parametrize("values", [np.array([5.0, 5.0, 5.0]), np.geomspace(0.01, 1000, 500), np.zeros(4),
                                    np.random.default_rng(0).lognormal(3, 0.5, 1000)])  # fmt: skip
def test_histogram_counts_every_value(values: np.ndarray) -> None:
    made = sound(histogram("k", "TTFT", values, "ms", {"p50": float(np.median(values))}))
    assert sum(int(row[1].replace(",", "")) for row in made.table.rows) == len(values)
    bars = [bar for bar in marks(made, "rect") if bar.get("class") == "fill-c0"]
    assert len(bars) == len(made.table.rows)
    assert all(float(bar.attrib["height"]) > 0 for bar in bars)


def test_histogram_of_nothing_says_so() -> None:
    assert "no values" in markup.svg(sound(histogram("k", "TTFT", np.zeros(0), "ms", {})).drawing)


def test_cdf_goes_from_none_to_all() -> None:
    values = np.random.default_rng(0).lognormal(3, 0.5, 1000)
    made = sound(cdf("k", "TTFT", [Sample("a", "q0", values), Sample("b", "q5", 2 * values)], "ms"))
    drawn = [re.findall(r"(-?[\d.]+) (-?[\d.]+)", path.attrib["d"]) for path in marks(made, "path")]
    curves = [points for points in drawn if len(points) > 2]
    assert len(curves) == 2
    for points in curves:
        heights = [float(y) for _, y in points]
        assert heights == sorted(heights, reverse=True)
        assert (heights[0], heights[-1]) == (BOTTOM, pytest.approx(min(heights)))
    assert made.table.rows[0][1] == "1,000"


def test_cdf_without_values_is_drawn() -> None:
    sound(cdf("k", "TTFT", [Sample("a", "c0", np.zeros(0))], "ms"))


def test_timeline_shades_the_window_inside_its_frame() -> None:
    course = Course("tokens", "c0", ((0.5, 10.0), (1.5, 12.0), (2.5, None), (3.5, 11.0), (4.5, 12.0)))
    made = sound(timeline("k", "Throughput", [course], "tokens/s", (1.0, 4.0)))
    (shade,) = (one for one in marks(made, "rect") if one.get("class") == "shade")
    assert float(shade.attrib["x"]) > frame.LEFT
    assert float(shade.attrib["x"]) + float(shade.attrib["width"]) < RIGHT
    assert len(marks(made, "path")) == 2, "broken where a value is missing"


def test_stacked_bars_are_as_high_as_their_sum() -> None:
    courses = [Course("timeout", "c1", ((0.0, 2.0), (1.0, 0.0))), Course("http_503", "c3", ((0.0, 3.0), (1.0, 5.0)))]
    made = sound(stacked("k", "Errors", courses, "errors", 1.0, None))
    bars = [one for one in marks(made, "rect") if one.find("title") is not None]
    heights: dict[str, float] = {}
    for bar in bars:
        heights[bar.attrib["x"]] = heights.get(bar.attrib["x"], 0.0) + float(bar.attrib["height"])
    assert len(bars) == 3
    first, second = heights.values()
    assert first == pytest.approx(second, abs=0.05), "2 + 3 and 0 + 5"


def test_stacked_without_an_error_is_drawn() -> None:
    sound(stacked("k", "Errors", [], "errors", 1.0, None))


def test_differences_cut_what_is_too_far_away() -> None:
    changes = [Change("TTFT p50", 0.05, 0.02, 0.08, "worse"), Change("goodput", -3.0, -9.0, None, "unknown")]
    made = sound(differences("k", "Changes", changes))
    assert len(marks(made, "circle")) == 2


def test_long_legend_takes_another_line() -> None:
    keys = [frame.Key(f"concurrency {2**at}", "c0") for at in range(12)]
    made = frame.Frame("k", "Title", "text", keys)
    assert made.top > frame.Frame("k", "Title", "text", keys[:2]).top
    sound(Plot("k", "Title", made.root, frame.Table((), ())))


def test_names_are_escaped_everywhere() -> None:
    plots = [
        lines("k", HOSTILE, [Line(HOSTILE, "c0", sweep(1, 2))], HOSTILE, HOSTILE, limits=[Limit(HOSTILE, 3)]),
        ranges("k", HOSTILE, [Row(HOSTILE, {"p50": 1.0})], {"p50": "c0"}, HOSTILE),
        histogram("k", HOSTILE, np.arange(1, 9.0), HOSTILE, {HOSTILE: 3.0}),
        cdf("k", HOSTILE, [Sample(HOSTILE, "c0", np.arange(1, 9.0))], HOSTILE),
        timeline("k", HOSTILE, [Course(HOSTILE, "c0", ((0.0, 1.0), (1.0, 2.0)))], HOSTILE, None),
        stacked("k", HOSTILE, [Course(HOSTILE, "c0", ((0.0, 1.0),))], HOSTILE, 1.0, None),
        differences("k", HOSTILE, [Change(HOSTILE, 0.1, 0.0, 0.2, "worse")]),
    ]
    for plot in plots:
        text = markup.svg(sound(plot).drawing)
        assert "<script" not in text
        assert "\x00" not in text
