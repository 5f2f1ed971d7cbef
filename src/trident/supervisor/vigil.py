"""A watch on a child that lives: one that is stopped, stuck or deaf is as useless as a dead one."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from trident.protocol import vital_signs
from trident.protocol.pulse import LOOK_S, Pulse


@dataclass(frozen=True)
class Patience:
    """A sign of life that is ``overdue_s`` late makes the child's process be looked at: stopped or idle, it is lost
    about 3 s later, and busy all the time, ``busy_s`` later. A stopped process is seen without waiting.
    ``ending_s`` is how long it may live after its last one."""

    overdue_s: float
    busy_s: float
    ending_s: float = 30.0


OF_STARTS = Patience(overdue_s=math.inf, busy_s=math.inf)
"""Nothing is heard of a child that starts; it has another limit."""

OF_BEATS = Patience(overdue_s=1.2, busy_s=30.0)
"""For a child that beats twice a second from its event loop."""

OF_ANSWERS = Patience(overdue_s=10.0, busy_s=60.0)
"""For a server that is asked each second: on a machine with far too much to do an answer may take long."""

ASK_EVERY_S = 1.0


class Vigil:
    """``on_suspicion`` gets the cause of a suspicion, and None when the child has shown life after all."""

    def __init__(self, pid: int, who: str, on_suspicion: Callable[[str | None], None]) -> None:
        self._pid = pid
        self._who = who
        self._patience = OF_STARTS
        self._on_suspicion = on_suspicion
        self._seen_s = time.monotonic()
        self._silent_s = 0.0
        self._is_ending = False
        self._pulse: Pulse | None = None

    def expect(self, patience: Patience) -> None:
        """From now on signs of life come; before, only that the process is stopped counts."""
        self._patience = patience

    def alive(self, *, is_last: bool = False) -> None:
        """A sign of life. After the last one nothing but the end is waited for."""
        self._silent_s = 0.0
        self._is_ending = self._is_ending or is_last
        self._forgive()

    async def until_lost(self) -> str:
        """Why the child has to be killed."""
        while True:
            await asyncio.sleep(LOOK_S)
            if (loss := self._look(time.monotonic())) is not None:
                return loss

    async def keep_asking(self, is_answering: Callable[[], Awaitable[bool]]) -> None:
        """Each answer is a sign of life."""
        while True:
            if await is_answering():
                self.alive()
            await asyncio.sleep(ASK_EVERY_S)

    def _forgive(self) -> None:
        if self._pulse is not None and self._pulse.suspicion is not None:
            self._on_suspicion(None)
        self._pulse = None

    def _look(self, now_s: float) -> str | None:
        # What passes while the supervisor itself gets no turn counts for nothing.
        self._silent_s += min(now_s - self._seen_s, 2 * LOOK_S)
        self._seen_s = now_s
        if self._is_ending:
            is_late = self._silent_s > self._patience.ending_s
            return f"{self._who} has not ended after {self._patience.ending_s:g} s" if is_late else None
        signs = vital_signs.read([self._pid])
        is_overdue = self._silent_s > self._patience.overdue_s
        if not signs.is_stopped and not is_overdue:
            self._forgive()
            return None
        self._pulse = self._pulse or Pulse(now_s, self._patience.busy_s, self._who)
        suspected = self._pulse.suspicion
        self._pulse.look(now_s, signs, 0)
        if self._pulse.suspicion != suspected:
            self._on_suspicion(self._pulse.suspicion)
        return self._pulse.loss
