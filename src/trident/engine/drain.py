"""An engine's way out of service: nothing new, what runs is finished, and what still runs then is ended."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

from trident.engine import openai_exit
from trident.engine.openai_exit import EXPELLED, Exit
from trident.protocol import orders, status

log = logging.getLogger("trident.drain")

LOOK_S = 0.05
FIRST_WORD_S = 0.5
OBEY_WITHIN_S = 5.0
"""An OpenAI server that is stuck is not waited for any longer."""
QUIET_S = 0.5
"""Who has connected, and what tritonserver has taken for a stub of this host, before all went over to the other one is
not counted yet."""
LEAVING = "the server takes no new requests now: it stops, or its engine is being exchanged"


class Relay(Protocol):
    """What came through Triton."""

    @property
    def in_flight(self) -> int: ...

    def leave(self, why: str, /) -> None: ...

    def expel(self, why: str, /) -> int: ...


class Drain:
    """``attend`` makes it obey the supervisor's orders. ``has_work`` asks the engines, whosever requests they run;
    ``abort`` ends all of them there. ``way_out`` is the OpenAI server's, None where it can have none."""

    def __init__(
        self,
        relay: Relay,
        way_out: Exit | None,
        has_work: Callable[[], Awaitable[bool]],
        abort: Callable[[], Awaitable[None]],
    ) -> None:
        self._relay = relay
        self._way_out = way_out
        self._has_work = has_work
        self._abort = abort
        self._told_s = 0.0
        self._quiet_s = 0.0
        self._waiting: asyncio.Task[None] | None = None
        self._ending: asyncio.Task[None] | None = None

    def attend(self, loop: asyncio.AbstractEventLoop) -> None:
        """From now on a signal is an order, before it would have been the end."""
        for number, obey in (
            (orders.REFUSE, self._refuse),
            (orders.HAND_OVER, self._hand_over),
            (orders.EXPEL, self._expel),
        ):
            loop.add_signal_handler(number, obey)

    def _refuse(self) -> None:
        log.info("new requests are refused from now on")
        self._relay.leave(LEAVING)
        self._tell(openai_exit.REFUSE)
        self._wait()

    def _hand_over(self) -> None:
        log.info("another engine host takes the new requests from now on")
        self._tell(openai_exit.HAND_OVER)
        self._quiet_s = QUIET_S
        self._wait()

    def _expel(self) -> None:
        log.warning("%d requests of Triton and what the OpenAI server has are ended", self._relay.expel(EXPELLED))
        self._tell(openai_exit.EXPEL)
        self._ending = asyncio.ensure_future(self._abort_rest())
        self._wait()

    async def _abort_rest(self) -> None:
        # The OpenAI server has the first word: what the engine aborts looks to it like an answer that ends well.
        end_s, way_out = time.monotonic() + FIRST_WORD_S, self._way_out
        while way_out is not None and way_out.in_flight and time.monotonic() < end_s:  # noqa: ASYNC110 - a process
            await asyncio.sleep(LOOK_S)
        await self._abort()

    def _tell(self, order: bytes) -> None:
        self._told_s = time.monotonic()
        if self._way_out is not None:
            self._way_out.tell(order)

    def _wait(self) -> None:
        if self._waiting is None:
            self._waiting = asyncio.ensure_future(self._until_idle())

    async def _until_idle(self) -> None:
        idle_s: float | None = None
        while True:
            idle_s = None if await self._is_busy() else (idle_s or time.monotonic())
            if idle_s is not None and time.monotonic() - idle_s >= self._quiet_s:
                break
            await asyncio.sleep(LOOK_S)
        status.report(status.Drained())

    async def _is_busy(self) -> bool:
        way_out = self._way_out
        if way_out is not None:
            # Asked in this order: what it lets in before it obeys is counted by then.
            is_obeyed = way_out.is_obeyed or time.monotonic() - self._told_s >= OBEY_WITHIN_S
            if not is_obeyed or way_out.in_flight:
                return True
        return bool(self._relay.in_flight) or await self._has_work()
