from __future__ import annotations

import pytest

from trident.engine.admission.service_rate import ServiceRate


def measured(rate: ServiceRate, *, every_s: float, count: int, from_s: float = 0.0) -> float:
    now_s = from_s
    rate.watch(now_s, is_saturated=True)
    for _ in range(count):
        now_s += every_s
        rate.served(10, 2.0)
        rate.left(20, now_s)
    return now_s


def test_nothing_is_known_before_one_turnover() -> None:
    rate = ServiceRate(10)
    now_s = measured(rate, every_s=0.1, count=9)
    assert rate.wait_s(1000, now_s) is None and rate.service_s(10) == 0


def test_wait_follows_from_the_work_and_service_from_the_length() -> None:
    rate = ServiceRate(10)
    now_s = measured(rate, every_s=0.1, count=50)
    assert rate.wait_s(1000, now_s) == pytest.approx(5.0)
    assert rate.service_s(30) == pytest.approx(6.0)


def test_time_without_a_queue_does_not_count() -> None:
    rate = ServiceRate(10)
    now_s = measured(rate, every_s=0.1, count=50)
    rate.watch(now_s, is_saturated=False)
    rate.left(20, now_s + 500)
    assert rate.wait_s(1000, now_s + 1000) == pytest.approx(5.0)


def test_engine_that_has_become_slower_is_found_out() -> None:
    rate = ServiceRate(10)
    now_s = measured(rate, every_s=0.1, count=50)
    now_s = measured(rate, every_s=1.0, count=150, from_s=now_s)
    assert rate.wait_s(1000, now_s) == pytest.approx(50, rel=0.1)


def test_engine_that_stands_still_makes_the_wait_longer() -> None:
    rate = ServiceRate(10)
    now_s = measured(rate, every_s=0.1, count=50)
    waits_s = [rate.wait_s(1000, now_s + still_s) or 0.0 for still_s in (0, 0.5, 5, 50)]
    assert waits_s[0] == waits_s[1] < waits_s[2] < waits_s[3]


def test_answers_that_end_together_are_judged_together() -> None:
    rate = ServiceRate(8)
    now_s = 0.0
    rate.watch(now_s, is_saturated=True)
    for _ in range(20):
        now_s += 2.0
        for _ in range(8):
            rate.left(10, now_s)
    assert rate.wait_s(80, now_s) == pytest.approx(2.0, rel=0.2)
