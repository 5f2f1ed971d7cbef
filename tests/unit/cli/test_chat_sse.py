from __future__ import annotations

import pytest

from trident.cli.sse import events


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (b"data: a\n\ndata: b\n\n", ["a", "b"]),
        (b"data: a\r\n\r\ndata:b\r\n\r\n", ["a", "b"]),
        (b"data: a\r\rdata: b\r\r", ["a", "b"]),
        (b"data: one\ndata: two\n\n", ["one\ntwo"]),
        (b": ping\n\nevent: x\nid: 3\ndata: a\n\n", ["a"]),
        (b"data: the end has no empty line", ["the end has no empty line"]),
        (b"\n\n\n", []),
        ("data: 你\u2028好\x0c\x85\n\n".encode(), ["你\u2028好\x0c\x85"]),
    ],
    ids=["lf", "crlf", "cr", "joined", "other-fields", "cut", "empty", "unicode-lines"],
)
@pytest.mark.parametrize("chunk_bytes", [1, 2, 3, 1000])
def test_events_however_they_are_cut(stream: bytes, expected: list[str], chunk_bytes: int) -> None:
    chunks = [stream[at : at + chunk_bytes] for at in range(0, len(stream), chunk_bytes)]
    assert list(events(chunks)) == expected
