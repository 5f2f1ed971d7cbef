"""Folders that a killed tritonserver could not remove: its Python backend makes ``/tmp/python_env_XXXXXX`` (a fixed
place, whatever TMPDIR says) and deletes it only when it ends by itself."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

PROGRAM = "tritonserver"
CLOCK_S = 2.0
"""Start times of processes are known no better."""
LOADING_S = 60.0
"""After its start a tritonserver has made its folder within this time."""


def remove(since: float, folder: Path = Path("/tmp"), others: Iterable[float] | None = None) -> None:
    """Removes this user's empty ones that were made after ``since`` (Unix time). Call it when our own server has ended.

    One that may be another running server's stays: that one crashes when it ends without it. ``others`` are the times
    at which such servers were started, by default those that run now.
    """
    for scratch in folder.glob("python_env_??????"):
        with contextlib.suppress(OSError):  # not empty, or gone meanwhile
            status = scratch.lstat()
            made = status.st_mtime
            if status.st_uid != os.getuid() or made < since - CLOCK_S:
                continue
            others = _running() if others is None else others
            if not any(started - CLOCK_S <= made <= started + LOADING_S for started in others):
                scratch.rmdir()


def _running() -> list[float]:
    import psutil

    return [
        process.info["create_time"]
        for process in psutil.process_iter(["name", "create_time", "status"])
        if process.info["name"] == PROGRAM and process.info["status"] != psutil.STATUS_ZOMBIE
    ]
