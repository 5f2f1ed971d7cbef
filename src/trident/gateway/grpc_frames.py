"""Frames of HTTP/2, followed without being kept: a head of nine bytes, then as many as it says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEAD_BYTES = 9
DATA, HEADERS, RST_STREAM, PUSH_PROMISE, GOAWAY, CONTINUATION = 0, 1, 3, 5, 7, 9
END_STREAM, END_HEADERS, PADDED = 1, 4, 8
MESSAGE_HEAD_BYTES = 5
"""In front of each gRPC message: whether it is compressed, and its length."""


class FrameHead(NamedTuple):
    """The first nine bytes of a frame."""

    length_bytes: int
    kind: int
    flags: int
    stream: int

    @property
    def ends_stream(self) -> bool:
        """The sender says no more on this stream."""
        return self.kind == RST_STREAM or (self.kind in (DATA, HEADERS) and bool(self.flags & END_STREAM))

    @property
    def ends_block(self) -> bool:
        """The header fields are complete with it."""
        return bool(self.flags & END_HEADERS)


def frame_head(data: bytes, at: int = 0) -> FrameHead:
    """Reads nine bytes."""
    return FrameHead(
        int.from_bytes(data[at : at + 3], "big"),
        data[at + 3],
        data[at + 4],
        int.from_bytes(data[at + 5 : at + 9], "big") & 0x7FFF_FFFF,
    )


class Heads:
    """Finds the heads in a stream: each has ``head_bytes``, then come as many bytes as ``length_of`` reads in it."""

    def __init__(self, head_bytes: int, length_of: Callable[[bytes], int]) -> None:
        self._head_bytes = head_bytes
        self._length_of = length_of
        self._left_bytes = 0
        self._head = b""

    @property
    def is_between(self) -> bool:
        """After a whole part."""
        return not (self._left_bytes or self._head)

    def find(self, data: bytes) -> Iterator[bytes]:
        """Those that are complete with ``data``."""
        at, end = 0, len(data)
        while at < end:
            if self._left_bytes:
                taken = min(self._left_bytes, end - at)
                self._left_bytes -= taken
                at += taken
                continue
            wanted = self._head_bytes - len(self._head)
            self._head += data[at : at + wanted]
            at += wanted
            if len(self._head) == self._head_bytes:
                head, self._head = self._head, b""
                self._left_bytes = self._length_of(head)
                yield head


class Follower:
    """Follows one direction. ``is_between`` says that nothing is half sent: another frame may be put in there."""

    def __init__(self) -> None:
        self._heads = Heads(HEAD_BYTES, lambda head: frame_head(head).length_bytes)
        self._is_in_block = False

    @property
    def is_between(self) -> bool:
        """After a whole frame, and not within a block of header fields."""
        return self._heads.is_between and not self._is_in_block

    def follow(self, data: bytes) -> list[FrameHead]:
        """The frames that begin in ``data``."""
        begun = [frame_head(head) for head in self._heads.find(data)]
        for head in begun:
            if head.kind in (HEADERS, CONTINUATION, PUSH_PROMISE):
                self._is_in_block = not head.ends_block
        return begun


class TooLong(Exception):
    """A message is longer than it may be; carries its length."""

    def __init__(self, length_bytes: int) -> None:
        super().__init__(f"a message has {length_bytes} bytes")
        self.length_bytes = length_bytes


class Meter:
    """Finds the lengths of the gRPC messages in one stream's data."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._heads = Heads(MESSAGE_HEAD_BYTES, _message_bytes)

    def feed(self, data: bytes) -> None:
        """Raises TooLong at the head of a message that is."""
        for head in self._heads.find(data):
            if (length_bytes := _message_bytes(head)) > self._most_bytes:
                raise TooLong(length_bytes)


def _message_bytes(head: bytes) -> int:
    return int.from_bytes(head[1:], "big")
