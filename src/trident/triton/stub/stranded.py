"""Requests whose engine is lost, until another one goes on with them or their time is over."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from trident.triton.stub.stream import Stream

SUSPECT_LOSSES = 2
"""A request under which engines die again and again may be why they do. From then on such requests are tried one at a
time, so that the others, which died with it, do not share its end."""
MOST_LOSSES = 3


class Failure(NamedTuple):
    """Why a stranded request must end; ``code`` is one of the protocol's ``REJECTION_CODES``."""

    code: str
    message: str


class Stranded:
    """``patience_s`` is how long a request waits since its engine was lost, the first of those that were lost without a
    token of it in between; ``is_farewell`` says whether there will be none.

    ``add`` may be called from any thread, and twice for the same loss.
    """

    def __init__(self, patience_s: float, is_farewell: Callable[[], bool]) -> None:
        self._patience_s = patience_s
        self._is_farewell = is_farewell
        self._streams: deque[tuple[Stream, float]] = deque()
        self._on_trial: Stream | None = None

    def __bool__(self) -> bool:
        return bool(self._streams)

    def add(self, stream: Stream, now_s: float, *, rest_s: float = 0.0) -> None:
        """Its engine is lost. ``rest_s``: it still seems to be there, so nobody is asked before that has passed."""
        if stream.lost_s is None:
            stream.lost_s = now_s
        if stream.host is not None and not rest_s:
            stream.losses += 1
        stream.host = None
        self._streams.append((stream, now_s + rest_s))

    def settle(
        self,
        now_s: float,
        is_running: Callable[[Stream], bool],
        go_on: Callable[[Stream], bool],
        fail: Callable[[Stream, Failure], None],
    ) -> None:
        """Lets each one go on, fails it or keeps it. ``go_on`` is False when no engine can take it now; ``is_running``
        when it has had its outcome in the meantime."""
        is_farewell, is_engine_there = self._is_farewell(), True
        for _ in range(len(self._streams)):
            stream, not_before_s = self._streams.popleft()
            if stream.host is not None or not is_running(stream):
                continue
            failure = self._failure(stream, now_s, is_farewell=is_farewell)
            if failure is not None:
                fail(stream, failure)
                continue
            may_go_on = is_engine_there and now_s >= not_before_s and not self._has_to_wait(stream, is_running)
            if may_go_on and go_on(stream):
                if stream.losses >= SUSPECT_LOSSES:
                    self._on_trial = stream
                continue
            is_engine_there = is_engine_there and not may_go_on
            self._streams.append((stream, not_before_s))

    def _has_to_wait(self, stream: Stream, is_running: Callable[[Stream], bool]) -> bool:
        other = self._on_trial
        if stream.losses < SUSPECT_LOSSES or other is None:
            return False
        return other.host is not None and other.losses > 0 and is_running(other)

    def _failure(self, stream: Stream, now_s: float, *, is_farewell: bool) -> Failure | None:
        overdue_in_s = stream.overdue_in_s(now_s)
        if overdue_in_s is not None and overdue_in_s <= 0:
            return Failure("deadline", "its deadline passed while it waited for the engine to come back")
        if is_farewell:
            return Failure("expelled", "the server stops, and its engine was lost before this was finished")
        if stream.losses >= MOST_LOSSES:
            what = f"{stream.losses} engines in a row have died before they made a token of this request"
            return Failure("internal", f"{what}; it is not tried again")
        if stream.lost_s is not None and now_s - stream.lost_s > self._patience_s:
            what = "the engine was lost while it worked on this request"
            return Failure("unavailable", f"{what}, and is not back after {self._patience_s:g} s; send it again")
        return None
