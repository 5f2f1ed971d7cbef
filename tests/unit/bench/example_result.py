"""A made-up result of a sweep, the same each time: for tests of what reads result folders.

python tests/unit/bench/example_result.py FOLDER [SEED]
"""

from __future__ import annotations

import functools
import sys
from pathlib import Path

import numpy as np

from trident.bench import folder, health, measure
from trident.bench.plan import Load, Slo, StopRules, Target, Workload
from trident.bench.result import Machine, Point, RequestRow, Result, Scrape, WorkerHealth

SLOS = [Slo(metric="ttft", limit_ms=120.0), Slo(metric="tpot", limit_ms=30.0)]
OUTPUT_TOKENS = 32
SECOND_NS = 1_000_000_000


def write_example(
    path: Path, *, seed: int = 0, concurrencies: tuple[int, ...] = (1, 4, 16), requests: int = 120,
    error_share: float = 0.02, slowdown: float = 1.0, send_lag_ms: float = 0.04, model: str = "demo",
) -> Result:  # fmt: skip
    """A sweep over ``concurrencies``; latencies grow with them, and ``error_share`` of the requests fail at the
    highest. ``slowdown`` is a factor on the time of each token; ``send_lag_ms`` is the client's own, on average."""
    rows: list[RequestRow] = []
    arrivals: list[np.ndarray] = []
    points = []
    begin_ns = 0
    for index, concurrency in enumerate(concurrencies):
        rng = np.random.default_rng((seed, index))
        worst = index == len(concurrencies) - 1
        own, times = _requests(
            rng, index, concurrency, requests, begin_ns, error_share=error_share if worst else 0.0, slowdown=slowdown,
            send_lag_ms=send_lag_ms,
        )  # fmt: skip
        points.append(_point(index, concurrency, own, times, rng))
        begin_ns = max(row.end_ns for row in own) + SECOND_NS
        rows += own
        arrivals += times
    result = Result(
        tool_version="0.0.0",
        command=["trident", "bench", "sweep", "--concurrency", ",".join(map(str, concurrencies))],
        started_at="2026-01-02T03:04:05+00:00",
        origin_ns=0,
        duration_s=begin_ns / 1e9,
        complete=True,
        machine=Machine(
            hostname="example",
            cpu="an example",
            cores=2,
            memory_bytes=8 << 30,
            kernel="Linux 6.1",
            python="3.11.7",
        ),
        target=Target(api="openai-chat", url="http://127.0.0.1:9000/v1/chat/completions", model=model),
        workload=Workload(seed=seed, nonce="example"),
        stop=StopRules(num_requests=requests),
        slos=SLOS,
        points=points,
    )
    scrapes = [
        Scrape(
            at_ns=second * SECOND_NS,
            url="http://127.0.0.1:9000/metrics",
            values={
                'vllm:num_requests_running{model_name="demo"}': float(second % 7),
                'vllm:kv_cache_usage_perc{model_name="demo"}': 0.01 * (second % 50),
                'vllm:generation_tokens_total{model_name="demo"}': 100.0 * second,
            },
        )
        for second in range(int(begin_ns / 1e9))
    ]
    folder.write(path, result, rows, folder.Arrivals.join(arrivals), scrapes)
    return result


def _requests(
    rng: np.random.Generator, point: int, concurrency: int, requests: int, begin_ns: int, *, error_share: float,
    slowdown: float, send_lag_ms: float,
) -> tuple[list[RequestRow], list[np.ndarray]]:  # fmt: skip
    free_ns = np.full(concurrency, begin_ns, np.int64)
    rows, arrivals = [], []
    for request in range(requests + concurrency):
        slot = int(np.argmin(free_ns))
        scheduled_ns = int(free_ns[slot])
        sent_ns = scheduled_ns + int(rng.gamma(2, 5e5 * send_lag_ms))
        ttft_ns = int(1e6 * rng.lognormal(np.log(20 + 3 * concurrency), 0.3))
        gaps_ns = (1e6 * rng.gamma(20, slowdown * (8 + concurrency) / 20, OUTPUT_TOKENS - 1)).astype(np.int64)
        times = sent_ns + ttft_ns + np.concatenate([[0], np.cumsum(gaps_ns)])
        failed = bool(rng.random() < error_share)
        times = times[:5] if failed else times
        free_ns[slot] = times[-1]
        row = RequestRow(
            point=point,
            request=request,
            worker=slot % 2,
            phase="warmup" if request < concurrency else "measured",
            conversation=request,
            turn=0,
            status="error" if failed else "ok",
            error_kind="disconnected" if failed else "",
            error="the server closed the connection after 5 events" if failed else "",
            http_status=200,
            scheduled_ns=scheduled_ns,
            sent_ns=sent_ns,
            first_ns=int(times[0]),
            last_ns=int(times[-1]),
            end_ns=int(times[-1]) + 30_000,
            events=len(times),
            input_tokens=int(rng.integers(100, 156)),
            input_source="server",
            output_tokens=len(times),
            output_source="server",
            send_lag_ms=(sent_ns - scheduled_ns) / 1e6,
        )
        rows.append(measure.with_metrics(row, SLOS))
        arrivals.append(times)
    return rows, arrivals


def _point(
    index: int, concurrency: int, rows: list[RequestRow], arrivals: list[np.ndarray], rng: np.random.Generator
) -> Point:
    workers = [
        WorkerHealth(pid=100 + n, requests=60, cpu_share=0.1, loop_lag_p99_ms=0.2, send_lag_p99_ms=0.1) for n in (0, 1)
    ]
    judge = functools.partial(
        health.judge,
        send_lag_ms=np.array([row.send_lag_ms for row in rows]),
        loop_lag_ms=rng.gamma(2, 0.05, 500),
        coalesced_share=0.01,
        cpu_us_per_token=10.0,
        workers=workers,
    )
    return measure.point(
        index=index,
        load=Load(kind="closed", concurrency=concurrency, warmup_requests=concurrency),
        rows=rows,
        arrivals=arrivals,
        slos=SLOS,
        stopped_by="requests",
        judge=judge,
    )


if __name__ == "__main__":
    write_example(Path(sys.argv[1]), seed=int(sys.argv[2]) if len(sys.argv) > 2 else 0)
