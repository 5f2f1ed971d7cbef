"""Every figure worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from trident.bench import metrics
from trident.bench.measure import with_metrics
from trident.bench.plan import Slo
from trident.bench.result import RequestRow

MS = 1_000_000


def row(**more: Any) -> RequestRow:
    """Sent 2 ms late at 12 ms; 5 tokens in 4 events at 32, 40, 50, 72 ms."""
    given = {
        "point": 0,
        "request": 0,
        "worker": 0,
        "phase": "measured",
        "conversation": 0,
        "turn": 0,
        "status": "ok",
        "scheduled_ns": 10 * MS,
        "sent_ns": 12 * MS,
        "first_ns": 32 * MS,
        "last_ns": 72 * MS,
        "end_ns": 73 * MS,
        "events": 4,
        "input_tokens": 100,
        "input_source": "server",
        "output_tokens": 5,
        "output_source": "server",
        "send_lag_ms": 2.0,
    }
    return RequestRow(**{**given, **more})


def test_ttft() -> None:
    assert metrics.ttft_ms(row()) == 20.0
    assert metrics.ttft_ms(row(first_ns=None)) is None


def test_tpot_divides_by_tokens_after_the_first() -> None:
    assert metrics.tpot_ms(row()) == 10.0
    assert metrics.tpot_ms(row(output_tokens=1)) is None
    assert metrics.tpot_ms(row(first_ns=None)) is None


def test_e2e_and_from_schedule() -> None:
    assert metrics.e2e_ms(row()) == 60.0
    assert metrics.e2e_from_schedule_ms(row()) == 62.0
    assert metrics.e2e_ms(row(last_ns=None)) is None


def test_itl_pools_the_gaps_within_requests() -> None:
    arrivals = [np.array([32, 40, 50, 72]) * MS, np.array([5]) * MS, np.array([1, 4]) * MS]
    assert metrics.itl_ms(arrivals) == pytest.approx([8, 10, 22, 3])
    assert len(metrics.itl_ms([])) == 0


def test_rates_are_of_what_arrived_in_the_window() -> None:
    ended = np.array([0, 500, 999, 1000, 2000]) * MS
    rate = metrics.request_throughput(ended, 0, 1000 * MS)
    assert (rate.value, rate.unit) == (3.0, "requests/s")
    tokens = np.array([1.0, 1.5, 2.0, 7.0, 7.0])
    assert metrics.output_token_throughput(ended, tokens, 0, 1000 * MS).value == 4.5
    total = metrics.total_token_throughput(
        ended, tokens, np.array([0, 1000]) * MS, np.array([10.0, 99.0]), 0, 1000 * MS
    )
    assert total.value == 14.5


@pytest.mark.parametrize(
    ("slo", "more", "good"),
    [
        (Slo(metric="ttft", limit_ms=20.0), {}, True),
        (Slo(metric="ttft", limit_ms=19.9), {}, False),
        (Slo(metric="tpot", limit_ms=0.1), {"output_tokens": 1}, True),
        (Slo(metric="e2e_from_schedule", limit_ms=61.0), {}, False),
        (Slo(metric="ttft", limit_ms=59.0), {"first_ns": None}, False),
        (Slo(metric="ttft", limit_ms=60.0), {"first_ns": None}, True),
        (Slo(metric="ttft", limit_ms=20.0), {"status": "error"}, False),
        (Slo(metric="ttft", limit_ms=20.0), {"status": "unfinished"}, None),
    ],
)
def test_goodness_of_a_request(slo: Slo, more: dict[str, Any], good: bool | None) -> None:
    assert with_metrics(row(**more), [slo]).good is good


def test_goodput_share() -> None:
    share = metrics.goodput_share(3, 4)
    assert (share.value, share.unit) == (0.75, "share")
    assert metrics.goodput_share(0, 0).value == 0.0


def test_failed_request_has_no_latencies() -> None:
    failed = with_metrics(row(status="error"), [])
    assert (failed.ttft_ms, failed.e2e_ms, failed.good) == (None, None, None)
