from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from test_metrics import MS, row

from trident.bench import health, measure, statistics
from trident.bench.plan import Load, Slo
from trident.bench.result import Point, RequestRow, WorkerHealth

QUIET = np.full(100, 0.01)


def measured(rows: list[RequestRow], *, load: Load | None = None, slos: list[Slo] | None = None, **lags: Any) -> Point:
    slos = slos or []
    given = {"send_lag_ms": QUIET, "loop_lag_ms": QUIET, "coalesced_share": 0.0, "cpu_us_per_token": 1.0, "workers": []}
    return measure.point(
        index=0,
        load=load or Load(kind="closed", concurrency=1),
        rows=[measure.with_metrics(one, slos) for one in rows],
        arrivals=[_arrivals(one) for one in rows],
        slos=slos,
        stopped_by="requests",
        judge=lambda ttft: health.judge(ttft, **{**given, **lags}),
    )


def _arrivals(one: RequestRow) -> np.ndarray:
    if one.first_ns is None or one.last_ns is None:
        return np.zeros(0, np.int64) if one.last_ns is None else np.array([one.last_ns])
    return np.linspace(one.first_ns, one.last_ns, one.events).astype(np.int64)


def train(count: int, **more: Any) -> list[RequestRow]:
    """One client: a request each 100 ms, first token after 20, 5 tokens by 60 ms."""
    return [
        row(
            request=number,
            phase="warmup" if number == 0 else "measured",
            scheduled_ns=100 * number * MS,
            sent_ns=100 * number * MS,
            first_ns=(100 * number + 20) * MS,
            last_ns=(100 * number + 60) * MS,
            end_ns=(100 * number + 61) * MS,
            **more,
        )
        for number in range(count)
    ]


def test_window_is_from_the_first_measured_to_the_last_sending() -> None:
    point = measured(train(11))
    assert (point.window.start_ns, point.window.end_ns, point.window.run_end_ns) == (100 * MS, 1000 * MS, 1061 * MS)
    assert point.counts.sent == point.counts.ok == 10
    assert point.counts.warmup_sent == 1
    assert point.distributions["ttft"].n == 10
    assert point.rates["request_throughput"].value == pytest.approx(10)
    assert point.rates["output_token_throughput"].value == pytest.approx(50)
    assert point.rates["total_token_throughput"].value == pytest.approx(50 + 1000)
    assert point.whole_run_rates["request_throughput"].value == pytest.approx(11 / 1.061, rel=1e-4)
    assert point.notes == []


def test_one_wave_is_no_steady_state() -> None:
    rows = [row(request=number, sent_ns=number) for number in range(4)]
    point = measured(rows)
    assert point.window.end_ns > point.window.run_end_ns
    assert "too short for a steady state" in point.notes[0]
    assert point.rates["request_throughput"].value == pytest.approx(4 / 0.073, rel=1e-3)


def test_errors_are_counted_by_kind_and_stay_out_of_latencies() -> None:
    rows = train(6)
    rows += [row(request=9, status="error", error_kind="timeout", error="late"), row(status="error", error_kind="x")]
    rows += [row(status="error", error_kind="timeout", error="late again"), row(status="unfinished", last_ns=None)]
    point = measured(rows, slos=[Slo(metric="ttft", limit_ms=50)])
    assert (point.counts.sent, point.counts.ok, point.counts.errors, point.counts.unfinished) == (9, 5, 3, 1)
    assert [(error.kind, error.count, error.example) for error in point.errors] == [
        ("timeout", 2, "late"),
        ("x", 1, ""),
    ]
    assert point.distributions["e2e"].n == 5
    assert point.rates["goodput_share"].value == 5 / 8


def test_answers_in_one_piece_have_no_ttft_and_no_tpot() -> None:
    rows = [row(request=number, sent_ns=number * MS, first_ns=None, events=1) for number in range(5)]
    point = measured(rows)
    assert [point.distributions[name].n for name in ("ttft", "tpot", "itl", "e2e")] == [0, 0, 0, 5]


def test_weakest_source_of_counts_is_told() -> None:
    point = measured([*train(3), row(output_source="estimate", input_source="tokenizer")])
    assert (point.tokens.output_source, point.tokens.input_source) == ("estimate", "tokenizer")


def test_point_without_requests() -> None:
    point = measured([])
    assert (point.counts.sent, point.window.seconds) == (0, 0.0)
    assert point.rates["request_throughput"].value == 0.0


@pytest.mark.parametrize(
    ("lags", "reason"),
    [
        ({"send_lag_ms": np.full(100, 1.1)}, "lag of sending"),
        ({"loop_lag_ms": np.full(100, 1.1)}, "lag of the loop"),
        (
            {"workers": [WorkerHealth(pid=7, requests=1, cpu_share=0.91, loop_lag_p99_ms=0, send_lag_p99_ms=0)]},
            "process 7",
        ),
        ({"loop_lag_ms": np.append(np.zeros(99), 50.0)}, None),
    ],
)
def test_client_that_cannot_keep_up_is_told(lags: dict[str, Any], reason: str | None) -> None:
    client = measured(train(5), **lags).client
    assert client.client_bound == (reason is not None)
    assert [reason in said for said in client.reasons] == ([True] if reason else [])


def test_allowed_lag_grows_with_the_ttft() -> None:
    slow = statistics.distribution(np.full(10, 400.0), "ms")
    given = {"coalesced_share": 0.0, "cpu_us_per_token": None, "workers": []}
    client = health.judge(slow, send_lag_ms=np.full(10, 19.0), loop_lag_ms=np.zeros(0), **given)  # type: ignore[arg-type]
    assert (client.lag_limit_ms, client.client_bound) == (20.0, False)
