"""How many requests a stub has in flight, and their ages, in a file that outlives the stub.

A request's age is the first number that the stub gave it: the lower, the older. Engines come and go meanwhile, so
nobody but the stub knows; the supervisor reads it to tell a request that hangs from one that takes long, and by the
times at which they came, connections that wait for them from idle ones.
"""

from __future__ import annotations

import mmap
import os
import struct
from pathlib import Path
from typing import NamedTuple

_HELD = struct.Struct("=qqq")
_TIME = struct.Struct("=d")
_PLACES = 1024
"""For times; of more requests at once the oldest ones' are lost."""
_SIZE = _HELD.size + _PLACES * _TIME.size
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
            os.ftruncate(fd, _SIZE)
            self._memory = mmap.mmap(fd, _SIZE)
        finally:
            os.close(fd)

    def tell(self, lowest: int, highest: int, count: int) -> None:
        """What is in flight now; zeros for nothing. Does nothing after ``close``."""
        if not self._memory.closed:
            _HELD.pack_into(self._memory, 0, lowest, highest, count)

    def began(self, age: int, at_s: float) -> None:
        """That request came at this time, of the monotonic clock. Does nothing after ``close``."""
        if not self._memory.closed:
            _TIME.pack_into(self._memory, _place(age), at_s)

    def ended(self, age: int) -> None:
        """It is in flight no more. Does nothing after ``close``."""
        self.began(age, 0.0)

    def close(self) -> None:
        """Removes the file: nothing is in flight any more."""
        self._memory.close()
        self._path.unlink(missing_ok=True)


def read(folder: Path) -> dict[int, Held]:
    """By the pid of each stub that has something in flight, or had when it died."""
    found: dict[int, Held] = {}
    for path in folder.glob(f"{_PREFIX}*{_SUFFIX}"):
        try:
            held = Held(*_HELD.unpack_from(path.read_bytes()))
            pid = int(path.name[len(_PREFIX) : -len(_SUFFIX)])
        except (OSError, ValueError, struct.error):
            continue  # it is just being made, or removed
        if held.requests:
            found[pid] = held
    return found


def begun_s(folder: Path, pid: int) -> list[float]:
    """When those came that a stub has, or had when it died; empty where nobody knows."""
    try:
        told = (folder / f"{_PREFIX}{pid}{_SUFFIX}").read_bytes()[_HELD.size :]
    except OSError:
        return []
    return [at_s for (at_s,) in _TIME.iter_unpack(told[: len(told) // _TIME.size * _TIME.size]) if at_s]


def forget(folder: Path, pid: int) -> None:
    """That stub has died, and what it had is over."""
    (folder / f"{_PREFIX}{pid}{_SUFFIX}").unlink(missing_ok=True)


def _place(age: int) -> int:
    return _HELD.size + age % _PLACES * _TIME.size
