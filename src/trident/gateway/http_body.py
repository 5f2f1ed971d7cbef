"""Where the body of an HTTP/1 message ends; its bytes are counted and never kept."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Protocol

MOST_LINE_BYTES = 1024
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})\r\n")
_SIZE_OF_A_SERVER = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?\r\n")


class Malformed(Exception):
    """The body is not framed as HTTP/1.1 says."""


class TooLarge(Exception):
    """The body is longer than it may be."""


class Body(Protocol):
    """``is_complete`` becomes true with its last byte."""

    is_complete: bool

    def feed(self, data: bytes, at: int = 0) -> int:
        """Takes what belongs to the body from ``data[at:]``; returns where the rest begins. Raises Malformed."""
        ...


class Length:
    """As long as content-length says."""

    def __init__(self, length_bytes: int) -> None:
        self.is_complete = length_bytes == 0
        self._left_bytes = length_bytes

    def feed(self, data: bytes, at: int = 0) -> int:
        """See Body."""
        taken_bytes = min(self._left_bytes, len(data) - at)
        self._left_bytes -= taken_bytes
        self.is_complete = self._left_bytes == 0
        return at + taken_bytes


NO_BODY = Length(0)


class UntilClose:
    """Ends with the connection, as answers may."""

    is_complete = False

    def feed(self, data: bytes, at: int = 0) -> int:  # noqa: ARG002 - as Body says
        """See Body."""
        return len(data)


class Chunked:
    """Pieces with their sizes in front. A client's (``most_bytes`` is given) may have neither extensions nor trailers,
    in which two readers could differ; a server's may. Raises TooLarge too."""

    def __init__(self, most_bytes: int | None = None) -> None:
        self.is_complete = False
        self._most_bytes = most_bytes
        self._size_bytes = 0
        self._left_bytes = 0
        self._line = b""
        self._read_line: Callable[[bytes], None] = self._read_size

    def feed(self, data: bytes, at: int = 0) -> int:
        """See Body."""
        end = len(data)
        while at < end and not self.is_complete:
            if self._left_bytes:
                taken_bytes = min(self._left_bytes, end - at)
                self._left_bytes -= taken_bytes
                at += taken_bytes
            else:
                at = self._take_line(data, at)
        return at

    def _take_line(self, data: bytes, at: int) -> int:
        end = data.find(b"\n", at) + 1 or len(data)
        self._line += data[at:end]
        if len(self._line) > MOST_LINE_BYTES:
            raise Malformed("a chunk begins with too long a line")
        if self._line.endswith(b"\n"):
            line, self._line = self._line, b""
            self._read_line(line)
        return end

    def _read_size(self, line: bytes) -> None:
        found = (_SIZE if self._most_bytes is not None else _SIZE_OF_A_SERVER).fullmatch(line)
        if found is None:
            raise Malformed("a chunk does not begin with its size")
        self._left_bytes = int(found[1], 16)
        self._size_bytes += self._left_bytes
        if self._most_bytes is not None and self._size_bytes > self._most_bytes:
            raise TooLarge(f"the body has more than {self._most_bytes} bytes, which is the limit")
        self._read_line = self._read_end if self._left_bytes else self._read_trailer

    def _read_end(self, line: bytes) -> None:
        if line != b"\r\n":
            raise Malformed("a chunk is longer than its size")
        self._read_line = self._read_size

    def _read_trailer(self, line: bytes) -> None:
        if line == b"\r\n":
            self.is_complete = True
        elif self._most_bytes is not None:
            raise Malformed("the body has trailers")


def of_answer(head: bytes, asked_with: bytes) -> Body | None:
    """What follows an answer's head, by the method that it answers; None after an interim one (100 Continue). A server
    of ours has written it, so it is read leniently."""
    status = int(head[9:12])
    if 100 <= status < 200:
        return None
    if asked_with == b"HEAD" or status in (204, 304):
        return NO_BODY
    fields = head.lower()
    if b"\r\ntransfer-encoding: chunked" in fields:
        return Chunked()
    length = re.search(rb"\r\ncontent-length:[ \t]*(\d+)", fields)
    return Length(int(length[1])) if length else UntilClose()
