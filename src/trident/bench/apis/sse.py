"""Server-sent events in a body that was read in pieces. WHATWG HTML, section 9.2, as far as servers of models use
it."""

from __future__ import annotations

from collections.abc import Iterator

from trident.bench.exchange import Exchange


def events(exchange: Exchange) -> Iterator[tuple[int, bytes]]:
    """The data of each event, with the stamp of the read in which it became whole. What follows the last blank line
    was never an event."""
    rest = b""
    for at_ns, piece in zip(exchange.stamps_ns, exchange.pieces, strict=True):
        if not rest and piece.startswith(b"data: ") and piece.endswith(b"\n\n") and piece.count(b"\n") == 2:
            yield at_ns, piece[6:-2]
            continue
        rest = (rest + piece).replace(b"\r\n", b"\n")
        *whole, rest = rest.split(b"\n\n")
        for event in whole:
            data = _data(event)
            if data is not None:
                yield at_ns, data


def _data(event: bytes) -> bytes | None:
    """None for comments and events without data."""
    lines = [line[5:].removeprefix(b" ") for line in event.split(b"\n") if line.startswith(b"data:")]
    return b"\n".join(lines) if lines else None
