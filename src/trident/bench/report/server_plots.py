"""What the server said of itself in the seconds of one load level: vLLM's and Triton's metrics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from trident.bench.recorded import Recorded
from trident.bench.report.frame import Plot
from trident.bench.report.plots.timeline import Course, timeline
from trident.bench.report.point_plots import window_s
from trident.bench.result import Point, Scrape

Reading = tuple[float, float | None]
COUNTS = {
    "vllm:num_requests_running": ("running (vLLM)", "c0"),
    "vllm:num_requests_waiting": ("waiting (vLLM)", "c1"),
    "trident_admission_queued_requests": ("waiting (Trident)", "c2"),
    "nv_inference_pending_request_count": ("pending (Triton)", "c3"),
}
TOKENS = {
    "vllm:generation_tokens_total": ("generated tokens (vLLM)", "c0"),
    "vllm:prompt_tokens_total": ("prompt tokens (vLLM)", "c5"),
}
SHARES = {
    "vllm:kv_cache_usage_perc": ("KV cache in use", "c0"),
    "vllm:gpu_cache_usage_perc": ("KV cache in use", "c0"),
    "nv_gpu_utilization": ("GPU busy (Triton)", "c3"),
}


def server_plots(run: Recorded, point: Point) -> list[Plot]:
    """Only plots for which the server gave something."""
    start_ns, end_ns = run.span_ns(point)
    scrapes = [scrape for scrape in run.scrapes if start_ns - 1e9 <= scrape.at_ns <= end_ns + 1e9 and not scrape.error]
    at, window = point.index, window_s(run, point)

    def courses(names: dict[str, tuple[str, str]], read: Callable[[Sequence[Scrape], str], list[Reading]],
                factor: float = 1.0) -> list[Course]:  # fmt: skip
        found = []
        for metric, (name, style) in names.items():
            values = [((when - start_ns) / 1e9, scaled(value, factor)) for when, value in read(scrapes, metric)]
            if values:
                found.append(Course(name, style, tuple(values)))
        return found

    plots = []
    if queue := courses(COUNTS, total):
        plots.append(timeline(f"server-requests-{at}", "Server: requests", queue, "requests", window))
    if shares := courses(SHARES, largest, 100.0):
        plots.append(timeline(f"server-usage-{at}", "Server: usage", shares, "%", window))
    if tokens := courses(TOKENS, rate):
        plots.append(timeline(f"server-tokens-{at}", "Server: tokens", tokens, "tokens/s", window))
    return plots


def total(scrapes: Sequence[Scrape], metric: str) -> list[Reading]:
    """The sum over labels (engines, models) at each look."""
    return [(at_ns, sum(values)) for at_ns, values in _looks(scrapes, metric)]


def largest(scrapes: Sequence[Scrape], metric: str) -> list[Reading]:
    """The largest over labels at each look."""
    return [(at_ns, max(values)) for at_ns, values in _looks(scrapes, metric)]


def rate(scrapes: Sequence[Scrape], metric: str) -> list[Reading]:
    """What a counter grew per second since the look before; None where it fell, as the server was started again."""
    readings = total(scrapes, metric)
    found: list[Reading] = []
    for (earlier_ns, before), (now_ns, after) in pairwise(readings):
        if now_ns > earlier_ns and before is not None and after is not None:
            grown = after - before
            found.append(((earlier_ns + now_ns) / 2, grown * 1e9 / (now_ns - earlier_ns) if grown >= 0 else None))
    return found


def scaled(value: float | None, factor: float) -> float | None:
    """None stays None."""
    return None if value is None else value * factor


def _looks(scrapes: Sequence[Scrape], metric: str) -> list[tuple[int, list[float]]]:
    """The values of ``metric`` at each look at the first page that has it: two pages may tell of one engine."""
    found = []
    source = None
    for scrape in scrapes:
        values = [value for name, value in scrape.values.items() if name.partition("{")[0] == metric]
        if values and source in (None, scrape.url):
            source = scrape.url
            found.append((scrape.at_ns, values))
    return found
