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


def test_child_that_has_served_well_comes_back_as_often_as_it_takes() -> None:
    restarts = Restarts(2)
    assert [restarts.next_delay_s(time_s, served_s=20, start_s=5) for time_s in range(0, 600, 20)] == [0.5] * 30
    assert restarts.count == 30 and restarts.in_a_loop(600) == 0


def test_child_that_serves_for_less_long_than_it_starts_is_in_a_loop() -> None:
    restarts = Restarts(2)
    delays = [restarts.next_delay_s(time_s, served_s=20, start_s=60) for time_s in (0, 80, 160)]
    assert delays == [0.5, 1, None] and restarts.in_a_loop(160) == 2


def test_good_life_forgives_the_short_ones_before_it() -> None:
    restarts = Restarts(1)
    assert restarts.next_delay_s(0) == 0.5
    assert restarts.next_delay_s(30, served_s=25, start_s=1) == 0.5
    assert restarts.in_a_loop(30) == 0 and restarts.next_delay_s(31) == 0.5
    assert restarts.next_delay_s(32) is None


def test_good_life_does_not_matter_where_no_restart_is_wanted() -> None:
    assert Restarts(0).next_delay_s(0, served_s=1000, start_s=1) is None
