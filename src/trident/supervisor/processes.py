"""A process that is known again later: pids are reused, the pair of pid and start time is not."""

from __future__ import annotations

import contextlib
import os
import signal
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Process:
    """``started_ticks`` is the kernel's: clock ticks after boot."""

    pid: int
    started_ticks: int

    def is_running(self) -> bool:
        """False for a zombie too: it does nothing any more."""
        return identify(self.pid) == self

    def kill(self) -> None:
        """Does nothing to another process that has got the pid since."""
        if self.is_running():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)


def identify(pid: int) -> Process | None:
    """None when there is no such process, or only its zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name in parentheses may hold anything, so fields are counted from its end.
    fields = text.rpartition(")")[2].split()
    state, started_ticks = fields[0], int(fields[19])
    return None if state in "ZX" else Process(pid, started_ticks)
