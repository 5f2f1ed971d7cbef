from __future__ import annotations

import pytest

from trident.bench.channels.framing import BadResponse, Framing, State

CHUNKED = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"d\r\ndata: one \r\n\n\r\n8;x=y\r\ndata: 2\n\r\n0\r\nTrailer: t\r\n\r\n"
)
SIZED = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 5\r\n\r\nsorry"
CONTINUED = b"HTTP/1.1 100 Continue\r\n\r\n" + SIZED


def fed(parts: list[bytes]) -> tuple[Framing, bytes]:
    framing = Framing()
    body = b"".join(piece for part in parts for piece in framing.feed(part))
    return framing, body


@pytest.mark.parametrize("split", range(len(CHUNKED)))
def test_chunked_body_split_at_every_byte(split: int) -> None:
    framing, body = fed([CHUNKED[:split], CHUNKED[split:]])
    assert (framing.state, framing.status, body) == (State.DONE, 200, b"data: one \r\n\ndata: 2\n")


@pytest.mark.parametrize("split", range(len(CONTINUED)))
def test_sized_body_split_at_every_byte(split: int) -> None:
    framing, body = fed([CONTINUED[:split], CONTINUED[split:]])
    assert (framing.state, framing.status, body, framing.is_kept_alive) == (State.DONE, 503, b"sorry", True)


def test_bytes_one_by_one() -> None:
    framing, body = fed([bytes([byte]) for byte in CHUNKED])
    assert framing.state is State.DONE
    assert body == b"data: one \r\n\ndata: 2\n"


def test_body_without_length_ends_with_the_connection() -> None:
    framing, body = fed([b"HTTP/1.1 200 OK\r\n\r\nab", b"c"])
    assert (framing.state, body, framing.is_kept_alive) == (State.UNTIL_CLOSE, b"abc", False)
    assert framing.close()


def test_closing_within_a_sized_body_is_no_end() -> None:
    framing, _ = fed([SIZED[:-1]])
    assert not framing.close()


def test_empty_body() -> None:
    framing, body = fed([b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"])
    assert (framing.state, body, framing.is_kept_alive) == (State.DONE, b"", False)


@pytest.mark.parametrize(
    "content",
    [
        b"SSH-2.0-x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc",
        SIZED + b"more",
        b"x" * 70_000,
    ],
    ids=["protocol", "length", "chunk size", "chunk end", "more", "endless"],
)
def test_what_is_no_response_is_refused(content: bytes) -> None:
    with pytest.raises(BadResponse):
        fed([content])
