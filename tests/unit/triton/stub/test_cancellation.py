from __future__ import annotations

import math

import pytest
from triton_fakes import Heard

from trident.triton.stub import cancellation
from trident.triton.stub.cancellation import EVERY_S, SHARE, Cancellations
from trident.triton.stub.stream import Stream


class Clock:
    """Time passes only when somebody is asked: ``cost_s`` each."""

    def __init__(self, cost_s: float) -> None:
        self.now_s = 100.0
        self.cost_s = cost_s

    def monotonic(self) -> float:
        return self.now_s


class Asked(Heard):
    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        self.times = 0

    def is_cancelled(self) -> bool:
        self.times += 1
        self._clock.now_s += self._clock.cost_s
        return self.cancelled


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock(cost_s=0.001)
    monkeypatch.setattr(cancellation, "time", clock)
    return clock


def watched(clock: Clock, count: int) -> tuple[Cancellations, list[Asked], set[int]]:
    answers = [Asked(clock) for _ in range(count)]
    running = set(range(count))
    cancellations = Cancellations(running.__contains__)
    for id, answer in enumerate(answers):
        cancellations.add(Stream(id, 0, answer, {}, clock.now_s), clock.now_s)
    return cancellations, answers, running


def test_nobody_to_ask_is_never_due(clock: Clock) -> None:
    assert Cancellations(lambda _: True).due_in_s(clock.now_s) == math.inf


def test_gone_client_is_found_and_asked_no_more(clock: Clock) -> None:
    cancellations, answers, _ = watched(clock, 2)
    answers[1].cancelled = True
    assert cancellations.due_in_s(clock.now_s) == pytest.approx(EVERY_S)
    clock.now_s += EVERY_S
    assert [stream.id for stream in cancellations.cancelled()] == [1]
    clock.now_s += 1
    assert list(cancellations.cancelled()) == []
    assert [answer.times for answer in answers] == [2, 1]


def test_answered_request_is_not_asked(clock: Clock) -> None:
    cancellations, answers, running = watched(clock, 1)
    running.clear()
    clock.now_s += EVERY_S
    assert list(cancellations.cancelled()) == []
    assert answers[0].times == 0 and cancellations.due_in_s(clock.now_s) == math.inf


def test_many_are_asked_in_turn_within_the_share_of_time(clock: Clock) -> None:
    cancellations, answers, _ = watched(clock, 100)
    begun_s = clock.now_s
    while clock.now_s < begun_s + 10:
        clock.now_s += cancellations.due_in_s(clock.now_s)
        assert list(cancellations.cancelled()) == []
    asked = [answer.times for answer in answers]
    assert max(asked) - min(asked) <= 1
    assert sum(asked) * clock.cost_s <= SHARE * 10 * 1.1
