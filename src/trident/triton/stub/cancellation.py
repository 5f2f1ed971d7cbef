"""Asks Triton whether the clients of requests in flight still want their answers.

Triton 2.51 tells nobody: it has to be asked, request by request, and each time is a round trip to its process. So the
requests are asked in turn, each at most every ``EVERY_S``, in rounds that take a bounded share of the stub's time.
"""

from __future__ import annotations

import logging
import math
import time
from collections import deque
from collections.abc import Callable, Iterator

from trident.triton.stub.stream import Stream

log = logging.getLogger("trident.stub")

EVERY_S = 0.05
LONGEST_ROUND_S = 0.004
SHARE = 0.06


class Cancellations:
    """``is_running`` says of a request's id whether it still has no outcome: only such a one may be asked for, as
    Triton forgets a request with its last response."""

    def __init__(self, is_running: Callable[[int], bool]) -> None:
        self._is_running = is_running
        self._waiting: deque[tuple[float, Stream]] = deque()
        self._rest_until_s = 0.0

    def add(self, stream: Stream, now_s: float) -> None:
        """The request has been sent to the engine. May be called from any thread."""
        self._waiting.append((now_s + EVERY_S, stream))

    def clear(self) -> None:
        """Lets go of everybody."""
        self._waiting.clear()

    def due_in_s(self, now_s: float) -> float:
        """Seconds until somebody has to be asked; infinite when nobody runs."""
        if not self._waiting:
            return math.inf
        return max(0.0, self._rest_until_s - now_s, self._waiting[0][0] - now_s)

    def cancelled(self) -> Iterator[Stream]:
        """Asks one round; yields those whose client has gone."""
        begun_s = now_s = time.monotonic()
        while self._waiting and self._waiting[0][0] <= now_s and now_s - begun_s < LONGEST_ROUND_S:
            _, stream = self._waiting.popleft()
            if not self._is_running(stream.id):
                continue
            try:
                is_cancelled = stream.answer.is_cancelled()
            except Exception:
                log.exception("the client of request %d cannot be asked for", stream.id)
                continue
            now_s = time.monotonic()
            if is_cancelled:
                yield stream
            else:
                self._waiting.append((now_s + EVERY_S, stream))
        self._rest_until_s = now_s + (now_s - begun_s) * (1 / SHARE - 1)
