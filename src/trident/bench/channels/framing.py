"""Where an HTTP/1.1 response ends: status line, headers, then a body with a length, in chunks, or until the connection
closes.

RFC 9112. Takes bytes however they were split on the way.
"""

from __future__ import annotations

from enum import Enum, auto

LONGEST_HEAD_BYTES = 64 << 10


class BadResponse(Exception):
    """The bytes are no HTTP/1.1 response."""


class State(Enum):
    HEAD = auto()
    LENGTH = auto()
    CHUNK_SIZE = auto()
    CHUNK = auto()
    CHUNK_END = auto()
    TRAILER = auto()
    UNTIL_CLOSE = auto()
    DONE = auto()


class Framing:
    """One response. ``feed`` gives the body's bytes as they come, without what frames them."""

    def __init__(self) -> None:
        self.status = 0
        self.is_kept_alive = True
        self.state = State.HEAD
        self._rest = b""
        self._left = 0

    def feed(self, data: bytes) -> list[bytes]:
        """Pieces of the body in ``data``. Raises BadResponse; bytes after the end are one too."""
        self._rest += data
        pieces: list[bytes] = []
        while self._step(pieces):
            pass
        if self.state is State.DONE and self._rest:
            raise BadResponse(f"{len(self._rest)} bytes after the end of the response")
        return pieces

    def close(self) -> bool:
        """The connection has closed; True when that ends the response well."""
        if self.state is State.UNTIL_CLOSE:
            self.state = State.DONE
        return self.state is State.DONE

    def _step(self, pieces: list[bytes]) -> bool:
        """One part; False when more bytes are needed."""
        if self.state is State.HEAD:
            return self._head()
        if self.state is State.CHUNK_SIZE:
            return self._chunk_size()
        if self.state in (State.LENGTH, State.CHUNK):
            return self._bytes(pieces)
        if self.state is State.CHUNK_END:
            return self._chunk_end()
        if self.state is State.TRAILER:
            line = self._line()
            if line == b"":
                self.state = State.DONE
            return line is not None
        if self.state is State.UNTIL_CLOSE and self._rest:
            pieces.append(self._rest)
            self._rest = b""
        return False

    def _line(self) -> bytes | None:
        line, found, rest = self._rest.partition(b"\r\n")
        if not found:
            if len(self._rest) > LONGEST_HEAD_BYTES:
                raise BadResponse("a line of the response does not end")
            return None
        self._rest = rest
        return line

    def _head(self) -> bool:
        head, found, rest = self._rest.partition(b"\r\n\r\n")
        if not found:
            if len(head) > LONGEST_HEAD_BYTES:
                raise BadResponse("the head of the response does not end")
            return False
        self._rest = rest
        first, *lines = head.split(b"\r\n")
        words = first.split(b" ", 2)
        if len(words) < 2 or not words[0].startswith(b"HTTP/1.") or not words[1].isdigit():
            raise BadResponse(f"the response begins with {first[:60]!r}")
        self.status = int(words[1])
        if 100 <= self.status < 200:
            return True
        fields = (line.lower().partition(b":") for line in lines)
        headers = {name.strip(): value.strip() for name, _, value in fields}
        self.is_kept_alive = words[0] != b"HTTP/1.0" and headers.get(b"connection") != b"close"
        self._begin_body(headers)
        return True

    def _begin_body(self, headers: dict[bytes, bytes]) -> None:
        length = headers.get(b"content-length")
        if headers.get(b"transfer-encoding") == b"chunked":
            self.state = State.CHUNK_SIZE
        elif length is not None:
            if not length.isdigit():
                raise BadResponse(f"content-length is {length[:20]!r}")
            self._left = int(length)
            self.state = State.LENGTH if self._left else State.DONE
        elif self.status in (204, 304):
            self.state = State.DONE
        else:
            self.is_kept_alive = False
            self.state = State.UNTIL_CLOSE

    def _chunk_size(self) -> bool:
        line = self._line()
        if line is None:
            return False
        size = line.partition(b";")[0].strip()
        try:
            self._left = int(size, 16)
        except ValueError:
            raise BadResponse(f"the size of a chunk is {size[:20]!r}") from None
        self.state = State.CHUNK if self._left else State.TRAILER
        return True

    def _bytes(self, pieces: list[bytes]) -> bool:
        piece, self._rest = self._rest[: self._left], self._rest[self._left :]
        if piece:
            pieces.append(piece)
        self._left -= len(piece)
        if self._left:
            return False
        self.state = State.DONE if self.state is State.LENGTH else State.CHUNK_END
        return True

    def _chunk_end(self) -> bool:
        if len(self._rest) < 2:
            return False
        if not self._rest.startswith(b"\r\n"):
            raise BadResponse("a chunk is longer than it says")
        self._rest = self._rest[2:]
        self.state = State.CHUNK_SIZE
        return True

    @property
    def is_between_chunks(self) -> bool:
        """Nothing is left over and a chunk comes next: the reader may take a whole one by itself."""
        return self.state is State.CHUNK_SIZE and not self._rest
