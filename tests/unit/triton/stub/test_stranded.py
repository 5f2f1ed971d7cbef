from __future__ import annotations

from triton_fakes import Heard

from trident.triton.stub.stranded import MOST_LOSSES, Failure, Stranded
from trident.triton.stub.stream import Stream


def stream(id: int) -> Stream:
    return Stream(id, 0, Heard(), {}, 100.0)


class Settled:
    """What becomes of the stranded; ``engines`` are there for so many."""

    def __init__(self, stranded: Stranded, now_s: float, engines: int = 0) -> None:
        self.asked: list[int] = []
        self.failures: dict[int, Failure] = {}
        self._engines = engines
        stranded.settle(now_s, lambda _: True, self._go_on, self._fail)

    def _go_on(self, stream: Stream) -> bool:
        self.asked.append(stream.id)
        if len(self.asked) > self._engines:
            return False
        stream.host = 1
        return True

    def _fail(self, stream: Stream, failure: Failure) -> None:
        self.failures[stream.id] = failure


def stranded(*streams: Stream, patience_s: float = 10) -> Stranded:
    stranded = Stranded(patience_s, lambda: False)
    for each in streams:
        stranded.add(each, 100.0)
    return stranded


def test_without_an_engine_one_asks_for_all() -> None:
    waiting = stranded(*map(stream, range(3)))
    assert Settled(waiting, 100.0).asked == [0]
    assert Settled(waiting, 100.0, engines=3).asked == [0, 1, 2]
    assert not waiting


def test_farewell_is_looked_for_once_for_all() -> None:
    looks: list[bool] = []

    def is_farewell() -> bool:
        looks.append(True)
        return True

    waiting = Stranded(10, is_farewell)
    for id in range(3):
        waiting.add(stream(id), 100.0)
    assert {failure.code for failure in Settled(waiting, 100.0).failures.values()} == {"expelled"}
    assert len(looks) == 1


def test_one_that_is_added_twice_for_a_loss_goes_on_once() -> None:
    one = stream(1)
    waiting = stranded(one, one)
    assert one.losses == 1
    assert Settled(waiting, 100.0, engines=2).asked == [1]
    assert not waiting


def test_rest_is_no_loss_and_no_longer_patience() -> None:
    one = stream(1)
    waiting = stranded(one)
    Settled(waiting, 100.0, engines=1)
    waiting.add(one, 105.0, rest_s=0.5)
    assert one.losses == 1
    assert Settled(waiting, 105.1, engines=1).asked == []
    assert Settled(waiting, 110.1).failures[1].code == "unavailable"


def test_late_token_begins_the_count_of_losses_anew_and_not_the_patience() -> None:
    one = stream(1)
    one.losses = MOST_LOSSES - 1
    waiting = stranded(one)
    one.progressed()
    assert one.losses == 1
    assert Settled(waiting, 111.0).failures[1].code == "unavailable"
