"""What a living child suffers from: it is silent or stopped, or one of its own processes has died."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Protocol

from trident.protocol.status import Beat
from trident.supervisor.parts import Parts
from trident.supervisor.processes import Process
from trident.supervisor.vigil import OF_ANSWERS, OF_BEATS, Vigil

log = logging.getLogger(__name__)


class Mender(Protocol):
    """Makes a child whole again, one of whose parts has died."""

    def expects(self, part: Process) -> bool:
        """The end of that one, which is a zombie, has done no harm."""

    async def mend(self, pid: int, dead: Process) -> bool:
        """False when the child has to be restarted."""


class Health:
    """Of one life of a child. ``on_change`` is called when its trouble or its parts change, ``give_up`` with the cause
    when it has to be killed; then, and at the latest with the child, ``close`` is called."""

    def __init__(self, name: str, pid: int, on_change: Callable[[], None], give_up: Callable[[str], None]) -> None:
        self.lost = 0
        self.mended = 0
        self._name = name
        self._pid = pid
        self._on_change = on_change
        self._give_up = give_up
        self._troubles: dict[str, str] = {}
        self._parts: Parts | None = None
        self._vigil = Vigil(pid, f"the {name}", partial(self._set_trouble, "vigil"))
        self._tasks = [asyncio.ensure_future(self._keep_vigil())]

    @property
    def trouble(self) -> str | None:
        """While there is any, the child is not ready."""
        return next(iter(self._troubles.values()), None)

    @property
    def parts(self) -> dict[str, Process]:
        """Those of the child's own processes that are watched."""
        return self._parts.known if self._parts else {}

    def take(self, beat: Beat) -> None:
        """From the first beat on the next ones are waited for."""
        self._vigil.expect(OF_BEATS)
        self._vigil.alive(is_last=beat.is_last)

    def ask(self, is_live: Callable[[], Awaitable[bool]]) -> None:
        """From now on answers are waited for."""
        self._vigil.expect(OF_ANSWERS)
        self._tasks.append(asyncio.ensure_future(self._vigil.keep_asking(is_live)))

    def watch(self, find_parts: Callable[[int], dict[str, Process]], mender: Mender | None) -> None:
        """From now on a part that dies is replaced by ``mender``; without one the child is useless."""
        self._parts = Parts(self._pid, find_parts, self._on_change)
        self._tasks.append(asyncio.ensure_future(self._watch_parts(self._parts, mender)))

    def close(self) -> None:
        """Watches no more."""
        for task in self._tasks:
            if task is not asyncio.current_task():
                task.cancel()

    async def _keep_vigil(self) -> None:
        self._give_up(await self._vigil.until_lost())

    async def _watch_parts(self, parts: Parts, mender: Mender | None) -> None:
        async for name, part in parts.crashes():
            died = f"its {name} (pid {part.pid}) died"
            if mender is None:
                self._give_up(died)
            elif not mender.expects(part):
                self.lost += 1
                self._set_trouble(str(part.pid), died)
                self._tasks.append(asyncio.ensure_future(self._mend(mender, parts, part, died)))

    async def _mend(self, mender: Mender, parts: Parts, part: Process, died: str) -> None:
        try:
            is_whole = await mender.mend(self._pid, part)
        except Exception:
            log.exception("%s cannot be mended", self._name)
            is_whole = False
        if is_whole:
            self.mended += 1
            parts.look_again()
            self._set_trouble(str(part.pid), None)
        else:
            self._give_up(died)

    def _set_trouble(self, key: str, why: str | None) -> None:
        if why is None:
            self._troubles.pop(key, None)
        else:
            self._troubles[key] = why
            log.warning("%s: %s", self._name, why)
        self._on_change()
