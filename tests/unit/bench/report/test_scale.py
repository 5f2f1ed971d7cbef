from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from trident.bench.report import scale


@pytest.mark.parametrize(
    ("values", "ends", "ticks"),
    [
        ([0.0, 437.0], (0, 500), (0, 100, 200, 300, 400, 500)),
        ([10.4, 26.1], (0, 30), (0, 10, 20, 30)),
        ([0.0, 0.0], (0, 1), (0, 0.2, 0.4, 0.6, 0.8, 1)),
        ([], (0, 1), (0, 0.2, 0.4, 0.6, 0.8, 1)),
        ([-3.0, 8.0], (-5, 10), (-5, -2.5, 0, 2.5, 5, 7.5, 10)),
    ],
)
def test_linear_ends_are_round(values: list[float], ends: tuple[float, float], ticks: tuple[float, ...]) -> None:
    made = scale.linear(values, 200, 0)
    assert (made.low, made.high) == pytest.approx(ends)
    assert made.ticks == pytest.approx(ticks)
    assert (made(made.low), made(made.high)) == pytest.approx((200, 0))


def test_linear_of_equal_values_not_from_zero_has_room_around_them() -> None:
    made = scale.linear([10.0, 10.0], 0, 100, from_zero=False)
    assert made.low < 10 < made.high


@pytest.mark.parametrize(
    ("values", "ends"), [([3.0, 480.0], (2, 500)), ([10.0, 10.0], (10, 20)), ([0.004, 0.9], (0.002, 1)), ([], (1, 10))]
)
def test_logarithmic_ends_are_one_two_or_five(values: list[float], ends: tuple[float, float]) -> None:
    made = scale.logarithmic(values, 0, 100)
    assert (made.low, made.high) == pytest.approx(ends)
    assert made.ticks[0] == pytest.approx(ends[0])
    assert made.ticks[-1] == pytest.approx(ends[1])


def test_logarithmic_places_equal_ratios_equally_far_apart() -> None:
    made = scale.logarithmic([1.0, 100.0], 0, 100)
    assert made(10) == pytest.approx(50)
    assert made(0) == 0


def test_logarithmic_over_many_decades_marks_whole_ones() -> None:
    made = scale.logarithmic([0.001, 100_000.0], 0, 100)
    assert all(math.log10(tick) == pytest.approx(round(math.log10(tick))) for tick in made.ticks)


def test_loads_are_marked_where_they_were_measured() -> None:
    made = scale.loads([1, 2, 4, 8, 16, 32], 58, 466)
    assert made.ticks == (1, 2, 4, 8, 16, 32)
    assert made.is_log
    assert 58 < made(1) < made(32) < 466
    assert not scale.loads([2, 3, 4], 58, 466).is_log


def test_loads_leave_out_ticks_that_would_touch() -> None:
    made = scale.loads([float(load) for load in range(1, 60)], 58, 466)
    places = [made(tick) for tick in made.ticks]
    assert all(later - earlier >= 34 for earlier, later in itertools.pairwise(places))


def test_single_load_stands_in_the_middle() -> None:
    made = scale.loads([8.0], 0, 100)
    assert made(8) == 50
    assert made.ticks == (8,)


@pytest.mark.parametrize(("step", "nice"), [(0.9, 1), (1, 1), (1.1, 2), (2.2, 2.5), (3, 5), (51, 100), (0.03, 0.05)])
def test_steps_are_nice(step: float, nice: float) -> None:
    assert scale.nice_step(step) == pytest.approx(nice)


def test_spread_of_a_long_tail_is_logarithmic_and_keeps_the_body_visible() -> None:
    values = np.concatenate([np.zeros(3), np.linspace(5, 15, 900), np.linspace(15, 2000, 97)])
    made = scale.spread(values, 0, 100)
    assert made.is_log
    assert made.low > 0
    assert made(0.0) == 0
    assert made(15) - made(5) > 15
    assert made(2000) <= 100


@pytest.mark.parametrize(
    "values", [np.linspace(20, 60, 50), np.full(5, 7.0), np.zeros(4), np.array([3.0]), np.linspace(9.5, 10.5, 20)]
)
def test_spread_of_a_compact_sample_is_linear(values: np.ndarray) -> None:
    made = scale.spread(values, 0, 100)
    assert not made.is_log
    assert made.holds(float(values.min()))
    assert made.holds(float(values.max()))
