"""Result folders with made-up requests of known statistics, as ``trident bench run`` would write them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trident.bench import folder as files
from trident.bench import health, measure
from trident.bench.plan import Load, Slo, StopRules, Target, Workload
from trident.bench.result import Machine, Point, RequestRow, Result, Scrape, WorkerHealth

METRICS_URL = "http://127.0.0.1:8000/metrics"
SLOS = (Slo(metric="ttft", limit_ms=120.0), Slo(metric="tpot", limit_ms=16.0))


def write(folder: Path, concurrencies: Sequence[int] = (1, 4, 16), *, requests: int = 150, tpot_ms: float = 10.0,
          seed: int = 0, error_share: float = 0.0, slos: Sequence[Slo] = SLOS, model: str = "demo",
          streamed: bool = True, late: bool = False) -> Path:  # fmt: skip
    """Closed loops whose TPOT grows from ``tpot_ms`` with the concurrency; ``late`` makes the client the bottleneck."""
    rng = np.random.default_rng(seed)
    rows: list[RequestRow] = []
    arrivals: list[NDArray[np.int64]] = []
    points: list[Point] = []
    scrapes: list[Scrape] = []
    start_ns = 1_000_000_000
    for index, concurrency in enumerate(concurrencies):
        load = Load(kind="closed", concurrency=concurrency, warmup_requests=concurrency)
        made = _requests(rng, index, concurrency, requests, tpot_ms, start_ns, error_share, streamed)
        own_rows = [measure.with_metrics(row, slos) for row, _ in made]
        own_arrivals = [events for _, events in made]
        lag = rng.gamma(2, 4.0 if late else 0.02, len(made))
        cpu_share = 0.96 if late else 0.2
        worker = WorkerHealth(
            pid=4000, requests=len(made), cpu_share=cpu_share, loop_lag_p99_ms=0.3, send_lag_p99_ms=0.2
        )
        own_rows = [_with_lag(row, float(value)) for row, value in zip(own_rows, lag, strict=True)]
        points.append(
            measure.point(
                index=index, load=load, rows=own_rows, arrivals=own_arrivals, slos=slos, stopped_by="num_requests",
                judge=lambda ttft, lag=lag, worker=worker: health.judge(
                    ttft, send_lag_ms=lag, loop_lag_ms=lag, coalesced_share=0.01, cpu_us_per_token=9.0, workers=[worker]
                ),
            )
        )  # fmt: skip
        end_ns = points[-1].window.run_end_ns
        scrapes += _scrapes(start_ns, end_ns, concurrency)
        rows += own_rows
        arrivals += own_arrivals
        start_ns = end_ns + 500_000_000
    result = Result(
        tool_version="0.2.0",
        command=["trident", "bench", "run", "--concurrency", ",".join(map(str, concurrencies))],
        started_at="2026-11-23T16:00:00+00:00",
        origin_ns=0,
        duration_s=start_ns / 1e9,
        complete=True,
        machine=Machine(hostname="host", cpu="a CPU", cores=2, memory_bytes=24 << 30, kernel="6.1", python="3.11.7"),
        target=Target(api="openai-completions", url="http://127.0.0.1:8000/v1/completions", model=model),
        workload=Workload(nonce="abc"),
        stop=StopRules(num_requests=requests),
        slos=list(slos),
        points=points,
    )
    files.write(folder, result, rows, files.Arrivals.join(arrivals), scrapes)
    return folder


def _requests(
    rng: np.random.Generator, point: int, concurrency: int, requests: int, tpot_ms: float, start_ns: int,
    error_share: float, streamed: bool,
) -> list[tuple[RequestRow, NDArray[np.int64]]]:  # fmt: skip
    """Each client sends when its answer has ended; the first request of each is warm-up."""
    made = []
    free_ns = [start_ns] * concurrency
    step_ms = tpot_ms * (1 + concurrency / 40)
    for request in range(requests + concurrency):
        client = int(np.argmin(free_ns))
        sent_ns = free_ns[client]
        tokens = int(rng.integers(20, 60))
        first_ns = sent_ns + int(1e6 * (20 + 3 * concurrency) * rng.lognormal(0, 0.3))
        gaps = rng.gamma(40, step_ms / 40, tokens - 1) * 1e6
        events = first_ns + np.concatenate([[0], np.cumsum(gaps)]).astype(np.int64)
        events = events if streamed else events[-1:]
        is_failed = bool(rng.random() < error_share)
        if is_failed:
            events = events[:0]
        end_ns = int(events[-1]) if len(events) else first_ns
        free_ns[client] = end_ns
        row = RequestRow(
            point=point,
            request=request,
            worker=0,
            phase="warmup" if request < concurrency else "measured",
            conversation=request,
            turn=0,
            status="error" if is_failed else "ok",
            error_kind=("http_503", "timeout")[request % 2] if is_failed else "",
            error="<script>alert('over')</script> & full" if is_failed else "",
            http_status=200,
            scheduled_ns=sent_ns,
            sent_ns=sent_ns,
            first_ns=int(events[0]) if len(events) and streamed else None,
            last_ns=int(events[-1]) if len(events) else None,
            end_ns=end_ns,
            events=len(events),
            input_tokens=128,
            input_source="server",
            output_tokens=tokens if len(events) else 0,
            output_source="server",
            send_lag_ms=0.0,
        )
        made.append((row, events))
    return made


def _with_lag(row: RequestRow, lag_ms: float) -> RequestRow:
    import msgspec

    return msgspec.structs.replace(row, send_lag_ms=lag_ms)


def _scrapes(start_ns: int, end_ns: int, concurrency: int) -> list[Scrape]:
    found = []
    for count, at_ns in enumerate(range(start_ns, end_ns, 250_000_000)):
        labels = '{model_name="demo",engine="0"}'
        values = {
            f"vllm:num_requests_running{labels}": float(concurrency),
            f"vllm:num_requests_waiting{labels}": float(count % 3),
            f"vllm:kv_cache_usage_perc{labels}": min(1.0, concurrency / 64),
            f"vllm:generation_tokens_total{labels}": 25.0 * concurrency * count,
        }
        found.append(Scrape(at_ns=at_ns, url=METRICS_URL, values=values))
    return found
