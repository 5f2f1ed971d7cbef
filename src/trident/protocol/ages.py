"""How many requests a stub has in flight, and their ages, in a file that outlives the stub.

A request's age is the first number that the stub gave it: the lower, the older. Engines come and go meanwhile, so
nobody but the stub knows; the supervisor reads it to tell a request that hangs from one that takes long.
"""

from __future__ import annotations

import mmap
import os
import struct
from pathlib import Path
from typing import NamedTuple

_HELD = struct.Struct("=qqq")
_PREFIX, _SUFFIX = "stub-", ".ages"


class Held(NamedTuple):
    """The lowest and the highest age of one stub's requests, and their number."""

    lowest: int
    highest: int
    requests: int


class Ages:
    """The stub's side. ``tell`` may be called at any time, by one thread at a time."""

    def __init__(self, folder: Path, pid: int) -> None:
        """Raises OSError when the file cannot be made in ``folder``."""
        self._path = folder / f"{_PREFIX}{pid}{_SUFFIX}"
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            os.ftruncate(fd, _HELD.size)
            self._memory = mmap.mmap(fd, _HELD.size)
        finally:
            os.close(fd)

    def tell(self, lowest: int, highest: int, count: int) -> None:
        """What is in flight now; zeros for nothing. Does nothing after ``close``."""
        if not self._memory.closed:
            _HELD.pack_into(self._memory, 0, lowest, highest, count)

    def close(self) -> None:
        """Removes the file: nothing is in flight any more."""
        self._memory.close()
        self._path.unlink(missing_ok=True)


def read(folder: Path) -> dict[int, Held]:
    """By the pid of each stub that has something in flight, or had when it died."""
    found: dict[int, Held] = {}
    for path in folder.glob(f"{_PREFIX}*{_SUFFIX}"):
        try:
            held = Held(*_HELD.unpack(path.read_bytes()))
            pid = int(path.name[len(_PREFIX) : -len(_SUFFIX)])
        except (OSError, ValueError, struct.error):
            continue  # it is just being made, or removed
        if held.requests:
            found[pid] = held
    return found


def forget(folder: Path, pid: int) -> None:
    """That stub has died, and what it had is over."""
    (folder / f"{_PREFIX}{pid}{_SUFFIX}").unlink(missing_ok=True)
