"""A load test while it runs: a table that is drawn again in place, or plain lines where nothing can be.

Drawn in the parent process, which sends nothing, and at most ``DRAWS_PER_S`` times a second.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from trident.cli import show

if TYPE_CHECKING:
    from rich.console import Console, Group
    from rich.table import Table

    from trident.bench.progress import Progress, Recent
    from trident.bench.result import Point

DRAWS_PER_S = 4.0
LINE_EVERY_S = 5.0
SPARKS = "▁▂▃▄▅▆▇█"
SPARKLINE_LENGTH = 40
BAR_LENGTH = 24


class View(Protocol):
    """Is given each moment in order; ``close`` leaves the screen in order."""

    def update(self, progress: Progress) -> None: ...

    def close(self) -> None: ...


def make() -> View:
    """The view for standard output."""
    return LiveView(show.console()) if show.is_terminal() else PlainView()


class PlainView:
    """A line when a stage begins, every ``LINE_EVERY_S`` seconds, and for each load level that is done."""

    def __init__(self, write: Callable[[str], None] = show.note, clock: Callable[[], float] = time.monotonic) -> None:
        self._write = write
        self._clock = clock
        self._stage: tuple[int, str] | None = None
        self._finished = 0
        self._next = 0.0

    def update(self, progress: Progress) -> None:
        for point in progress.finished[self._finished :]:
            self._write(finished_line(point))
        self._finished = len(progress.finished)
        now = self._clock()
        if self._stage != (progress.point, progress.stage):
            self._stage = (progress.point, progress.stage)
        elif now < self._next:
            return
        self._next = now + LINE_EVERY_S
        self._write(line(progress))

    def close(self) -> None:
        """Nothing is open."""


class LiveView:
    """Drawn by ``update``, not by a thread of its own; calls that come too soon are left out."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        from rich.live import Live

        self._clock = clock
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._console = console
        self._rates: deque[float] = deque(maxlen=SPARKLINE_LENGTH)
        self._recent: dict[str, float] = {}
        self._point = -1
        self._finished = 0
        self._next = 0.0
        self._is_open = False
        self._last: Progress | None = None

    def update(self, progress: Progress) -> None:
        self._take(progress)
        now = self._clock()
        if now < self._next:
            return
        self._next = now + 1 / DRAWS_PER_S
        self._draw(progress)

    def close(self) -> None:
        if self._is_open:
            if self._last is not None:
                self._draw(self._last)
            self._live.stop()
            self._is_open = False

    def _take(self, progress: Progress) -> None:
        """Keeps what the next drawing needs, drawn or not."""
        if progress.point != self._point:
            self._point = progress.point
            self._rates.clear()
            self._recent.clear()
        if progress.stage in ("warmup", "measuring", "draining"):
            self._rates.append(progress.output_events_per_s)
        self._recent |= known(progress.recent)
        self._last = progress

    def _draw(self, progress: Progress) -> None:
        if not self._is_open:
            self._live.start()
            self._is_open = True
        for point in progress.finished[self._finished :]:
            self._console.print(finished_line(point))
        self._finished = len(progress.finished)
        self._live.update(self._panel(progress), refresh=True)

    def _panel(self, progress: Progress) -> Group:
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        head = Text.assemble((progress.load, "bold"), f"  {_place(progress)}{progress.stage}  ")
        share = done_share(progress)
        if share is not None:
            filled = round(share * BAR_LENGTH)
            head.append("━" * filled, "cyan")
            head.append("━" * (BAR_LENGTH - filled), "dim")
            head.append(f" {share:.0%}")
        head.append(f"  {progress.elapsed_s:.0f} s")
        grid = Table.grid(padding=(0, 2))
        grid.add_row("requests", f"{progress.ok:,} ok", _errors(progress), f"{progress.in_flight:,} in flight",
                     f"{progress.requests_per_s:,.1f}/s")  # fmt: skip
        grid.add_row("output", f"{progress.output_events_per_s:,.0f} events/s", Text(sparkline(self._rates), "cyan"))
        lag = f"lag p99 {progress.client_lag_p99_ms:.2f} ms, {progress.client_cpu_share:.0%} of a core"
        parts: list[Table | Text] = [head, grid, self._latencies(), Text(f"client    {lag}", "dim")]
        if progress.last_error:
            parts.append(Text(f"last error: {progress.last_error}", "red", no_wrap=True, overflow="ellipsis"))
        return Group(*parts)

    def _latencies(self) -> Table:
        """Of what has ended lately; a figure stays until there is a newer one."""
        from rich.table import Table

        grid = Table.grid(padding=(0, 2))
        for metric in ("ttft", "tpot", "e2e"):
            values = [self._recent.get(f"{metric}_{name}_ms") for name in ("p50", "p99")]
            said = [f"{name} {_ms(value)}" for name, value in zip(("p50", "p99"), values, strict=True)]
            grid.add_row(metric.upper().ljust(8), *said)
        return grid


