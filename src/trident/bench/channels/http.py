"""HTTP/1.1 over kept connections, made for one thing: stamping each read of many streams at the least cost.

A stream's usual read is one whole chunk: taking it costs a look-up and two appends. Everything else goes
through ``Framing``. Nothing is decoded here.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
from typing import Any, cast
from urllib.parse import urlsplit

from trident.bench.channels.framing import BadResponse, Framing, State
from trident.bench.exchange import Exchange, Failure

CONNECT_TIMEOUT_S = 10.0
_now_ns = time.perf_counter_ns
_SIZE_LINES = {len(line := b"%x\r\n" % size) + size + 2: line for size in range(1, 4096)}
"""By the length of a read: what it begins with when it is one whole chunk."""


class HttpChannel:
    """One server. Connections are taken from a stack: the one used last is the likeliest to be alive."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._ssl = ssl.create_default_context() if parts.scheme == "https" else None
        self._addresses: list[Any] = []
        self._idle: list[_Connection] = []
        self._all: set[_Connection] = set()

    async def open(self, connections: int) -> None:
        """See ``Channel``."""
        opened = await asyncio.gather(*(self._connect() for _ in range(connections)), return_exceptions=True)
        self._idle += [one for one in opened if isinstance(one, _Connection)]

    async def exchange(self, wire: bytes, exchange: Exchange, timeout_s: float) -> None:
        """See ``Channel``. The time to connect, where it has to, is the request's."""
        exchange.sent_ns = time.perf_counter_ns()
        connection = self._take_idle()
        try:
            if connection is None:
                connection = await self._connect()
            await connection.exchange(wire, exchange, timeout_s)
        except OSError as error:
            exchange.failure = Failure("connect", str(error))
            exchange.end_ns = time.perf_counter_ns()
        except asyncio.TimeoutError:
            exchange.failure = Failure("connect", f"no connection within {CONNECT_TIMEOUT_S:g} s")
            exchange.end_ns = time.perf_counter_ns()

    async def close(self) -> None:
        """See ``Channel``."""
        for connection in list(self._all):
            connection.abort()
        await asyncio.sleep(0)

    def _take_idle(self) -> _Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open:
                return connection
        return None

    async def _connect(self) -> _Connection:
        return await asyncio.wait_for(self._connected(), CONNECT_TIMEOUT_S)

    async def _connected(self) -> _Connection:
        loop = asyncio.get_running_loop()
        if self._ssl is not None:
            _, connection = await loop.create_connection(
                lambda: _Connection(self, None), self._host, self._port, ssl=self._ssl
            )
            return connection
        connected = await self._connected_socket()
        _, connection = await loop.create_connection(lambda: _Connection(self, connected), sock=connected)
        return connection

    async def _connected_socket(self) -> socket.socket:
        """At the first of the host's addresses that answers: ``localhost`` may be ::1 with nobody there."""
        loop = asyncio.get_running_loop()
        if not self._addresses:
            self._addresses = await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        problem = OSError(f"{self._host} has no address")
        for place in self._addresses:
            family, kind, protocol, _, address = place
            connected = socket.socket(family, kind, protocol)
            try:
                connected.setblocking(False)
                connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                await loop.sock_connect(connected, address)
            except OSError as error:
                connected.close()
                problem = error
            except BaseException:
                connected.close()
                raise
            else:
                self._addresses = [place]
                return connected
        raise problem

    def released(self, connection: _Connection) -> None:
        """Its response has ended and another request may follow."""
        self._idle.append(connection)

    def opened(self, connection: _Connection) -> None:
        self._all.add(connection)

    def lost(self, connection: _Connection) -> None:
        self._all.discard(connection)


class _Connection(asyncio.Protocol):
    """One connection, at most one request on it at a time."""

    def __init__(self, channel: HttpChannel, connected: socket.socket | None) -> None:
        self._channel = channel
        self._socket = connected
        self._transport: asyncio.Transport | None = None
        self._framing = Framing()
        self._done: asyncio.Future[None] | None = None
        self._exchange = Exchange(0)
        self._stamp, self._keep = self._exchange.stamps_ns.append, self._exchange.pieces.append
        self._is_between_chunks = False
        self.is_open = False

    async def exchange(self, wire: bytes, exchange: Exchange, timeout_s: float) -> None:
        """Returns when the response has ended."""
        assert self._transport is not None
        loop = asyncio.get_running_loop()
        self._exchange = exchange
        self._stamp, self._keep = exchange.stamps_ns.append, exchange.pieces.append
        self._framing = Framing()
        self._done = loop.create_future()
        timer = loop.call_later(timeout_s, self._end, Failure("timeout", f"no end within {timeout_s:g} s"))
        done = self._done
        try:
            try:
                self._send(wire)
            except OSError as error:
                self._end(Failure("disconnected", f"{error}, while the request was sent"))
            await done
        finally:
            timer.cancel()
            if exchange.end_ns == 0 or exchange.failure is not None:
                self.abort()

    def _send(self, wire: bytes) -> None:
        """uvloop writes when it has run everything that is ready, which after a wave of answers is milliseconds later
        than the stamp says: the socket is written to directly."""
        assert self._transport is not None
        sent = 0
        if self._socket is not None:
            with contextlib.suppress(BlockingIOError):
                sent = self._socket.send(wire)
        if sent < len(wire):
            self._transport.write(wire[sent:])

    def abort(self) -> None:
        """Closes at once; a server that streams will notice."""
        self.is_open = False
        self._done = None
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one without inheriting from it
        self.is_open = True
        self._channel.opened(self)

    def data_received(self, data: bytes) -> None:
        now_ns = _now_ns()
        if self._is_between_chunks:
            size_line = _SIZE_LINES.get(len(data))
            if size_line is not None and data.startswith(size_line):
                self._stamp(now_ns)
                self._keep(data[len(size_line) : -2])
                return
        self._take(data, now_ns)

    def connection_lost(self, error: Exception | None) -> None:
        self.is_open = False
        self._channel.lost(self)
        if self._done is None:
            return
        if self._framing.close():
            self._end(None)
        else:
            events = len(self._exchange.pieces)
            said = str(error) if error else "the server closed the connection"
            self._end(Failure("disconnected", f"{said} after {events} reads of the answer"))

    def _take(self, data: bytes, now_ns: int) -> None:
        if self._done is None:
            self.abort()  # bytes that answer nothing: the connection is not to be trusted any more
            return
        try:
            pieces = self._framing.feed(data)
        except BadResponse as bad:
            self._end(Failure("protocol", str(bad)))
            return
        self._exchange.stamps_ns.extend([now_ns] * len(pieces))
        self._exchange.pieces.extend(pieces)
        self._is_between_chunks = self._framing.is_between_chunks
        if self._framing.state is State.DONE:
            self._end(None, now_ns)

    def _end(self, failure: Failure | None, now_ns: int | None = None) -> None:
        done, self._done = self._done, None
        if done is None or done.done():
            return
        self._is_between_chunks = False
        self._exchange.end_ns = now_ns or time.perf_counter_ns()
        self._exchange.failure = failure
        self._exchange.status = self._framing.status
        done.set_result(None)
        if failure is None and self._framing.is_kept_alive and self.is_open:
            self._channel.released(self)
        elif self._transport is not None:
            self.is_open = False
            self._transport.abort()
