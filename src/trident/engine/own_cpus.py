"""Keeps engine cores on CPUs of their own and everything else of the host away from them."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Collection, Sequence
from pathlib import Path

import psutil

log = logging.getLogger("trident.own_cpus")


def keep_apart(cores: Sequence[int], of_cores: Sequence[Collection[int]], rest: Collection[int]) -> None:
    """``cores`` are the engine cores' pids, ``of_cores`` the CPUs of each; this process and all others that it has
    started get the rest. Does nothing without CPUs; what the system refuses is a warning."""
    if len(of_cores) != len(cores) or not rest:
        return
    own = dict(zip(cores, of_cores, strict=True))
    with contextlib.suppress(psutil.NoSuchProcess):
        others = [child.pid for child in psutil.Process().children(recursive=True)]
        own.update({pid: rest for pid in (os.getpid(), *others) if pid not in own})
    try:
        for pid, cpus in own.items():
            confine(pid, cpus)
    except OSError as error:
        log.warning("engine cores have no CPUs of their own: %s", error)
        return
    log.info("engine cores on CPUs %s, everything else on %s", [sorted(cpus) for cpus in of_cores], sorted(rest))


def confine(pid: int, cpus: Collection[int]) -> None:
    """Every thread of a process; those that begin meanwhile too, and one that ends is no error. Raises OSError when the
    system refuses."""
    done: set[int] = set()
    while new := _threads(pid) - done:
        for thread in new:
            with contextlib.suppress(ProcessLookupError):
                os.sched_setaffinity(thread, cpus)
        done |= new


def _threads(pid: int) -> set[int]:
    try:
        return {int(task.name) for task in Path(f"/proc/{pid}/task").iterdir()}
    except (FileNotFoundError, ProcessLookupError):
        return set()
