"""One request on the wire, and what it meant: raw while the clock runs, read afterwards."""

from __future__ import annotations

from typing import NamedTuple

import msgspec


class Failure(NamedTuple):
    """Why a request did not end well; kinds are those of ``result.ErrorCount``."""

    kind: str
    message: str


class Exchange:
    """Filled by a channel. ``stamps_ns[i]`` is when ``pieces[i]`` of the answer's body was read, on the monotonic
    clock."""

    __slots__ = ("end_ns", "failure", "pieces", "scheduled_ns", "sent_ns", "stamps_ns", "status")

    def __init__(self, scheduled_ns: int) -> None:
        self.scheduled_ns = scheduled_ns
        self.sent_ns = 0
        self.end_ns = 0
        self.stamps_ns: list[int] = []
        self.pieces: list[bytes] = []
        self.status = 0
        self.failure: Failure | None = None


class Ask(msgspec.Struct, frozen=True):
    """What one request asks. Chat messages with the last word the user's; APIs without roles join them."""

    messages: list[dict[str, str]]
    max_tokens: int

    @property
    def prompt(self) -> str:
        """For APIs that take one text."""
        if len(self.messages) == 1:
            return self.messages[0]["content"]
        return "\n\n".join(message["content"] for message in self.messages)


class Answer(msgspec.Struct, kw_only=True):
    """What came. ``arrivals_ns`` are the token events, in order; for an answer in one piece its end alone. Counts are
    None where the server gives none."""

    failure: Failure | None = None
    arrivals_ns: list[int] = []
    is_streamed: bool = True
    input_tokens: int | None = None
    output_tokens: int | None = None
    text: str = ""
