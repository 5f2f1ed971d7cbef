"""Who of the OpenAI door's clients is inside vLLM, who waits for his turn, and who is told to come back later."""

from __future__ import annotations

import asyncio
import math
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

LONGEST_RETRY_S = 60
PACE_WEIGHT = 0.1
"""Of the latest time between two departures in their mean, while others wait."""


@dataclass(frozen=True)
class Bounds:
    """Requests inside vLLM at once, those that may wait for it, and the longest that one waits."""

    max_running_requests: int
    max_queued_requests: int
    max_queue_wait_s: float


class Busy(Exception):
    """The request cannot be taken; ``retry_after_s`` whole seconds are a guess at when it could."""

    def __init__(self, why: str, retry_after_s: int) -> None:
        super().__init__(why)
        self.retry_after_s = retry_after_s


class Gone(Exception):
    """The client left while it waited."""


class Gate:
    """Lets in by turns of clients, not of requests: one that sends a thousand does not keep another waiting for them.

    Each ``try_enter`` that says yes and each ``enter`` that returns is followed by one ``leave``.
    """

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._running = 0
        self._queued = 0
        # By client, whose turn is next first; a client without requests is not in it.
        self._queues: OrderedDict[str, deque[asyncio.Future[bool]]] = OrderedDict()
        self._pace_s = 0.0
        self._paced_s = 0.0

    @property
    def queued(self) -> int:
        """Requests that wait."""
        return self._queued

    def try_enter(self) -> bool:
        """Takes a free place, unless somebody waits for it."""
        if self._queued or self._running >= self._bounds.max_running_requests:
            return False
        self._running += 1
        return True

    async def enter(self, client: str, gone: asyncio.Future[None]) -> None:
        """Waits for a place. Raises Busy when none comes in time or too many wait, Gone when ``gone`` comes first."""
        if self.try_enter():
            return
        turn = self._queue(client)
        events: list[asyncio.Future[Any]] = [turn, gone]
        wait_s = self._bounds.max_queue_wait_s
        try:
            await asyncio.wait(events, timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            self._give_up(client, turn)
            raise
        if turn.done() and not turn.result():
            raise self._busy("others wait who have sent less")
        if gone.done():
            self._give_up(client, turn)
            raise Gone
        if not turn.done():
            self._give_up(client, turn)
            raise self._busy(f"it has waited for {wait_s:g} s")

    def leave(self) -> None:
        """Gives the place to the next client."""
        now_s = time.monotonic()
        if self._queued:
            self._pace_s += PACE_WEIGHT * (now_s - self._paced_s - self._pace_s)
        self._paced_s = now_s
        self._running -= 1
        while self._queued and self._running < self._bounds.max_running_requests:
            client, queue = next(iter(self._queues.items()))
            queue.popleft().set_result(True)
            self._running += 1
            self._queued -= 1
            if queue:
                self._queues.move_to_end(client)
            else:
                del self._queues[client]

    def _queue(self, client: str) -> asyncio.Future[bool]:
        if self._queued >= self._bounds.max_queued_requests:
            self._make_room_for(client)
        if not self._queued:
            self._paced_s = time.monotonic()  # how long nothing was wanted says nothing
        turn: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._queues.setdefault(client, deque()).append(turn)
        self._queued += 1
        return turn

    def _make_room_for(self, client: str) -> None:
        """The client with the most requests gives up its last one, when that is fairer."""
        longest = max(self._queues, key=lambda name: len(self._queues[name]), default=client)
        if longest == client or len(self._queues[longest]) <= len(self._queues.get(client, ())) + 1:
            raise self._busy(f"{self._queued} requests wait already")
        last = self._queues[longest][-1]
        last.set_result(False)
        self._remove(longest, last)

    def _give_up(self, client: str, turn: asyncio.Future[bool]) -> None:
        if not turn.done():
            self._remove(client, turn)
        elif turn.result():
            self.leave()

    def _remove(self, client: str, turn: asyncio.Future[bool]) -> None:
        queue = self._queues[client]
        queue.remove(turn)
        self._queued -= 1
        if not queue:
            del self._queues[client]

    def _busy(self, why: str) -> Busy:
        guess_s = math.ceil((self._queued + 1) * self._pace_s)
        return Busy(why, min(LONGEST_RETRY_S, max(1, guess_s)))


class Place:
    """One request's place in a gate, which it has entered. ``unread`` is what its client does not take, or None."""

    def __init__(self, gate: Gate, unread: Callable[[], object]) -> None:
        self._gate = gate
        self._unread = unread
        self._seen: object = None
        self._is_taken = True

    def leave(self) -> None:
        """May be called again."""
        if self._is_taken:
            self._is_taken = False
            self._gate.leave()

    def look(self) -> None:
        """Leaves when the client has not taken the same thing since the last look: the engine does not wait for such a
        reader, so others need not either."""
        unread = self._unread()
        if unread is not None and unread is self._seen:
            self.leave()
        self._seen = unread
