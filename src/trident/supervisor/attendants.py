"""Children that serve nobody: they watch the server. One that fails is started again for as long as that helps, and its
end is nobody else's."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence

from trident.config.models import Supervision
from trident.errors import EngineStartFailed
from trident.supervisor.child import CANNOT_START
from trident.supervisor.command import Command
from trident.supervisor.group import Member
from trident.supervisor.state import ChildState

log = logging.getLogger(__name__)

STOP_TIMEOUT_S = 5.0


class Attendants:
    """``start`` is called once, in the main thread; whether they are ready is for ``states`` to say."""

    def __init__(self, commands: Sequence[Command], supervision: Supervision, on_change: Callable[[], None]) -> None:
        self._supervision = supervision
        self._on_change = on_change
        self._members = [Member(command, supervision.max_restarts, on_change) for command in commands]
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Returns at once."""
        self._tasks = [asyncio.ensure_future(self._keep(member)) for member in self._members]

    async def stop(self, force: asyncio.Event) -> None:
        """Bounded, as the children's own stop is."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        timeout_s = min(STOP_TIMEOUT_S, self._supervision.stop_timeout_s)
        await asyncio.gather(*(member.child.stop(timeout_s, force) for member in self._members))

    @property
    def states(self) -> list[ChildState]:
        """For ``state.json``."""
        return [member.state for member in self._members]

    async def _keep(self, member: Member) -> None:
        while await self._live(member):
            child = member.child
            member.last_death = f"{child.phase}, after serving for {child.served_s:.0f} s"
            delay_s = member.restarts.next_delay_s(time.monotonic(), child.served_s, child.start_s)
            if delay_s is None:
                break
            log.warning(
                "%s %s; restart %d in %g s", child.command.name, member.last_death, member.restarts.count, delay_s
            )
            member.next_start = time.time() + delay_s
            self._on_change()
            await asyncio.sleep(delay_s)
        log.error("the %s is not started again; the server goes on without it", member.command.name)
        member.next_start = None
        self._on_change()

    async def _live(self, member: Member) -> bool:
        """One life. False when another would be the same."""
        try:
            await member.start().wait_until_ready(self._supervision.start_timeout_s)
        except EngineStartFailed as error:
            log.warning("%s", error)
            child = member.child
            if child.failed is not None:  # it ends by itself, and what it has said stays to be read
                await child.wait(STOP_TIMEOUT_S)
            await child.stop(STOP_TIMEOUT_S, asyncio.Event())
            return child.failed is None and child.exit_code != CANNOT_START
        await member.child.wait()
        return True
