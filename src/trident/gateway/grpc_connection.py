"""gRPC through the gateway: frames pass as they are, and the head of each call is read and judged.

A refused call is answered and not passed on. As its header fields are missing behind, the client's later ones could not
be read there, so the connection takes no new calls: the client is told so, and calls under way run to their end.
"""

from __future__ import annotations

from hpack import Decoder, HPACKError
from hyperframe.exceptions import HyperframeError
from hyperframe.frame import ContinuationFrame, Frame, HeadersFrame

from trident.gateway import grpc_answers
from trident.gateway.connection import Connection
from trident.gateway.door import Door
from trident.gateway.grpc_frames import (
    CONTINUATION,
    DATA,
    HEAD_BYTES,
    HEADERS,
    PADDED,
    PREFACE,
    PUSH_PROMISE,
    RST_STREAM,
    Follower,
    FrameHead,
    Meter,
    TooLong,
    frame_head,
)
from trident.gateway.request import Reason, Refusal, Request

MOST_HEAD_BYTES = 64 * 1024
MOST_REFUSED = 128


class GrpcConnection(Connection):
    """One client of the gRPC door."""

    def __init__(self, door: Door) -> None:
        super().__init__(door)
        self._waiting = b""
        self._has_greeted = False
        self._passing_bytes = 0  # of a frame's payload that need not be read
        self._passing = 0  # the stream of that frame
        self._meter: Meter | None = None  # of that frame, when it carries messages
        self._drops = False  # that frame is of a refused call
        self._block = b""  # frames of header fields that are not complete
        self._fields = Decoder()
        self._answers = Follower()
        self._calls: dict[int, Meter] = {}
        self._answered: set[int] = set()
        self._refused: set[int] = set()
        self._last_call = 0
        self._farewell = b""
        self._is_leaving = False

    def opened(self) -> None:
        """See Connection."""
        self.set_deadline(self.door.patience.unknown_s, self._still_unknown)

    def from_client(self, data: bytes) -> None:
        """See Connection."""
        self._waiting += data
        try:
            while self._waiting and not self.is_over and self._step():
                pass
        except (HPACKError, HyperframeError, ValueError) as error:
            self.door.complain(f"{self.peer} does not speak HTTP/2: {error}")
            self.close()

    def from_upstream(self, data: bytes) -> None:
        """See Connection."""
        for head in self._answers.follow(data):
            if head.kind == HEADERS:
                self._answered.add(head.stream)
            if head.ends_stream:
                self._forget(head.stream)
        self._say_farewell()

    def upstream_lost(self, *, was_reached: bool) -> None:  # noqa: ARG002 - the client sees it as one thing
        """See Connection."""
        self.close()

    def _step(self) -> bool:
        """Takes one thing from what waits; False when more must come first."""
        if not self._has_greeted:
            return self._greet()
        if self._passing_bytes:
            return self._pass_payload()
        if len(self._waiting) < HEAD_BYTES:
            return False
        head = frame_head(self._waiting)
        if self._block and head.kind != CONTINUATION:
            raise ValueError("header fields are interrupted")
        if head.kind in (HEADERS, CONTINUATION):
            return self._take_fields(head)
        if head.kind == PUSH_PROMISE:
            raise ValueError("a client promises a push")
        self._begin_payload(head)
        return True

    def _greet(self) -> bool:
        if len(self._waiting) < len(PREFACE) and PREFACE.startswith(self._waiting):
            return False
        if not self._waiting.startswith(PREFACE):
            raise ValueError("it begins otherwise")
        self._waiting, self._has_greeted = self._waiting[len(PREFACE) :], True
        self.to_upstream(PREFACE)
        return True

    def _begin_payload(self, head: FrameHead) -> None:
        if head.kind == DATA and head.flags & PADDED:
            raise ValueError("padded data, which gRPC never sends")
        self._passing, self._passing_bytes = head.stream, head.length_bytes
        self._drops = head.stream in self._refused  # behind, such a stream does not exist
        self._meter = self._calls.get(head.stream) if head.kind == DATA else None
        if not self._drops:
            self.to_upstream(self._waiting[:HEAD_BYTES])
        self._waiting = self._waiting[HEAD_BYTES:]
        if head.kind == RST_STREAM:
            self._forget(head.stream)

    def _pass_payload(self) -> bool:
        piece = self._waiting[: self._passing_bytes]
        self._waiting = self._waiting[len(piece) :]
        self._passing_bytes -= len(piece)
        if self._drops:
            return True
        self.to_upstream(piece)
        if self._meter is not None:
            try:
                self._meter.feed(piece)
            except TooLong as error:
                self._cut(error.length_bytes)
        return True

    def _take_fields(self, head: FrameHead) -> bool:
        end = HEAD_BYTES + head.length_bytes
        if len(self._block) + end > MOST_HEAD_BYTES:
            raise ValueError(f"header fields of more than {MOST_HEAD_BYTES} bytes")
        if len(self._waiting) < end:
            return False
        self._block += self._waiting[:end]
        self._waiting = self._waiting[end:]
        if head.ends_block:
            block, self._block = self._block, b""
            self._judge(block)
        return True

    def _judge(self, frames: bytes) -> None:
        stream, block = _block_of(frames)
        if self._is_leaving:
            self._refused.add(stream)  # its fields cannot be read any more; the client has been told to go elsewhere
            if len(self._refused) > MOST_REFUSED:
                raise ValueError("it goes on after it was told to go")
            return
        fields = [(_bytes(name), _bytes(value)) for name, value in self._fields.decode(block, raw=True)]
        if stream in self._calls:  # a call's trailers
            self.to_upstream(frames)
            return
        if stream <= self._last_call:
            raise ValueError("a call that is over goes on")
        self._last_call = stream
        request = Request(_only(fields, b":method"), _only(fields, b":path"), fields)
        check = self.door.key_check
        if check.has_key(request):
            self.set_deadline(None)
            refusal = self.door.inspect(request)
        else:
            refusal = None if check.is_open(request) else check.inspect(request)
        if refusal is not None:
            self._refuse(stream, refusal)
        else:
            self._calls[stream] = Meter(self.door.most_body_bytes)
            self.to_upstream(frames)

    def _cut(self, length_bytes: int) -> None:
        """The message that has begun is too long: the call ends for both sides."""
        # The frame that has begun must be whole before another can follow.
        self.to_upstream(bytes(self._passing_bytes) + grpc_answers.cancel(self._passing))
        self._drops = True
        limit_bytes = self.door.most_body_bytes
        message = f"the message has {length_bytes} bytes; the limit is {limit_bytes}"
        self._refuse(self._passing, Refusal(Reason.TOO_LARGE, message))

    def _refuse(self, stream: int, refusal: Refusal) -> None:
        self.door.complain(f"{refusal.reason.name} for {self.peer}: {refusal.message}")
        self._calls.pop(stream, None)
        self._refused.add(stream)
        self._is_leaving = True
        self._farewell += grpc_answers.over_grpc(stream, refusal, has_answer=stream in self._answered)
        self._farewell += grpc_answers.goodbye(self._last_call)
        self._say_farewell()

    def _say_farewell(self) -> None:
        if self._farewell and self._answers.is_between:
            self.to_client(self._farewell)
            self._farewell = b""
        if self._is_leaving and not self._calls and not self._farewell:
            self.close_lingering()

    def _forget(self, stream: int) -> None:
        self._calls.pop(stream, None)
        self._answered.discard(stream)

    def _still_unknown(self) -> None:
        self._is_leaving = True
        self._farewell += grpc_answers.goodbye(self._last_call)
        self._say_farewell()


def _block_of(frames: bytes) -> tuple[int, bytes]:
    """The stream and the packed fields of a HEADERS frame and its CONTINUATIONs."""
    view, stream, block = memoryview(frames), 0, b""
    while view:
        frame, length_bytes = Frame.parse_frame_header(view[:HEAD_BYTES])
        frame.parse_body(view[HEAD_BYTES : HEAD_BYTES + length_bytes])
        if stream and frame.stream_id != stream:
            raise ValueError("header fields of two streams are mixed")
        assert isinstance(frame, HeadersFrame | ContinuationFrame)
        stream = frame.stream_id
        block += frame.data
        view = view[HEAD_BYTES + length_bytes :]
    return stream, block


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("latin-1")


def _only(fields: list[tuple[bytes, bytes]], name: bytes) -> bytes:
    found = [value for known, value in fields if known == name]
    if len(found) != 1:
        raise ValueError(f"{name.decode()} is there {len(found)} times")
    return found[0]
