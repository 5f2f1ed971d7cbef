"""The plots of one load level: distributions, and what happened over its seconds."""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from trident.bench.recorded import Recorded
from trident.bench.report.frame import Plot
from trident.bench.report.plots.cdf import Sample, cdf
from trident.bench.report.plots.histogram import histogram
from trident.bench.report.plots.timeline import Course, stacked, timeline
from trident.bench.report.scale import nice_step
from trident.bench.report.theme import SERIES
from trident.bench.result import Distribution, Point

TIME_BINS = 60
MARKED = ("p50", "p95", "p99")
OTHER = "other kinds"


def point_plots(run: Recorded, point: Point) -> list[Plot]:
    """Keys end in the point's index, so that they differ over the page."""
    at = point.index
    ttft, itl = run.samples(point, "ttft"), run.itl_ms(point)
    e2e = run.samples(point, "e2e")
    plots = []
    if len(ttft):
        plots += _distribution(f"ttft-{at}", "Time to first token", ttft, point.distributions["ttft"])
    if len(itl):
        note = f"{point.client.coalesced_share:.1%} of token events came in one read with another of the same request."
        plots += _distribution(f"itl-{at}", "Inter-token latency", itl, point.distributions["itl"], note)
    if not len(ttft) and len(e2e):
        plots += _distribution(f"e2e-{at}", "End-to-end latency", e2e, point.distributions["e2e"])
    plots += [_throughput(run, point), _requests(run, point)]
    if any(row.status == "error" for row in run.requests(point)):
        plots.append(_errors(run, point))
    return [*plots, _lag(run, point)]


def window_s(run: Recorded, point: Point) -> tuple[float, float] | None:
    """The steady window in seconds since the point's first request; None where nothing was measured."""
    if point.window.end_ns <= point.window.start_ns:
        return None
    start_ns = run.span_ns(point)[0]
    return (point.window.start_ns - start_ns) / 1e9, (point.window.end_ns - start_ns) / 1e9


def bins(run: Recorded, point: Point) -> tuple[float, NDArray[np.int64]]:
    """The width of a time bin in seconds, and the edges in ns since the run's origin."""
    start_ns, end_ns = run.span_ns(point)
    seconds = max((end_ns - start_ns) / 1e9, 1e-3)
    width_s = nice_step(seconds / TIME_BINS)
    count = max(1, int(np.ceil(seconds / width_s)))
    return width_s, start_ns + (np.arange(count + 1) * width_s * 1e9).astype(np.int64)


def _distribution(key: str, title: str, values: NDArray[np.float64], known: Distribution, note: str = "") -> list[Plot]:
    marked = {name: estimate.value for name in MARKED if (estimate := getattr(known, name)) is not None}
    short = title.lower()
    return [
        histogram(f"{key}-histogram", title, values, "ms", marked, note),
        cdf(f"{key}-cdf", f"{title}, cumulative", [Sample(short, "c0", values)], "ms"),
    ]


def _throughput(run: Recorded, point: Point) -> Plot:
    """Tokens are spread evenly over a request's events, as the metric does."""
    width_s, edges = bins(run, point)
    positions = [index for index in run.positions(point) if len(run.arrivals.of(index))]
    arrived = np.concatenate([run.arrivals.of(index) for index in positions] or [np.zeros(0, np.int64)])
    weights = np.concatenate(
        [
            np.full(len(events), run.rows[index].output_tokens / len(events))
            for index in positions
            for events in [run.arrivals.of(index)]
        ]
        or [np.zeros(0)]
    )
    tokens, _ = np.histogram(arrived, edges, weights=weights)
    # The last bin is cut short by the run's end: its rate would be too small.
    values = tuple((_middle(edges, i), float(tokens[i]) / width_s) for i in range(max(1, len(tokens) - 1)))
    course = Course("output tokens/s", "c0", values)
    return timeline(f"throughput-{point.index}", "Output throughput over time", [course], "tokens/s",
                    window_s(run, point), f"Bins of {width_s:g} s. Shaded: the steady window.")  # fmt: skip


def _requests(run: Recorded, point: Point) -> Plot:
    """What the client had in flight, exactly."""
    rows = run.requests(point)
    _, edges = bins(run, point)
    sent = np.sort(np.array([row.sent_ns for row in rows], np.int64))
    ended = np.sort(np.array([row.end_ns for row in rows], np.int64))
    flying = np.searchsorted(sent, edges, "right") - np.searchsorted(ended, edges, "right")
    seconds = (edges - edges[0]) / 1e9
    values = tuple((float(at), float(count)) for at, count in zip(seconds, flying, strict=True))
    course = Course("in flight", "c0", values)
    return timeline(f"requests-{point.index}", "Requests in flight", [course], "requests", window_s(run, point))


def _errors(run: Recorded, point: Point) -> Plot:
    """Kinds in the order of their number; those that have no colour left are one."""
    failed = [row for row in run.requests(point) if row.status == "error"]
    width_s, edges = bins(run, point)
    kinds = [kind for kind, _ in Counter(row.error_kind for row in failed).most_common()]
    named = kinds if len(kinds) <= SERIES else [*kinds[: SERIES - 1], OTHER]
    colours = ("c1", "c3", "c4", "c0", "c2", "c5")
    courses = []
    for kind, style in zip(named, colours, strict=False):
        is_of_kind = [
            row for row in failed if row.error_kind == kind or (kind == OTHER and row.error_kind not in named)
        ]
        counts, _ = np.histogram([row.end_ns for row in is_of_kind], edges)
        values = tuple((index * width_s, float(count)) for index, count in enumerate(counts))
        courses.append(Course(kind, style, values))
    return stacked(
        f"errors-{point.index}", "Errors over time", courses, f"errors per {width_s:g} s", width_s, window_s(run, point)
    )


def _lag(run: Recorded, point: Point) -> Plot:
    """The client's own lateness, by the time of sending."""
    rows = sorted(run.requests(point), key=lambda row: row.sent_ns)
    start_ns = run.span_ns(point)[0]
    _, edges = bins(run, point)
    at_ns = np.array([row.sent_ns for row in rows], np.int64)
    lags = np.array([row.send_lag_ms for row in rows], np.float64)
    place = np.clip(np.searchsorted(edges, at_ns, "right") - 1, 0, len(edges) - 2)
    worst: list[tuple[float, float | None]] = []
    for index in range(len(edges) - 1):
        inside = lags[place == index]
        if len(inside):
            worst.append(((int(edges[index]) - start_ns) / 1e9, float(inside.max())))
    limit = tuple((at, point.client.lag_limit_ms) for at, _ in (worst[:1] + worst[-1:]))
    courses = [Course("latest sending", "c0", tuple(worst)), Course("limit for its p99", "c1", limit, is_dashed=True)]
    return timeline(f"lag-{point.index}", "Client: how late it sends", courses, "ms", window_s(run, point))


def _middle(edges: NDArray[np.int64], index: int) -> float:
    return float((edges[index] + edges[index + 1]) / 2 - edges[0]) / 1e9
