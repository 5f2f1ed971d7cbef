"""Server-sent events in a body that was read in pieces. WHATWG HTML, section 9.2, as far as servers of models use
it."""

from __future__ import annotations

from trident.bench.exchange import Exchange

_NEWLINE = ord("\n")


def events(exchange: Exchange) -> list[tuple[int, bytes]]:
    """The data of each event, with the stamp of the read in which it became whole. What follows the last blank line was
    never an event."""
    found: list[tuple[int, bytes]] = []
    rest = b""
    for at_ns, piece in zip(exchange.stamps_ns, exchange.pieces, strict=True):
        # The usual read is one event of one line, and all of them are read between two load levels: no more than
        # needed.
        if piece.find(b"\n") == len(piece) - 2 and piece[-1] == _NEWLINE and piece[:6] == b"data: " and not rest:
            found.append((at_ns, piece[6:-2]))
            continue
        rest = (rest + piece).replace(b"\r\n", b"\n")
        *whole, rest = rest.split(b"\n\n")
        found += [(at_ns, data) for data in map(_data, whole) if data is not None]
    return found


def _data(event: bytes) -> bytes | None:
    """None for comments and events without data."""
    lines = [line[5:].removeprefix(b" ") for line in event.split(b"\n") if line.startswith(b"data:")]
    return b"\n".join(lines) if lines else None
