from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest
from example_result import write_example

from trident.bench import folder, metrics, recorded, report
from trident.bench.recorded import Recorded
from trident.bench.report import definitions
from trident.bench.report.load_plots import load_plots, shades
from trident.bench.report.point_plots import point_plots
from trident.bench.report.server_plots import rate, server_plots
from trident.bench.result import Result, Scrape
from trident.errors import ConfigurationError

HOSTILE = '"><script>alert(1)</script>&\x07'


class Page(HTMLParser):
    """Tags, attributes and text of a page; fails on tags that are not closed in order."""

    VOID = ("meta", "br")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.ids: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sweep")
    write_example(path)
    return path


@pytest.fixture
def run(sweep: Path) -> Recorded:
    return recorded.load(sweep)


def changed(run: Recorded, **changes: object) -> Recorded:
    """The same run with another result."""
    result: Result = msgspec.structs.replace(run.result, **changes)
    return Recorded(run.folder, result, run.rows, run.arrivals, run.scrapes)


def test_report_is_one_file_that_needs_nothing_else(sweep: Path) -> None:
    target = report.write(sweep)
    text = target.read_text(encoding="utf-8")
    page = Page(text)
    assert "script" not in page.tags
    assert not {"link", "img", "iframe", "object"} & set(page.tags)
    assert not [pair for pair in page.attributes if pair[0] in ("src", "href", "onload", "onclick")]
    assert "url(" not in text
    assert "@import" not in text
    assert len(page.ids) == len(set(page.ids))
    assert "default-src 'none'" in text


def test_sweep_shows_every_plot_and_its_figures(run: Recorded) -> None:
    keys = [plot.key for plot in load_plots(run)]
    assert keys == ["ttft-over-load", "tpot-over-load", "e2e-over-load", "throughput-over-load", "goodput-over-load",
                    "ttft-by-load", "itl-by-load"]  # fmt: skip
    worst = run.result.points[-1]
    names = {plot.key.rsplit("-", 1)[0] for plot in point_plots(run, worst)}
    assert {"throughput", "requests", "errors", "lag"} <= names
    assert {plot.key for plot in server_plots(run, worst)} == {"server-requests-2", "server-usage-2", "server-tokens-2"}
    page = Page(report.html(run))
    drawn = len(load_plots(run)) + sum(len(point_plots(run, p)) + len(server_plots(run, p)) for p in run.result.points)
    assert page.tags.count("svg") == drawn
    assert page.tags.count("figure") == drawn


def test_single_level_shows_ranges_instead_of_lines(tmp_path: Path) -> None:
    write_example(tmp_path, concurrencies=(8,), error_share=0.0)
    text = report.html(recorded.load(tmp_path))
    assert "Latency at concurrency 8" in text
    assert "over-load" not in text
    assert "Each load level" not in text
    assert 'id="errors-0"' not in text


def test_figures_are_those_of_the_result(run: Recorded) -> None:
    (plot,) = (one for one in load_plots(run) if one.key == "tpot-over-load")
    (median,) = (point.distributions["tpot"].p50 for point in run.result.points[:1])
    assert median is not None
    assert plot.table.rows[0][1].startswith(f"{median.value:.2f}"[:4])
    for point in run.result.points:
        assert len(run.samples(point, "ttft")) == point.distributions["ttft"].n
        assert len(run.itl_ms(point)) == point.distributions["itl"].n


def test_text_of_others_is_escaped(run: Recorded) -> None:
    result = run.result
    point = result.points[-1]
    error = msgspec.structs.replace(point.errors[0], kind=HOSTILE, example=HOSTILE)
    points = [*result.points[:-1], msgspec.structs.replace(point, errors=[error], notes=[HOSTILE])]
    hostile = changed(
        run,
        points=points,
        target=msgspec.structs.replace(result.target, model=HOSTILE, url=HOSTILE, server=HOSTILE),
        command=["trident", HOSTILE],
        complete=False,
        partial_reason=HOSTILE,
    )
    text = report.html(hostile)
    assert "<script" not in text
    assert "\x07" not in text
    assert "script" not in Page(text).tags


def test_failures_and_a_cut_short_run_are_said_first(run: Recorded) -> None:
    text = report.html(changed(run, complete=False, partial_reason="interrupted by the user"))
    start = text.index("<h1")
    assert "interrupted by the user" in text[start : start + 900]
    assert re.search(r"\d+ requests failed", text)


def test_slow_client_is_called_the_bottleneck(tmp_path: Path) -> None:
    write_example(tmp_path, send_lag_ms=20.0)
    text = report.html(recorded.load(tmp_path))
    assert "Client-bound." in text
    assert "The client kept up." not in text


def test_run_that_measured_nothing_still_has_a_report(tmp_path: Path, run: Recorded) -> None:
    folder.write(tmp_path, changed(run, points=[]).result, [], folder.Arrivals.join([]), [])
    assert "Conditions" in report.write(tmp_path).read_text(encoding="utf-8")
    assert report.write_pictures(tmp_path) == []


def test_point_where_every_request_failed_is_drawn(tmp_path: Path) -> None:
    write_example(tmp_path, concurrencies=(1, 2), error_share=1.0)
    text = report.write(tmp_path).read_text(encoding="utf-8")
    assert "nan" not in re.sub(r"<style>.*?</style>", "", text, flags=re.DOTALL).lower().replace("tenan", "")
    Page(text)


def test_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError):
        report.write(tmp_path)


def test_every_metric_is_defined() -> None:
    files = {path.stem for path in Path(metrics.__file__).parent.glob("*.py")} - {"__init__"}
    assert set(definitions.METRICS) == files
    assert all("Source" in text or "schedule" in text for _, text in definitions.formulas())


@pytest.mark.parametrize("count", [1, 2, 5, 6, 7, 40])
def test_shades_are_spread_over_the_sweep(run: Recorded, count: int) -> None:
    chosen = shades([run.result.points[0]] * count)
    assert next(iter(chosen)) == 0
    assert list(chosen)[-1] == count - 1
    assert len(set(chosen.values())) == len(chosen) <= 6


def test_counter_that_starts_again_breaks_its_rate() -> None:
    values = [10.0, 30.0, 5.0, 15.0]
    scrapes = [Scrape(at_ns=at * 10**9, url="u", values={'tokens{engine="0"}': one}) for at, one in enumerate(values)]
    assert [value for _, value in rate(scrapes, "tokens")] == [20.0, None, 10.0]


def test_two_pages_of_one_engine_are_not_added_up() -> None:
    scrapes = [Scrape(at_ns=at, url=f"u{at % 2}", values={"running": 4.0}) for at in range(6)]
    run = [value for _, value in rate([*scrapes], "running")]
    assert run == [0.0, 0.0]
