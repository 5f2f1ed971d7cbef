"""Refusals as frames of HTTP/2."""

from __future__ import annotations

from urllib.parse import quote

from hpack import Encoder
from hyperframe.frame import GoAwayFrame, HeadersFrame, RstStreamFrame

from trident.gateway.request import Refusal

CANCEL = 8
_AS_THEY_ARE = "".join(map(chr, range(0x20, 0x7F))).replace("%", "")


def over_grpc(stream: int, refusal: Refusal, *, has_answer: bool) -> bytes:
    """Ends the stream with gRPC's status; ``has_answer`` says that the answer's first header fields have been sent."""
    begin = [] if has_answer else [(b":status", b"200"), (b"content-type", b"application/grpc")]
    end = [(b"grpc-status", b"%d" % refusal.reason.grpc_status), (b"grpc-message", _percent_encoded(refusal.message))]
    if refusal.retry_after_s is not None:
        end.append((b"retry-after", b"%d" % refusal.retry_after_s))
    # "Sensitive" fields stay out of the table that the server behind shares with the client.
    block = Encoder().encode([(name, value, True) for name, value in [*begin, *end]])
    frame = HeadersFrame(stream, data=block, flags=["END_HEADERS", "END_STREAM"])
    return frame.serialize()


def goodbye(last_stream: int) -> bytes:
    """The client should open another connection; streams up to this one are answered."""
    return GoAwayFrame(0, last_stream_id=last_stream).serialize()


def cancel(stream: int) -> bytes:
    """For the server behind: nobody wants that answer."""
    return RstStreamFrame(stream, error_code=CANCEL).serialize()


def _percent_encoded(message: str) -> bytes:
    return quote(message, safe=_AS_THEY_ARE).encode()
