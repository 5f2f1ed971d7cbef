"""What is said over a channel: one file for each API."""

from __future__ import annotations

from typing import Protocol

from trident.bench.exchange import Answer, Ask, Exchange


class Api(Protocol):
    """Encodes requests before the clock runs, reads answers after it has stopped."""

    def encode(self, ask: Ask) -> bytes:
        """Everything that goes on the wire for this request."""

    def read(self, exchange: Exchange) -> Answer:
        """What a request that ended in any way has brought."""
