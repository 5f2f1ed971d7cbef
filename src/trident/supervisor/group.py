"""The children together: started at once, watched, restarted by policy, stopped in reverse order."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from trident.config.models import Supervision
from trident.errors import EngineStartFailed, ServerFailed
from trident.supervisor.child import CANNOT_START, Child, Command
from trident.supervisor.restarts import Restarts
from trident.supervisor.state import ChildState

log = logging.getLogger(__name__)


class Member:
    """A child's place in the group; the child in it changes with each restart."""

    def __init__(self, command: Command, most_restarts: int, on_change: Callable[[], None]) -> None:
        self.command = command
        self.restarts = Restarts(most_restarts)
        self._on_change = on_change
        self.child = Child(command, on_change)

    def start(self) -> Child:
        """A new life."""
        if self.child.pid is not None:
            self.child = Child(self.command, self._on_change)
        self.child.start()
        return self.child

    @property
    def state(self) -> ChildState:
        """For ``state.json``."""
        child = self.child
        return ChildState(
            name=self.command.name,
            log_path=str(self.command.log_path),
            process=child.process if child.is_alive else None,
            phase=child.phase,
            since=child.since,
            is_ready=child.is_ready,
            restarts=self.restarts.count,
            parts=child.parts if child.is_alive else {},
            facts=child.ready.facts if child.ready else {},
            counts=self.command.counts,
        )


class Group:
    """All children of one server, in the order in which they are shown; stopped in the reverse of it."""

    def __init__(self, commands: Sequence[Command], supervision: Supervision, on_change: Callable[[], None]) -> None:
        self._supervision = supervision
        self._on_change = on_change
        self._is_stopping = False
        self.members = [Member(command, supervision.max_restarts, on_change) for command in commands]

    @property
    def is_ready(self) -> bool:
        """Every child serves."""
        return all(member.child.is_ready for member in self.members)

    async def start(self) -> None:
        """Starts all at once and returns when all are ready. Raises EngineStartFailed with the cause of the first
        failure; nothing is tried twice. What runs then is left to ``stop``."""
        for member in self.members:
            member.start()
        timeout_s = self._supervision.start_timeout_s
        try:
            await _all_or_first_failure([member.child.wait_until_ready(timeout_s) for member in self.members])
        except EngineStartFailed:
            # When one child takes another down, the one that says why is the one to be believed.
            for member in self.members:
                if member.child.failed:
                    raise member.child.error() from None
            raise

    async def watch(self) -> None:
        """Keeps all alive. Returns only after ``stop``; raises ServerFailed when a child cannot be brought back."""
        await _all_or_first_failure([self._keep_alive(member) for member in self.members])

    async def stop(self, force: asyncio.Event) -> None:
        """Stops all, the last started first; ``force`` makes it quick."""
        self._is_stopping = True
        for member in reversed(self.members):
            await member.child.stop(self._supervision.stop_timeout_s, force)

    async def _keep_alive(self, member: Member) -> None:
        while True:
            await member.child.wait()
            if self._is_stopping:
                return
            await self._restart(member)

    async def _restart(self, member: Member) -> None:
        name, died = member.command.name, member.child.phase
        delay_s = member.restarts.next_delay_s(time.monotonic())
        if delay_s is None:
            raise ServerFailed(
                f"The {name} keeps dying",
                f"{died}; {member.restarts.count} restarts did not help",
                f"see its log: trident logs {member.command.log_path.stem}",
                log_path=member.command.log_path,
            )
        log.warning("%s %s; restart %d in %g s", name, died, member.restarts.count, delay_s)
        await asyncio.sleep(delay_s)
        if self._is_stopping:
            return
        child = member.start()
        try:
            await child.wait_until_ready(self._supervision.start_timeout_s)
        except EngineStartFailed as error:
            if child.failed or child.exit_code == CANNOT_START:
                raise ServerFailed(
                    f"The {name} died and cannot be started again",
                    f"{error.what}: {error.why}",
                    error.next_step,
                    log_path=error.log_path,
                ) from error
            log.warning("%s", error.what)
            await child.stop(self._supervision.stop_timeout_s, asyncio.Event())


async def _all_or_first_failure(jobs: Sequence[Coroutine[Any, Any, None]]) -> None:
    """As a TaskGroup of Python 3.11 without its ExceptionGroup: the first failure cancels the rest and is raised."""
    tasks = [asyncio.ensure_future(job) for job in jobs]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
