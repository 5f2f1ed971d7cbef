from __future__ import annotations

import io
import sys
from collections import deque
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))

from example_result import write_example

from trident.bench.progress import Progress, Recent
from trident.cli import bench_live
from trident.cli.bench_live import LiveView, PlainView


class Clock:
    """Time that a test moves."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


MOMENT = Progress(
    stage="measuring",
    point=1,
    points=3,
    load="concurrency 8",
    elapsed_s=12.0,
    planned_requests=200,
    sent=128,
    ok=118,
    errors=2,
    in_flight=8,
    requests_per_s=10.1,
    output_events_per_s=320.0,
    recent=Recent(ttft_p50_ms=12.34, ttft_p99_ms=250.0, tpot_p50_ms=9.8),
    client_lag_p99_ms=0.2,
    client_cpu_share=0.1,
    last_error="[red]503[/red] too busy",
)


def terminal() -> Console:
    return Console(
        file=io.StringIO(), force_terminal=True, width=100, highlight=False, legacy_windows=False, record=True
    )


def test_live_view_shows_the_moment_and_text_of_others_as_it_is() -> None:
    console = terminal()
    view = LiveView(console, Clock())
    view.update(MOMENT)
    view.close()
    text = console.export_text()
    for said in ("concurrency 8", "2 of 3, measuring", "60%", "118 ok", "2 errors", "8 in flight", "10.1/s",
                 "320 events/s", "p50 12.3 ms", "p99 250 ms", "lag p99 0.20 ms", "[red]503[/red] too"):  # fmt: skip
        assert said in text, said


def test_live_view_is_drawn_at_most_four_times_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    view = LiveView(terminal(), clock)
    drawn: list[Progress] = []
    monkeypatch.setattr(view, "_draw", drawn.append)
    for tick in range(100):
        clock.now_s = 100 + tick / 100
        view.update(msgspec.structs.replace(MOMENT, ok=tick))
    assert len(drawn) == bench_live.DRAWS_PER_S


def test_live_view_ends_with_the_last_moment() -> None:
    console = terminal()
    view = LiveView(console, Clock())
    view.update(MOMENT)
    view.update(msgspec.structs.replace(MOMENT, ok=777))
    view.close()
    assert "777 ok" in console.export_text()


def test_live_view_that_saw_nothing_closes() -> None:
    console = terminal()
    LiveView(console).close()
    assert console.export_text() == ""


def test_live_view_keeps_a_figure_until_there_is_a_newer_one() -> None:
    console, clock = terminal(), Clock()
    view = LiveView(console, clock)
    view.update(MOMENT)
    clock.now_s += 1
    console.export_text()
    view.update(msgspec.structs.replace(MOMENT, recent=Recent()))
    assert "p50 12.3 ms" in console.export_text()
    clock.now_s += 1
    view.update(msgspec.structs.replace(MOMENT, point=2, recent=Recent()))
    assert "p50 12.3 ms" not in console.export_text()
    view.close()


def test_views_name_each_finished_level_once(tmp_path: Path) -> None:
    finished = write_example(tmp_path, concurrencies=(4, 8)).points
    console, clock = terminal(), Clock()
    view = LiveView(console, clock)
    lines: list[str] = []
    plain = PlainView(lines.append, clock)
    for count in (0, 1, 1, 2, 2):
        clock.now_s += 10
        moment = msgspec.structs.replace(MOMENT, finished=finished[:count])
        view.update(moment)
        plain.update(moment)
    view.close()
    assert console.export_text().count("done: concurrency 4") == 1
    assert [line.partition(":")[0] for line in lines].count("done") == 2
    assert "TTFT p50" in lines[1]


def test_plain_view_says_each_stage_and_then_waits() -> None:
    clock, lines = Clock(), list[str]()
    view = PlainView(lines.append, clock)
    for stage, seconds in (("preparing", 0.0), ("warmup", 0.5), ("measuring", 1.0), ("measuring", 1.5),
                           ("measuring", 7.0), ("draining", 7.1)):  # fmt: skip
        clock.now_s = 100 + seconds
        sent = 0 if stage == "preparing" else 128
        view.update(msgspec.structs.replace(MOMENT, stage=stage, sent=sent))
    view.close()
    assert [line.split("3, ")[1].partition(" ")[0].rstrip(":") for line in lines] == [
        "preparing", "warmup", "measuring", "measuring", "draining",
    ]  # fmt: skip
    assert lines[0] == "[  12 s] concurrency 8, 2 of 3, preparing"
    assert "measuring 60%: 118 ok, 2 errors, 8 in flight, 10.1 requests/s" in lines[2]


def test_progress_follows_the_stop_rule_that_is_nearest() -> None:
    assert bench_live.done_share(MOMENT) == 0.6
    assert bench_live.done_share(msgspec.structs.replace(MOMENT, planned_s=15.0)) == 0.8
    assert bench_live.done_share(msgspec.structs.replace(MOMENT, planned_s=5.0)) == 1.0
    assert bench_live.done_share(msgspec.structs.replace(MOMENT, planned_requests=None)) is None


@pytest.mark.parametrize(("values", "text"), [([], ""), ([0.0, 0.0], "▁▁"), ([1.0, 50.0, 100.0], "▁▅█"), ([7.0], "█")])
def test_sparkline_is_highest_at_the_largest(values: list[float], text: str) -> None:
    assert bench_live.sparkline(deque(values)) == text
