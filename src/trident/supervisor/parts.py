"""A child's own processes, which come and go: tritonserver starts and ends stubs with their models."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import time
from collections.abc import AsyncIterator, Callable

from trident.protocol.patience import within
from trident.supervisor.processes import Process

log = logging.getLogger(__name__)

LOOK_S = 0.5
FIND_EVERY_LOOKS = 10
"""Finding reads the whole process table."""
REAPED_WITHIN_S = 0.1
"""Triton waits at once for a stub that it has killed itself."""
ASKED_WITHIN_S = 2.0
"""A busy machine may take a while until tritonserver has asked how its stub ended."""
STOPPED_LOOKS = 4


class Parts:
    """``find`` names them by the child's pid. ``on_change`` is called when others are there than before."""

    def __init__(self, pid: int, find: Callable[[int], dict[str, Process]], on_change: Callable[[], None]) -> None:
        self._pid = pid
        self._find = find
        self._on_change = on_change
        self._crashed: set[Process] = set()
        self._pidfds: dict[Process, int] = {}
        self._ended_s: dict[Process, float] = {}
        self._stopped_looks: dict[Process, int] = {}
        self._wake = asyncio.Event()
        self.known: dict[str, Process] = find(pid)

    async def crashes(self) -> AsyncIterator[tuple[str, Process]]:
        """Name and process of each that ends without the child's doing, within 0.1 s. One that is stopped for two
        seconds is killed.

        Triton 2.51 waits for a stub that it ends itself and for no other: a zombie that stays has crashed.
        """
        looks = 0
        try:
            while True:
                self._watch_all()
                for name, process in list(self.known.items()):
                    if self._has_crashed(process):
                        self._forget(process)
                        self._crashed.add(process)
                        self._find_again()
                        yield name, process
                is_look = await self._rest()
                if is_look:
                    looks += 1
                    self._end_stopped()
                is_due = is_look and looks % FIND_EVERY_LOOKS == 0
                if is_due or not all(process.exists() for process in self.known.values()):
                    self._find_again()
        finally:
            for process in list(self._pidfds):
                self._forget(process)

    def look_again(self) -> None:
        """There are others now."""
        self._find_again()
        self._wake.set()

    async def _rest(self) -> bool:
        """Returns true when the next look is due, false when something ends before, or is about to be asked."""
        is_waiting = any(process.is_zombie() for process in self._ended_s)
        with contextlib.suppress(asyncio.TimeoutError):
            await within(min(LOOK_S, REAPED_WITHIN_S / 2) if is_waiting else LOOK_S, self._wake.wait())
            self._wake.clear()
            return False
        return not is_waiting

    def _watch_all(self) -> None:
        self._ended_s = {process: at_s for process, at_s in self._ended_s.items() if process.exists()}
        for process in set(self._pidfds) - set(self.known.values()):
            self._forget(process)
        for process in self.known.values():
            if process not in self._pidfds and process not in self._ended_s:
                try:
                    pidfd = os.pidfd_open(process.pid)
                except OSError:
                    continue  # it has gone
                self._pidfds[process] = pidfd
                asyncio.get_running_loop().add_reader(pidfd, self._ended, process)

    def _ended(self, process: Process) -> None:
        self._forget(process)
        self._ended_s[process] = time.monotonic()
        self._wake.set()

    def _forget(self, process: Process) -> None:
        self._ended_s.pop(process, None)
        self._stopped_looks.pop(process, None)
        if (pidfd := self._pidfds.pop(process, None)) is not None:
            asyncio.get_running_loop().remove_reader(pidfd)
            os.close(pidfd)

    def _has_crashed(self, process: Process) -> bool:
        ended_s = self._ended_s.get(process)
        if ended_s is None or not process.is_zombie():
            return False
        # Triton's stubs may end with a fault of their own when they are asked to (python_backend 24.10).
        was_killed = process.wait_status() == signal.SIGKILL
        return time.monotonic() - ended_s >= (REAPED_WITHIN_S if was_killed else ASKED_WITHIN_S)

    def _end_stopped(self) -> None:
        for name, process in self.known.items():
            looks = self._stopped_looks.get(process, 0) + 1 if process.is_stopped() else 0
            self._stopped_looks[process] = looks
            if looks == STOPPED_LOOKS:
                log.warning("%s (pid %d) is stopped, and killed", name, process.pid)
                process.kill()

    def _find_again(self) -> None:
        found = {name: process for name, process in self._find(self._pid).items() if process not in self._crashed}
        # One that has just ended may be no match any more, and whether it has crashed is not decided yet.
        undecided = {name: process for name, process in self.known.items() if process in self._ended_s}
        found.update((f"{name} (ended)", one) for name, one in undecided.items() if one not in found.values())
        if found != self.known:
            self.known = found
            self._on_change()
