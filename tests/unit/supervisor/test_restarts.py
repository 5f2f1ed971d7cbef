from __future__ import annotations

from trident.supervisor.restarts import Restarts


def test_delays_double_up_to_ten_seconds_and_end() -> None:
    restarts = Restarts(6)
    assert [restarts.next_delay_s(0) for _ in range(7)] == [0.5, 1, 2, 4, 8, 10, None]
    assert restarts.count == 6


def test_restarts_of_more_than_ten_minutes_ago_are_forgiven() -> None:
    restarts = Restarts(1)
    assert restarts.next_delay_s(0) == 0.5
    assert restarts.next_delay_s(599) is None
    assert restarts.next_delay_s(600) == 0.5
    assert restarts.count == 2


def test_no_restart_is_allowed_when_none_is_wanted() -> None:
    assert Restarts(0).next_delay_s(0) is None