def line(progress: Progress) -> str:
    """``[ 12 s] concurrency 8, measuring 40%: 120 ok, 0 errors, 8 in flight, 10.1 requests/s, TTFT p50 12.1 ms``."""
    share = done_share(progress)
    head = f"[{progress.elapsed_s:4.0f} s] {progress.load}, {_place(progress)}{progress.stage}"
    if share is not None:
        head += f" {share:.0%}"
    if not progress.sent:
        return head
    parts = [f"{progress.ok} ok", f"{progress.errors} errors", f"{progress.in_flight} in flight"]
    parts += [f"{progress.requests_per_s:.1f} requests/s", f"{progress.output_events_per_s:.0f} events/s"]
    recent = known(progress.recent)
    parts += [f"{name.upper()} p50 {_ms(recent[f'{name}_p50_ms'])}" for name in ("ttft", "tpot", "e2e")
              if f"{name}_p50_ms" in recent]  # fmt: skip
    error = f"; last error: {progress.last_error}" if progress.last_error else ""
    return f"{head}: {', '.join(parts)}{error}"


def finished_line(point: Point) -> str:
    """What a load level has come to."""
    parts = [f"{point.counts.ok} ok", f"{point.counts.errors} errors"]
    for name, unit in (("request_throughput", "requests/s"), ("output_token_throughput", "tokens/s")):
        if name in point.rates:
            parts.append(f"{point.rates[name].value:,.1f} {unit}")
    for name in ("ttft", "tpot", "e2e"):
        found = point.distributions.get(name)
        if found and found.p50:
            parts.append(f"{name.upper()} p50 {_ms(found.p50.value)}")
    verdict = " CLIENT-BOUND" if point.client.client_bound else ""
    return f"done: {point.load.label}: {', '.join(parts)}{verdict}"


def done_share(progress: Progress) -> float | None:
    """How much of the measuring is over, by the stop rule that is nearest; None before and after it, and without
    one."""
    if progress.stage not in ("warmup", "measuring"):
        return None
    shares = []
    if progress.planned_requests:
        shares.append((progress.ok + progress.errors) / progress.planned_requests)
    if progress.planned_s:
        shares.append(progress.elapsed_s / progress.planned_s)
    return min(1.0, max(shares)) if shares else None


def sparkline(values: deque[float]) -> str:
    """A bar for each value, of eight heights; the highest is the largest."""
    most = max(values, default=0.0)
    return "".join(SPARKS[min(7, int(8 * value / most))] if most > 0 else SPARKS[0] for value in values)


def known(recent: Recent) -> dict[str, float]:
    """The figures that there are."""
    import msgspec

    return {name: value for name, value in msgspec.structs.asdict(recent).items() if value is not None}


def _place(progress: Progress) -> str:
    return f"{progress.point + 1} of {progress.points}, " if progress.points and progress.points > 1 else ""


def _errors(progress: Progress) -> str:
    from rich.markup import escape

    return f"[red]{progress.errors:,} errors[/red]" if progress.errors else escape("0 errors")


def _ms(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f} ms" if value >= 100 else f"{value:.1f} ms"
