"""What a child tells the supervisor while it starts and runs: JSON lines on an inherited pipe.

A pipe rather than the log, so that nobody parses prose; rather than a socket, so that the end of the child is seen.
"""

from __future__ import annotations

import os
from typing import Any

import msgspec

FD_VARIABLE = "TRIDENT_STATUS_FD"


class Phase(msgspec.Struct, tag="phase", frozen=True):
    """The child is busy with this, in words for a user."""

    text: str


class Ready(msgspec.Struct, tag="ready", frozen=True):
    """The child serves. ``facts`` are shown by ``trident status``; ``pids`` names the child's own children."""

    facts: dict[str, Any] = {}
    pids: dict[str, int] = {}


class Failed(msgspec.Struct, tag="failed", frozen=True):
    """The child cannot start, and why, as the three lines of an error."""

    what: str
    why: str
    next_step: str


Status = Phase | Ready | Failed

_encode = msgspec.json.Encoder().encode
_decoder: msgspec.json.Decoder[Status] = msgspec.json.Decoder(Status)


def report(status: Status) -> None:
    """Tells the supervisor; without one (a child started by hand) nothing happens."""
    fd = os.environ.get(FD_VARIABLE)
    if fd is not None:
        # One write below PIPE_BUF is atomic, so lines of several threads never mix.
        os.write(int(fd), _encode(status)[:4000] + b"\n")


def parse(line: bytes) -> Status | None:
    """None for a line that is not a status: a child may print into the pipe by accident."""
    try:
        return _decoder.decode(line)
    except msgspec.DecodeError:
        return None
