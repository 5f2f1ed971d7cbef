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

    def is_stopped(self) -> bool:
        """By a signal or a debugger; it goes on when it is told to."""
        found = _stat(self.pid)
        return found is not None and found[0] in "Tt" and found[1] == self.started_ticks

    def name(self) -> str:
        """Its own, which its zombie keeps; empty when it has gone."""
        with contextlib.suppress(OSError):
            return Path(f"/proc/{self.pid}/comm").read_text(encoding="ascii", errors="replace").rstrip() * self.exists()
        return ""

    def wait_status(self) -> int:
        """How a zombie has ended, as ``os.wait`` would say it; 0 also when the kernel does not tell."""
        fields = _fields(self.pid)
        return int(fields[_EXIT_CODE]) if fields and fields[0] == "Z" else 0

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


_STARTED, _EXIT_CODE = 19, 49
"""Fields of ``/proc/PID/stat`` after the name. The kernel shows the exit code to the process's own user alone."""


def _stat(pid: int) -> tuple[str, int] | None:
    """State and start time in clock ticks after boot."""
    fields = _fields(pid)
    return (fields[0], int(fields[_STARTED])) if fields else None


def _fields(pid: int) -> list[str]:
    """Empty when there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return []
    # The name in parentheses may hold anything, so fields are counted from its end.
    return text.rpartition(")")[2].split()
