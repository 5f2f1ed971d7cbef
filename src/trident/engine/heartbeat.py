"""A round trip through an engine again and again: a process that lives may still be deaf."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from trident.protocol import vital_signs
from trident.protocol.pulse import LOOK_S, Pulse


class Heartbeat:
    """Of one engine.

    ``ask`` is the round trip. ``steps_since`` counts the engine's steps that have arrived and were made after a moment
    of the monotonic clock. ``on_answer`` gets each answer, ``on_suspicion`` the cause of a suspicion, and None when the
    engine has answered after all. ``is_on_gpu`` says whether its GPUs work at the moment.
    """

    def __init__(
        self,
        pid: int,
        ask: Callable[[], Awaitable[bool]],
        steps_since: Callable[[float], int],
        on_answer: Callable[[bool], None],
        on_suspicion: Callable[[str | None], None],
        is_on_gpu: Callable[[], bool],
    ) -> None:
        self._pid = pid
        self._ask = ask
        self._steps_since = steps_since
        self._on_answer = on_answer
        self._on_suspicion = on_suspicion
        self._is_on_gpu = is_on_gpu

    async def until_lost(self, interval_s: float, timeout_s: float) -> str:
        """Why the engine is lost: suspicious for long, or busy for ``timeout_s``."""
        while True:
            await asyncio.sleep(interval_s)
            beat = asyncio.ensure_future(self._ask())
            try:
                loss = await self._watch(beat, timeout_s)
            finally:
                beat.cancel()
            if loss is not None:
                return loss
            self._on_answer(beat.result())

    async def _watch(self, beat: asyncio.Future[bool], timeout_s: float) -> str | None:
        """None when it is answered, or cannot be any more."""
        begun_s = time.monotonic()
        pulse, pids = Pulse(begun_s, timeout_s), None
        while not (await asyncio.wait({beat}, timeout=LOOK_S))[0]:
            pids = pids or vital_signs.pids_of(self._pid)
            suspected = pulse.suspicion
            signs = vital_signs.read(pids, is_on_gpu=self._is_on_gpu())
            pulse.look(time.monotonic(), signs, self._steps_since(begun_s))
            if pulse.loss is not None:
                return pulse.loss
            if pulse.suspicion != suspected:
                self._on_suspicion(pulse.suspicion)
        if pulse.suspicion is not None and beat.exception() is None:
            self._on_suspicion(None)
        return None
