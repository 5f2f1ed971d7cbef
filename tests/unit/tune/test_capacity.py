"""Which load level is looked at next."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from trident.tune import capacity

MOST = 256.0


def climbed(
    score: Callable[[float], float], first: float, most: float = MOST, *, is_near: bool = False
) -> list[tuple[float, float]]:
    seen: list[tuple[float, float]] = []
    while (level := capacity.next_level(seen, first, most, is_near=is_near)) is not None:
        assert level not in dict(seen), "a level is looked at once"
        seen.append((level, score(level)))
        assert len(seen) < 20
    return seen


def best(seen: list[tuple[float, float]]) -> float:
    return max(seen, key=lambda one: one[1])[0]


@pytest.mark.parametrize("first", [1, 4, 16, 64])
@pytest.mark.parametrize("top", [1, 3, 6, 12, 48, 200])
def test_best_level_is_found_from_any_first(first: int, top: int) -> None:
    """Up to a peak, then down: what is found reaches nearly as much."""

    def score(level: float) -> float:
        return min(level, top) - 0.5 * max(0.0, level - top)

    assert score(best(climbed(score, first))) >= 0.7 * top


def test_cliff_is_looked_at_between_two_doublings() -> None:
    """An SLO holds up to 11 clients and breaks at 12; the score grows slowly, so nothing is leapt over."""
    seen = climbed(lambda level: level**0.5 if level < 12 else 0.0, 4)
    assert best(seen) == 11


def test_level_is_found_in_fewer_looks_while_the_server_is_far_from_full() -> None:
    levels = [level for level, _ in climbed(lambda level: min(level, 128.0), 8)]
    assert levels[:3] == [8, 16, 64]


@pytest.mark.parametrize("first", [1, 2, 8, 60, 128])
def test_three_levels_are_enough_where_the_best_is_near(first: int) -> None:
    def score(level: float) -> float:
        return min(level, first) - max(0.0, level - first)

    seen = climbed(score, first, is_near=True)
    assert best(seen) == first and len(seen) <= 3


@pytest.mark.parametrize("top", [1, 8, 45, 90, 250])
def test_best_that_is_not_so_near_is_found_all_the_same(top: int) -> None:
    def score(level: float) -> float:
        return min(level, top) - 0.5 * max(0.0, level - top)

    assert score(best(climbed(score, 32, is_near=True))) >= 0.7 * top


def test_plateau_is_not_walked_down() -> None:
    assert len(climbed(lambda level: 100 - level / 1000, 128, is_near=True)) <= 3


def test_nothing_is_gained_by_more_clients_than_the_limit() -> None:
    assert best(climbed(lambda level: level, 4, most=20)) == 20


def test_server_that_serves_nobody_is_left_soon() -> None:
    assert [level for level, _ in climbed(lambda _: 0.0, 8)] == [8, 4, 2, 1]
