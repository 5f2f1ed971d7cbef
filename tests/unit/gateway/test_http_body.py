from __future__ import annotations

import pytest

from trident.gateway.http_body import NO_BODY, Body, Chunked, Length, Malformed, TooLarge, UntilClose, of_answer

CHUNKS = b"5\r\nhello\r\nA\r\n0123456789\r\n0\r\n\r\n"


@pytest.mark.parametrize("step", [1, 2, 7, 100])
@pytest.mark.parametrize(("body", "text"), [(lambda: Chunked(100), CHUNKS), (lambda: Length(11), b"hello world")])
def test_end_is_found_wherever_the_pieces_are_cut(body: type[Length], text: bytes, step: int) -> None:
    made, sent, at = body(), text + b"NEXT", 0  # type: ignore[call-arg]
    while not made.is_complete:
        piece = sent[at : at + step]
        at += made.feed(piece)
    assert sent[at:] == b"NEXT"


@pytest.mark.parametrize(
    "text",
    [
        b"5\nhello\r\n",
        b"5;x=1\r\n",
        b" 5\r\n",
        b"0x5\r\n",
        b"5\r\nhello!\r\n",
        b"g\r\n",
        b"\r\n",
        b"0\r\nA: b\r\n",
        b"1" * 2000,
    ],
)
def test_odd_chunks_of_a_client_are_refused(text: bytes) -> None:
    with pytest.raises(Malformed):
        Chunked(100).feed(text)


def test_chunks_together_are_bounded() -> None:
    with pytest.raises(TooLarge):
        Chunked(14).feed(CHUNKS)


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length:  3\r\n\r\n", Length),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", Chunked),
        (b"HTTP/1.1 200 OK\r\n\r\n", UntilClose),
    ],
)
def test_answers_are_read_as_servers_write_them(head: bytes, kind: type[Body]) -> None:
    assert type(of_answer(head, b"GET")) is kind
    assert of_answer(head, b"HEAD") is NO_BODY
    assert of_answer(head.replace(b"200 OK", b"204 No Content"), b"GET") is NO_BODY
    assert of_answer(head.replace(b"200 OK", b"100 Continue"), b"GET") is None


def test_servers_may_have_extensions_and_trailers() -> None:
    body = Chunked()
    text = b"5;x=1\r\nhello\r\n0\r\nA: b\r\n\r\n"
    assert body.feed(text) == len(text) and body.is_complete
