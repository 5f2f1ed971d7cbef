from __future__ import annotations

import pytest

from trident.gateway.http_body import NO_BODY, Chunked
from trident.gateway.http_head import MOST_FIELDS, Head, Unreadable


@pytest.mark.parametrize(
    "text",
    [
        "GET /\r\n\r\n",
        "GET / HTTP/2.0\r\n\r\n",
        "GET /a b HTTP/1.1\r\n\r\n",
        "CONNECT x:1 HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\nHost: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : x\r\n\r\n",
        "GET / HTTP/1.1\r\nA: b\r\n folded\r\n\r\n",
        "GET / HTTP/1.1\r\nA: b\rContent-Length: 5\r\n\r\n",
        "GET / HTTP/1.1\r\nA: b\nContent-Length: 5\r\n\r\n",
        "GET / HTTP/1.1\r\nA: b\0\r\n\r\n",
        "GET / HTTP/1.1\r\n: b\r\n\r\n",
        "GET / HTTP/1.1\r\n" + "A: b\r\n" * (MOST_FIELDS + 1) + "\r\n",
    ],
)
def test_head_that_may_be_read_in_two_ways_is_refused(text: str) -> None:
    with pytest.raises(Unreadable):
        Head(text.encode("latin-1"))


@pytest.mark.parametrize(
    "fields",
    [
        "Content-Length: 5\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: 0x5\r\n",
        "Content-Length: 5, 5\r\n",
        "Content-Length:\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: xchunked\r\n",
    ],
)
def test_body_of_unclear_length_is_refused(fields: str) -> None:
    head = Head(f"POST / HTTP/1.1\r\n{fields}\r\n".encode())
    with pytest.raises(Unreadable, match="not clear"):
        head.body(100)


def test_chunks_are_not_for_http_1_0() -> None:
    with pytest.raises(Unreadable):
        Head(b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n").body(100)


def test_good_heads_are_read() -> None:
    head = Head(b"POST /v2/x?a=1 HTTP/1.1\r\nHost: x\r\nX-Odd:\t \xe4 \t\r\nTransfer-Encoding: Chunked\r\n\r\n")
    assert head.request.path == b"/v2/x" and head.request.values(b"x-odd") == [b"\xe4"]
    assert isinstance(head.body(1), Chunked)
    assert Head(b"GET / HTTP/1.0\r\nContent-Length: 0\r\n\r\n").body(0) is NO_BODY


def test_question_written_anew_has_no_body_and_no_key() -> None:
    fields = b"Host: x\r\nContent-Length: 9\r\nUpgrade: h2c\r\nConnection: keep-alive\r\nX-Api-Key: k\r\nAccept: a\r\n"
    assert Head(b"GET /health HTTP/1.1\r\n" + fields + b"\r\n").alone() == (
        b"GET /health HTTP/1.1\r\nhost: x\r\naccept: a\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    )
