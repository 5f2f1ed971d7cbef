from __future__ import annotations

import pytest

from trident.bench.plan import Load, StopRules
from trident.bench.quota import Quota, share

S = 1_000_000_000


def quota(load: Load, rules: StopRules, *, workers: int = 1, worker: int = 0) -> tuple[Quota, list[str]]:
    reasons: list[str] = []
    made = Quota(load, rules, workers, worker, reasons.append)
    made.start(0)
    return made, reasons


@pytest.mark.parametrize(("whole", "workers"), [(10, 3), (2, 4), (0, 2), (7, 1)])
def test_shares_add_up(whole: int, workers: int) -> None:
    shares = [share(whole, workers, worker) for worker in range(workers)]
    assert sum(shares) == whole
    assert max(shares) - min(shares) <= 1


def test_count_after_the_warmup() -> None:
    made, reasons = quota(Load(kind="closed", concurrency=1, warmup_requests=2), StopRules(num_requests=3))
    assert [made.take(0) for _ in range(7)] == ["warmup"] * 2 + ["measured"] * 3 + [None] * 2
    assert reasons == ["requests"]


def test_request_just_before_the_start_counts_where_nothing_warms_up() -> None:
    made, _ = quota(Load(kind="closed", concurrency=1, warmup_requests=0), StopRules(num_requests=1))
    assert [made.take(-1), made.take(0)] == ["measured", None]


def test_duration_begins_with_the_first_that_counts() -> None:
    made, reasons = quota(Load(kind="closed", concurrency=1, warmup_s=2.0), StopRules(duration_s=3.0))
    assert made.take(1 * S) == "warmup"
    assert made.end_ns is None
    assert made.take(2 * S) == "measured"
    assert made.end_ns == 5 * S
    assert made.take(5 * S - 1) == "measured"
    assert made.take(5 * S) is None
    assert reasons == ["duration"]


def test_ramp_does_not_count() -> None:
    made, _ = quota(Load(kind="closed", concurrency=1, ramp_s=1.0), StopRules(num_requests=1))
    assert [made.take(0), made.take(S)] == ["warmup", "measured"]


def test_ended_quota_gives_nothing() -> None:
    made, reasons = quota(Load(kind="closed", concurrency=1), StopRules(num_requests=1))
    made.end("controller")
    made.end("again")
    assert made.take(0) is None
    assert reasons == ["controller"]
