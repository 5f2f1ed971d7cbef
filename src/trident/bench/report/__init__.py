"""A result folder as one HTML file that needs nothing else: plots are SVG made here, there is no script."""

from __future__ import annotations

from pathlib import Path

from trident.bench import recorded
from trident.bench.engines import crosscheck
from trident.bench.recorded import Recorded
from trident.bench.report import crosschecks, definitions, page, png, summary
from trident.bench.report.frame import Plot
from trident.bench.report.load_plots import load_plots
from trident.bench.report.markup import Element, element
from trident.bench.report.point_plots import point_plots
from trident.bench.report.server_plots import server_plots
from trident.bench.result import Point

REPORT = "report.html"
PICTURES = "plots"


def write(folder: Path) -> Path:
    """Writes ``report.html`` into the result folder. Raises ConfigurationError where it is none."""
    target = folder / REPORT
    target.write_text(html(recorded.load(folder)), encoding="utf-8")
    return target


def write_pictures(folder: Path) -> list[Path]:
    """Writes each plot of the report as ``plots/<key>.png``. Returns the files."""
    run = recorded.load(folder)
    return png.write(folder / PICTURES, [*load_plots(run), *(plot for plots in _by_point(run) for plot in plots)])


def html(run: Recorded) -> str:
    """The whole page."""
    result = run.result
    parts: list[Element | None] = [*summary.header(result), *summary.verdicts(result)]
    if result.points:
        parts += [
            page.section("Summary", page.card(summary.table_of_points(result)), _units()),
            *_plots(run),
            page.section("Client", page.card(summary.clients(result.points))),
        ]
    parts += [crosschecks.section(found) for found in crosscheck.read_all(run.folder)]
    parts += [
        page.section("Conditions", page.card(summary.conditions(run))),
        page.section("Definitions", page.card(page.terms(definitions.formulas())), _how_to_read()),
    ]
    return page.page(summary.title(result), parts)


def _plots(run: Recorded) -> list[Element]:
    """Over the loads of a sweep, then a fold for each load level; those of a single level lie open."""
    over_load, by_point = load_plots(run), _by_point(run)
    if len(by_point) == 1:
        return [page.section("The run", page.figures([*over_load, *by_point[0]]))]
    folds = [_level(point, plots) for point, plots in zip(run.result.points, by_point, strict=True)]
    return [page.section("Over the load", page.figures(over_load)), page.section("Each load level", *folds)]


def _level(point: Point, plots: list[Plot]) -> Element:
    ended = f"{point.counts.ok:,} answered, {point.counts.errors:,} failed; stopped by {point.stopped_by}"
    return element(
        "details",
        element("summary", point.load.label),
        element("p", ended, class_="muted"),
        page.figures(plots),
        class_="level",
    )


def _by_point(run: Recorded) -> list[list[Plot]]:
    return [[*point_plots(run, point), *server_plots(run, point)] for point in run.result.points]


def _how_to_read() -> Element:
    text = (
        "A percentile is shown when at least one sample lies beyond it. Intervals are 95 % bootstrap intervals within "
        "this run: they do not cover what changes from run to run. Latencies are of the requests sent in the steady "
        "window, rates are of what arrived in it."
    )
    return element("p", text, class_="muted")


def _units() -> Element:
    return element("p", "Latencies in ms. A dash: too few samples, or nothing to measure.", class_="muted")
