"""How bytes get there and back: HTTP/1.1, gRPC with one answer, gRPC with many."""

from __future__ import annotations

from typing import Protocol

from trident.bench.exchange import Exchange


class Channel(Protocol):
    """A way to one server, for one event loop."""

    async def open(self, connections: int) -> None:
        """Connects ahead, so that no measured request has to. Failing to is no error here: requests will say it."""

    async def exchange(self, wire: bytes, exchange: Exchange, timeout_s: float) -> None:
        """Sends and returns when the answer has ended in whatever way; ``exchange.failure`` says a bad one. Cancelling
        it gives the request up, at the server too."""

    async def close(self) -> None: ...
