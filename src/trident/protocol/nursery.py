"""How an engine host is had without importing vLLM again: a process that has imported it forks one
(``engine/nursery.py``).

Packets on a unix socket. The process that stands for the host sends ``Birth`` with its file descriptors, then the
number of each signal that it gets; it is sent ``Ended``. Its end is the host's end.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import msgspec

VARIABLE = "TRIDENT_NURSERY"
"""``PID:SOCKET``. An engine host that finds it is forked by the nursery at SOCKET, which is started where there is none
and ends with process PID."""


class Place(NamedTuple):
    """Where a nursery is, and whose it is."""

    owner_pid: int
    socket: Path

    @classmethod
    def parse(cls, text: str) -> Place:
        """Raises ValueError."""
        pid, _, socket = text.partition(":")
        return cls(int(pid), Path(socket))

    @property
    def text(self) -> str:
        """As the variable has it."""
        return f"{self.owner_pid}:{os.fspath(self.socket)}"


class Birth(msgspec.Struct, frozen=True):
    """With it come standard output, standard error, and the file descriptor for status where there is one."""

    spec_path: str
    environ: dict[str, str]
    folder: str


class Ended(msgspec.Struct, frozen=True):
    """``status`` as ``os.wait`` says it."""

    status: int
