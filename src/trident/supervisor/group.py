"""The children together: started at once, watched, restarted by policy, stopped in reverse order."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any

from trident.config.models import Supervision
from trident.errors import EngineStartFailed, ServerFailed
from trident.supervisor.child import CANNOT_START, Child
from trident.supervisor.command import Command
from trident.supervisor.restarts import Restarts
from trident.supervisor.state import ChildState

log = logging.getLogger(__name__)


class Member:
    """A child's place in the group; the child in it changes with each restart."""

    def __init__(self, command: Command, most_restarts: int, on_change: Callable[[], None]) -> None:
        self.command = command
        self.restarts = Restarts(most_restarts)
        self.exchange = asyncio.Lock()
        """Held by whoever puts another child in."""
        self._on_change = on_change
        self._put_in = asyncio.Event()
        self._mended_before = 0
        self.last_death = ""
        self.next_start: float | None = None
        self.child = Child(command, on_change)

    def put_in(self, child: Child, command: Command) -> Child:
        """Another child from now on, and the command of those that come after it; returns the one before, which is no
        longer cared for."""
        before, self.child, self.command = self.child, child, command
        child.command = command
        put_in, self._put_in = self._put_in, asyncio.Event()
        put_in.set()
        self._on_change()
        return before

    async def until_ended(self) -> Child:
        """Returns a child that has ended while it was the member's, or another has taken its place since."""
        child, put_in = self.child, self._put_in
        waits = [asyncio.ensure_future(child.wait()), asyncio.ensure_future(put_in.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        return child

    def start(self) -> Child:
        """A new life. Raises EngineStartFailed."""
        self.next_start = None
        if self.child.phase != "waiting":
            self._mended_before += self.child.mended
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
            crash_loop=self.restarts.in_a_loop(time.monotonic()),
            mended=self._mended_before + child.mended,
            last_death=self.last_death,
            next_start=self.next_start,
            parts=child.parts if child.is_alive else {},
            facts=child.ready.facts if child.ready else {},
            counts=self.command.counts,
        )


class Group:
    """All children of one server, in the order in which they are shown; stopped in the reverse of it."""

    def __init__(self, commands: Sequence[Command], supervision: Supervision, on_change: Callable[[], None]) -> None:
        self.supervision = supervision
        self.on_change = on_change
        self._is_stopping = False
        self._beside: list[Member] = []
        self.members = [Member(command, supervision.max_restarts, on_change) for command in commands]

    @property
    def is_ready(self) -> bool:
        """Every child serves."""
        return all(member.child.is_ready for member in self.members)

    @property
    def engine(self) -> Member | None:
        """That of MODEL."""
        return next((member for member in self.members if member.command.takes_orders), None)

    @property
    def shown(self) -> list[Member]:
        """All, also those beside the engine."""
        after = 1 + (self.members.index(self.engine) if self.engine else -1)
        return [*self.members[:after], *self._beside, *self.members[after:]]

    def take_beside(self, command: Command, child: Child | None = None) -> Member:
        """A second engine for a while: it is neither kept alive nor needed, and stopped with the others. With a
        ``child`` it is that one."""
        member = Member(replace(command, counts=None), 0, self.on_change)
        member.child = child or member.child
        self._beside.append(member)
        self.on_change()
        return member

    def leave_out(self, member: Member) -> None:
        """Its child is the caller's to stop."""
        self._beside.remove(member)
        self.on_change()

    @property
    def hosts(self) -> list[Child]:
        """The engine hosts that stubs work for, or will when they are back; also one on its way out."""
        found = [member.child for member in self.members if member.command.takes_orders]
        return [*found, *(member.child for member in self._beside if member.child.start_s)]

    @property
    def drainable(self) -> list[Child]:
        """The engine hosts that can be drained: they serve, or are told already to take nothing new."""
        hosts = [member.child for member in self.shown if member.command.takes_orders]
        return [host for host in hosts if host.is_ready or host.refuses]

    async def start(self) -> None:
        """Starts all at once and returns when all are ready. Raises EngineStartFailed with the cause of the first
        failure; nothing is tried twice. What runs then is left to ``stop``."""
        for member in self.members:
            member.start()
        timeout_s = self.supervision.start_timeout_s
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
        """Stops all, the last started first, and beside them the engines that nobody waits for any more; ``force``
        makes it quick."""
        self._is_stopping = True
        drained = [member for member in self.shown if member.child.drained.is_set()]
        rest = [member for member in self.shown if member not in drained]
        orders = [[member] for member in drained]
        await asyncio.gather(*(self._stop_in_order(members, force) for members in [*orders, rest]))

    async def _stop_in_order(self, members: Sequence[Member], force: asyncio.Event) -> None:
        for member in reversed(members):
            await member.child.stop(self.supervision.stop_timeout_s, force)

    async def _keep_alive(self, member: Member) -> None:
        while True:
            child = await member.until_ended()
            async with member.exchange:
                if self._is_stopping:
                    return
                if member.child is child:
                    await self._restart(member)

    async def _restart(self, member: Member) -> None:
        name, died, ended = member.command.name, member.child.phase, member.child
        delay_s = member.restarts.next_delay_s(time.monotonic(), ended.served_s, ended.start_s)
        member.last_death = f"{died}, after serving for {ended.served_s:.0f} s"
        if delay_s is None:
            raise ServerFailed(
                f"The {name} keeps dying",
                f"{died}; {member.restarts.count} restarts did not help",
                f"see its log: trident logs {member.command.log_path.stem}",
                log_path=member.command.log_path,
            )
        log.warning("%s %s; restart %d in %g s", name, member.last_death, member.restarts.count, delay_s)
        member.next_start = time.time() + delay_s
        self.on_change()
        await asyncio.sleep(delay_s)
        if self._is_stopping:
            return
        try:
            await member.start().wait_until_ready(self.supervision.start_timeout_s)
        except EngineStartFailed as error:
            child = member.child
            if child.failed or child.exit_code == CANNOT_START:
                raise ServerFailed(
                    f"The {name} died and cannot be started again",
                    f"{error.what}: {error.why}",
                    error.next_step,
                    log_path=error.log_path,
                ) from error
            log.warning("%s", error.what)
            await child.stop(self.supervision.stop_timeout_s, asyncio.Event())


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
