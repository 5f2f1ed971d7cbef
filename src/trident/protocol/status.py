"""What a child tells the supervisor while it starts and runs: JSON lines on an inherited pipe.

A pipe rather than the log, so that nobody parses prose; rather than a socket, so that the end of the child is seen.
"""

from __future__ import annotations

import fcntl
import os
import termios
from typing import Any

import msgspec

FD_VARIABLE = "TRIDENT_STATUS_FD"


class Phase(msgspec.Struct, tag="phase", frozen=True):
    """The child is busy with this, in words for a user. ``serves_stubs``: not all of it is ready, but stubs are.
    ``expects_stubs``: it will be soon, so that they may start already and wait."""

    text: str
    serves_stubs: bool = False
    expects_stubs: bool = False


class Ready(msgspec.Struct, tag="ready", frozen=True):
    """The child serves. ``facts`` are shown by ``trident status``; ``pids`` names the child's own children. Those in
    ``lingering`` end by themselves within ``LINGER_S`` when the child dies: they have to tell their clients."""

    facts: dict[str, Any] = {}
    pids: dict[str, int] = {}
    lingering: tuple[str, ...] = ()


class Unready(msgspec.Struct, tag="unready", frozen=True):
    """The child lives but does not serve at the moment; ``Ready`` follows when it does again, or its end when
    ``is_lost``."""

    why: str
    is_lost: bool = False


class Drained(msgspec.Struct, tag="drained", frozen=True):
    """The child was told to drain (``protocol.orders``), and nothing is in flight any more."""


class Failed(msgspec.Struct, tag="failed", frozen=True):
    """The child cannot start, and why, as the three lines of an error."""

    what: str
    why: str
    next_step: str


class Beat(msgspec.Struct, tag="beat", frozen=True):
    """The child's event loop turns; from the first one on they come every ``BEAT_S``, until the last."""

    is_last: bool = False


Status = Phase | Ready | Unready | Drained | Failed | Beat

BEAT_S = 0.5
MOST_UNREAD_BYTES = 16384
"""A quarter of a pipe. A supervisor that is stopped reads nothing: beats must leave room for what is news."""

LINGER_S = 1.5
"""Seconds that a part has for its last words."""

LONGEST_TEXT = 600
"""Characters of each text of a ``Failed``, so that a line stays below PIPE_BUF (4096 bytes)."""

_encode = msgspec.json.Encoder().encode
_decoder: msgspec.json.Decoder[Status] = msgspec.json.Decoder(Status)


def report(status: Status) -> None:
    """Tells the supervisor; without one (a child started by hand) nothing happens."""
    fd = os.environ.get(FD_VARIABLE)
    if fd is not None:
        if isinstance(status, Failed):
            status = Failed(_short(status.what), _short(status.why), _short(status.next_step))
        # One write below PIPE_BUF is atomic, so lines of several threads and processes never mix.
        os.write(int(fd), _encode(status) + b"\n")


def beat(*, is_last: bool = False) -> None:
    """Tells the supervisor that this process lives; never waits for it."""
    fd = int(os.environ.get(FD_VARIABLE, -1))
    if fd >= 0 and _unread_bytes(fd) < MOST_UNREAD_BYTES:
        os.write(fd, _encode(Beat(is_last)) + b"\n")


def _unread_bytes(fd: int) -> int:
    return int.from_bytes(fcntl.ioctl(fd, termios.FIONREAD, bytes(4)), "little")


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1] + "…"


def parse(line: bytes) -> Status | None:
    """None for a line that is not a status: a child may print into the pipe by accident."""
    try:
        return _decoder.decode(line)
    except msgspec.DecodeError:
        return None
