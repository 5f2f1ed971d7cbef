"""A child's own processes, which come and go: tritonserver starts and ends stubs with their models."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from trident.supervisor.processes import Process

LOOK_S = 0.5
FIND_EVERY_LOOKS = 10
"""Finding reads the whole process table."""
CRASHED_AFTER_LOOKS = 4
"""A busy machine may take a while until tritonserver has asked how its stub ended."""


class Parts:
    """``find`` names them by the child's pid. ``on_change`` is called when others are there than before."""

    def __init__(self, pid: int, find: Callable[[int], dict[str, Process]], on_change: Callable[[], None]) -> None:
        self.known = find(pid)
        self._pid = pid
        self._find = find
        self._on_change = on_change

    async def until_crash(self) -> str:
        """Returns the name and pid of one that has crashed.

        Triton 2.51 waits for a stub that it ends itself and for no other: a zombie that stays has crashed.
        """
        zombie_looks: dict[Process, int] = {}
        looks = 0
        while True:
            await asyncio.sleep(LOOK_S)
            looks += 1
            zombies = {process: name for name, process in self.known.items() if process.is_zombie()}
            zombie_looks = {zombie: zombie_looks.get(zombie, 0) + 1 for zombie in zombies}
            for zombie, seen in zombie_looks.items():
                if seen == CRASHED_AFTER_LOOKS:
                    return f"{zombies[zombie]} (pid {zombie.pid})"
            if looks % FIND_EVERY_LOOKS == 0 or not all(process.exists() for process in self.known.values()):
                self._find_again()

    def _find_again(self) -> None:
        found = self._find(self._pid)
        if found != self.known:
            self.known = found
            self._on_change()
