from __future__ import annotations

import pytest

from trident.bench.apis import sse
from trident.bench.exchange import Exchange

BODY = b": ping\n\ndata: one\n\nevent: x\r\ndata:two\r\n\r\nid: 7\n\ndata: a\ndata: b\n\ndata: unfinished"
EVENTS = [b"one", b"two", b"a\nb"]


def read(parts: list[bytes]) -> list[tuple[int, bytes]]:
    exchange = Exchange(0)
    exchange.pieces = parts
    exchange.stamps_ns = list(range(len(parts)))
    return list(sse.events(exchange))


@pytest.mark.parametrize("split", range(len(BODY)))
def test_events_split_at_every_byte(split: int) -> None:
    assert [data for _, data in read([BODY[:split], BODY[split:]])] == EVENTS


def test_event_has_the_stamp_of_the_read_that_ended_it() -> None:
    assert read([b"data: a\n\n", b"data: b", b"\n\ndata: c\n\n"]) == [(0, b"a"), (2, b"b"), (2, b"c")]
