from __future__ import annotations

import random

import pytest

from trident.engine.admission.pace import Pace


class Engine:
    """A step takes ``base_s`` and ``each_s`` for each sequence; as many run as may."""

    def __init__(self, pace: Pace, base_s: float, each_s: float, noise: float = 0.0) -> None:
        self.pace = pace
        self.now_s = 0.0
        self.limits: list[int] = []
        self._base_s, self._each_s, self._noise = base_s, each_s, noise
        self._random = random.Random(1)

    def step_s(self, running: int) -> float:
        return self._base_s + self._each_s * running

    def run(self, seconds: float, running: int | None = None, *, is_saturated: bool = True) -> Engine:
        end_s = self.now_s + seconds
        while self.now_s < end_s:
            at_once = self.pace.limit if running is None else running
            self.now_s += self.step_s(at_once) * self._random.uniform(1 - self._noise, 1 + self._noise)
            self.pace.stepped(self.now_s, running=at_once, tokens=at_once, is_saturated=is_saturated)
            self.limits.append(self.pace.limit)
        return self


@pytest.mark.parametrize(("base_s", "each_s", "most"), [(0.002, 0.001, 132), (0.006, 0.0003, 256), (0.0, 0.001, 100)])
def test_limit_settles_where_the_time_is_just_kept(base_s: float, each_s: float, most: int) -> None:
    engine = Engine(Pace(most, 0.05), base_s, each_s, noise=0.2).run(60)
    for limit in engine.limits[len(engine.limits) // 2 :]:
        assert 0.75 * 0.05 <= engine.step_s(limit) <= 1.05 * 0.05


def test_limit_stays_where_the_engine_is_fast_enough() -> None:
    assert set(Engine(Pace(64, 0.05), 0.001, 0.0001, noise=0.2).run(20).limits) == {64}


def test_time_that_nothing_can_keep_leaves_an_eighth() -> None:
    assert Engine(Pace(64, 0.05), 0.2, 0.0).run(60).pace.limit == 8


def test_limit_comes_back_only_when_requests_wait() -> None:
    engine = Engine(Pace(64, 0.05), 0.2, 0.0).run(60)
    calm = Engine(engine.pace, 0.002, 0.0001)
    calm.now_s = engine.now_s
    assert calm.run(20, running=8, is_saturated=False).pace.limit == 8
    assert calm.run(60).pace.limit == 64


def test_idle_time_is_no_slowness() -> None:
    pace = Pace(64, 0.05)
    engine = Engine(pace, 0.01, 0.0).run(2, running=4)
    pace.stepped(engine.now_s, running=0, tokens=0, is_saturated=False)
    engine.now_s += 100
    assert set(engine.run(5, running=4).limits) == {64}
