"""A process that is known again later: pids are reused, the pair of pid and start time is not."""

from __future__ import annotations

import contextlib
import os
import signal
from dataclasses import dataclass
from pathlib import Path

NAME_BYTES = 15
"""The kernel keeps no more of a process's name."""


@dataclass(frozen=True)
class Process:
    """``started_ticks`` is the kernel's: clock ticks after boot."""

    pid: int
    started_ticks: int

    def is_running(self) -> bool:
        """False for a zombie too: it does nothing any more."""
        return identify(self.pid) == self

    def exists(self) -> bool:
        """True for a zombie too."""
        found = _stat(self.pid)
        return found is not None and found[1] == self.started_ticks

    def is_zombie(self) -> bool:
        """It has ended and its parent has not asked how."""
        found = _stat(self.pid)
        return found is not None and found == ("Z", self.started_ticks)

    def kill(self) -> None:
        """Does nothing to another process that has got the pid since."""
        if self.is_running():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)


def identify(pid: int) -> Process | None:
    """None when there is no such process, or only its zombie."""
    found = _stat(pid)
    return None if found is None or found[0] in "ZX" else Process(pid, found[1])


def children_of(pid: int, command: str, name: str) -> dict[str, Process]:
    """Direct children whose command line contains ``command``, called ``name 1``, ``name 2`` … in order of pid. Zombies
    are among them: they have no command line any more and are known by their names."""
    import psutil

    def runs_it(child: psutil.Process) -> bool:
        try:
            return any(command in part for part in child.cmdline())
        except psutil.ZombieProcess:
            return child.name() == command[:NAME_BYTES]

    found: list[Process] = []
    with contextlib.suppress(psutil.Error):
        for child in sorted(psutil.Process(pid).children(), key=lambda child: child.pid):
            with contextlib.suppress(psutil.Error):
                stat = _stat(child.pid) if runs_it(child) else None
                if stat is not None:
                    found.append(Process(child.pid, stat[1]))
    return {f"{name} {number}": process for number, process in enumerate(found, start=1)}


def _stat(pid: int) -> tuple[str, int] | None:
    """State and start time in clock ticks after boot."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name in parentheses may hold anything, so fields are counted from its end.
    fields = text.rpartition(")")[2].split()
    return fields[0], int(fields[19])
