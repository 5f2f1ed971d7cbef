"""The plots of a whole run: what changes with the load. A run of one load level shows ranges instead of lines."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from trident.bench.recorded import Recorded
from trident.bench.report.frame import Plot
from trident.bench.report.plots.cdf import Sample, cdf
from trident.bench.report.plots.lines import Limit, Line, Mark, lines
from trident.bench.report.plots.ranges import Row, ranges
from trident.bench.report.theme import SERIES
from trident.bench.result import Distribution, Estimate, Point, Rate

LATENCIES = {
    "ttft": ("TTFT", "Time to first token"),
    "tpot": ("TPOT", "Time per output token"),
    "e2e": ("E2E", "End-to-end latency"),
    "e2e_from_schedule": ("E2E from schedule", "End-to-end latency from the scheduled time"),
}
SHOWN = {"p50": "c0", "p95": "c2", "p99": "c1"}
THROUGHPUTS = {"output_token_throughput": "output tokens", "total_token_throughput": "input and output tokens"}
INTERVALS = "Vertical lines are 95 % bootstrap intervals."


def load_plots(run: Recorded) -> list[Plot]:
    """All that the run has data for."""
    points = run.result.points
    if not points:
        return []
    if len(points) == 1:
        return [_ranges(points[0])]
    return [*_latencies(run), *_throughputs(points), *_goodput(run), *_distributions(run)]


def level_label(points: Sequence[Point]) -> str:
    """The name of the load axis."""
    return "concurrency" if points[0].load.kind == "closed" else "requests/s, scheduled"


def shades(points: Sequence[Point]) -> dict[int, str]:
    """Colours for at most ``SERIES`` points spread over the sweep, by a point's position."""
    count = min(SERIES, len(points))
    chosen = sorted({round(index * (len(points) - 1) / max(1, count - 1)) for index in range(count)})
    return {
        position: f"q{round(place * (SERIES - 1) / max(1, len(chosen) - 1))}" for place, position in enumerate(chosen)
    }


def _ranges(point: Point) -> Plot:
    names = {"p50": "c0", "p90": "c5", "p95": "c2", "p99": "c1", "p99_9": "c3"}
    shown = {"ttft": "TTFT", "itl": "ITL", "tpot": "TPOT", "e2e": "E2E"}
    rows = []
    for metric, name in shown.items():
        found = point.distributions.get(metric)
        if found and found.n:
            estimates = {percentile: _estimate(found, percentile) for percentile in names}
            values = {key.replace("_", "."): value.value if value else None for key, value in estimates.items()}
            rows.append(Row(name, values))
    styles = {name.replace("_", "."): style for name, style in names.items()}
    return ranges("latency", f"Latency at {point.load.label}", rows, styles, "ms")


def _latencies(run: Recorded) -> list[Plot]:
    """E2E from the schedule is shown for open loops alone: in a closed one it is E2E and the client's own lag."""
    points = run.result.points
    plots = []
    for metric, (short, title) in LATENCIES.items():
        if metric == "e2e_from_schedule" and points[0].load.kind == "closed":
            continue
        if not any(point.distributions[metric].n for point in points if metric in point.distributions):
            continue
        series = [
            Line(name, style, tuple(_mark(point, _percentile(point, metric, name)) for point in points))
            for name, style in SHOWN.items()
        ]
        limits = [Limit(f"SLO {slo.limit_ms:g} ms", slo.limit_ms) for slo in run.result.slos if slo.metric == metric]
        key = f"{metric.replace('_', '-')}-over-load"
        label = level_label(points)
        plots.append(lines(key, f"{title} ({short})", series, label, "ms", limits=limits, note=INTERVALS))
    return plots


def _throughputs(points: Sequence[Point]) -> list[Plot]:
    label = level_label(points)
    tokens = [
        Line(name, style, tuple(_mark(point, _rate(point, key)) for point in points))
        for (key, name), style in zip(THROUGHPUTS.items(), ("c0", "c5"), strict=True)
    ]
    return [
        lines("throughput-over-load", "Token throughput", tokens, label, "tokens/s", note=INTERVALS, from_zero=True)
    ]


def _goodput(run: Recorded) -> list[Plot]:
    """Answered requests against those within the SLOs; in an open loop also what was scheduled."""
    points = run.result.points
    answered = Line("answered", "c0", tuple(_mark(point, _rate(point, "request_throughput")) for point in points))
    series, title, note = [answered], "Request throughput", INTERVALS
    if run.result.slos:
        good = tuple(_mark(point, _rate(point, "goodput")) for point in points)
        series.append(Line("within all SLOs", "c2", good))
        title = "Goodput"
        said = ", ".join(f"{slo.metric} ≤ {slo.limit_ms:g} ms" for slo in run.result.slos)
        note = f"SLOs: {said}. {INTERVALS}"
    if points[0].load.kind == "open":
        scheduled = tuple(Mark(point.load.level, point.load.rate_per_s) for point in points)
        series.append(Line("scheduled", "c5", scheduled, is_dashed=True))
    return [lines("goodput-over-load", title, series, level_label(points), "requests/s", note=note, from_zero=True)]


def _distributions(run: Recorded) -> list[Plot]:
    points = run.result.points
    chosen = shades(points)
    note = "" if len(chosen) == len(points) else f"{len(chosen)} of {len(points)} loads; the others are further below."

    def overlaid(key: str, title: str, values: Callable[[Point], object]) -> Plot:
        samples = [Sample(points[at].load.label, style, values(points[at])) for at, style in chosen.items()]  # type: ignore[arg-type]
        return cdf(key, title, samples, "ms", note)

    plots = [
        overlaid("ttft-by-load", "TTFT, all requests", lambda point: run.samples(point, "ttft")),
        overlaid("itl-by-load", "Inter-token latency (ITL), all gaps", run.itl_ms),
    ]
    return [plot for plot in plots if plot.table.rows]


def _estimate(distribution: Distribution, name: str) -> Estimate | None:
    found: Estimate | None = getattr(distribution, name)
    return found


def _percentile(point: Point, metric: str, name: str) -> Estimate | None:
    found = point.distributions.get(metric)
    return _estimate(found, name) if found else None


def _rate(point: Point, name: str) -> Rate | None:
    return point.rates.get(name)


def _mark(point: Point, measured: Estimate | Rate | None) -> Mark:
    if measured is None:
        return Mark(point.load.level, None)
    return Mark(point.load.level, measured.value, measured.low, measured.high)
