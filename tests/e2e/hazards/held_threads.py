"""Threads of another process that get no turn for a while, as on a machine with too much to do."""

from __future__ import annotations

import ctypes
import os
import time
from pathlib import Path

_SEIZE, _INTERRUPT, _DETACH = 0x4206, 0x4207, 17
_WALL = 0x40000000
_EPOLL_WAITS = ("232", "281", "441")
"""epoll_wait, epoll_pwait and epoll_pwait2 of x86-64."""
_FOR_EVER = 0xFFFFFFFF


def that_wait_for_events(pid: int) -> list[int]:
    """Threads that wait at an epoll for ever."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        call, *arguments = (task / "syscall").read_text().split()
        if call in _EPOLL_WAITS and int(arguments[3], 16) & 0xFFFFFFFF == _FOR_EVER:
            found.append(int(task.name))
    return found


def hold(threads: list[int], seconds: float) -> int:
    """How many of them were held; the others of their process go on meanwhile."""
    trace = ctypes.CDLL(None, use_errno=True).ptrace
    trace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    held = [thread for thread in threads if trace(_SEIZE, thread, None, None) == 0]
    for thread in held:
        trace(_INTERRUPT, thread, None, None)
    time.sleep(seconds)  # the hazard itself
    for thread in held:
        os.waitpid(thread, _WALL)
        trace(_DETACH, thread, None, None)
    return len(held)
