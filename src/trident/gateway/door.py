"""One public port: accepts connections, within a bound, and knows what all of them need."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from trident.gateway import tls
from trident.gateway.key_check import KeyCheck
from trident.gateway.keys import Keys
from trident.gateway.request import Inspector, Refusal, Request
from trident.gateway.spec import DoorSpec, GatewaySpec

if TYPE_CHECKING:
    from trident.gateway.connection import Connection

log = logging.getLogger(__name__)

HANDSHAKE_TIMEOUT_S = 10.0
BACKLOG = 1024
COMPLAIN_EVERY_S = 1.0


class Patience(NamedTuple):
    """How long clients may take for things."""

    head_s: float = 10.0
    """For a whole head, from its first byte or the beginning of the connection."""
    idle_s: float = 300.0
    """Between two requests of a client that has shown a key."""
    body_s: float = 60.0
    """Between two pieces of a body."""
    unknown_s: float = 20.0
    """For a gRPC client to show a key: one that asks after health only has to connect again now and then."""
    unread_s: float = 120.0
    """For a client that has much to read, to read some of it."""


class Places:
    """How many connections there may be, over all doors."""

    def __init__(self, most: int) -> None:
        self._free = most

    def take(self) -> bool:
        """False when all are taken."""
        if self._free == 0:
            return False
        self._free -= 1
        return True

    def give_back(self) -> None:
        """One has closed."""
        self._free += 1


DEFAULT_PATIENCE = Patience()


class Door:
    """``inspectors`` are asked in their order after the key; the first that refuses gives the answer."""

    def __init__(
        self,
        spec: DoorSpec,
        told: GatewaySpec,
        keys: Keys,
        places: Places,
        inspectors: Sequence[Inspector] = (),
        patience: Patience = DEFAULT_PATIENCE,
    ) -> None:
        self.name = spec.name
        self.protocol = spec.protocol
        self.upstream = spec.upstream
        self.patience = patience
        self.most_body_bytes = told.max_body_bytes
        self.key_check = KeyCheck(keys, spec.protocol)
        self._spec = spec
        self._inspectors = inspectors
        self._places = places
        self._tls: ssl.SSLContext | None = None
        if told.certificate is not None and told.private_key is not None:
            self._tls = tls.context(told.certificate, told.private_key, is_http2=spec.protocol == "grpc")
        self._socket: socket.socket | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._connections: set[Connection] = set()
        self._complained = float("-inf")
        self._unsaid = 0

    def inspect(self, request: Request) -> Refusal | None:
        """What the inspectors say of a request whose key is good."""
        for inspector in self._inspectors:
            if (refusal := inspector.inspect(request)) is not None:
                return refusal
        return None

    def listen(self) -> int:
        """Takes the port, and returns it. Raises OSError."""
        found = socket.getaddrinfo(
            self._spec.host or None, self._spec.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        family, kind, protocol, _, address = found[0]
        self._socket = socket.socket(family, kind, protocol)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.setblocking(False)
        self._socket.bind(address)
        self._socket.listen(BACKLOG)
        return int(self._socket.getsockname()[1])

    async def serve(self) -> None:
        """Accepts until it is cancelled."""
        assert self._socket is not None
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, _ = await loop.sock_accept(self._socket)
            except OSError as error:  # most often there is no descriptor left, which passes
                self.complain(f"cannot accept: {error.strerror or error}")
                await asyncio.sleep(0.1)
                continue
            if not self._places.take():
                self.complain("all places are taken: a connection is closed at once (--max-connections)")
                accepted.close()
                continue
            task = loop.create_task(self._open(accepted))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Gives the port back and cuts every connection."""
        if self._socket is not None:
            self._socket.close()
        for connection in list(self._connections):
            connection.abort()
        while self._connections:  # noqa: ASYNC110 - a few turns of the loop
            await asyncio.sleep(0)

    async def _open(self, accepted: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        connection = self._connection()
        try:
            await loop.connect_accepted_socket(
                lambda: connection,
                accepted,
                ssl=self._tls,
                ssl_handshake_timeout=HANDSHAKE_TIMEOUT_S if self._tls else None,
            )
        except (OSError, asyncio.TimeoutError) as error:
            self.complain(f"no TLS connection: {getattr(error, 'reason', None) or error or type(error).__name__}")
        finally:
            if not connection.was_opened:
                with contextlib.suppress(OSError):
                    accepted.close()
                self._places.give_back()

    def _connection(self) -> Connection:
        # Here, as they know doors.
        from trident.gateway.grpc_connection import GrpcConnection
        from trident.gateway.http_connection import HttpConnection

        return GrpcConnection(self) if self.protocol == "grpc" else HttpConnection(self)

    def opened(self, connection: Connection) -> None:
        """It has begun."""
        self._connections.add(connection)

    def closed(self, connection: Connection) -> None:
        """One that was opened is over."""
        self._connections.discard(connection)
        self._places.give_back()

    def complain(self, what: str) -> None:
        """Into the log, but not more than once a second: a flood of bad requests must not fill the disk."""
        now = time.monotonic()
        if now - self._complained < COMPLAIN_EVERY_S:
            self._unsaid += 1
            return
        more = f" ({self._unsaid} more were not written down)" if self._unsaid else ""
        log.warning("%s: %s%s", self.name, what, more)
        self._complained, self._unsaid = now, 0
