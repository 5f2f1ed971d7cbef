"""What a child tells the supervisor while it starts and runs: JSON lines on an inherited pipe.

A pipe rather than the log, so that nobody parses prose; rather than a socket, so that the end of the child is seen.
"""

from __future__ import annotations

import os
from typing import Any

import msgspec

FD_VARIABLE = "TRIDENT_STATUS_FD"


class Phase(msgspec.Struct, tag="phase", frozen=True):
    """The child is busy with this, in words for a user. ``serves_stubs``: not all of it is ready, but stubs are."""

    text: str
    serves_stubs: bool = False


class Ready(msgspec.Struct, tag="ready", frozen=True):
    """The child serves. ``facts`` are shown by ``trident status``; ``pids`` names the child's own children."""

    facts: dict[str, Any] = {}
    pids: dict[str, int] = {}


class Unready(msgspec.Struct, tag="unready", frozen=True):
    """The child lives but does not serve at the moment; ``Ready`` follows when it does again."""

    why: str


class Failed(msgspec.Struct, tag="failed", frozen=True):
    """The child cannot start, and why, as the three lines of an error."""

    what: str
    why: str
    next_step: str


Status = Phase | Ready | Unready | Failed

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


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1] + "…"


def parse(line: bytes) -> Status | None:
    """None for a line that is not a status: a child may print into the pipe by accident."""
    try:
        return _decoder.decode(line)
    except msgspec.DecodeError:
        return None
