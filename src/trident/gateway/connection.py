"""A client's connection and its own one to the server behind: bytes, back-pressure and deadlines of both."""

from __future__ import annotations

import abc
import asyncio
from collections.abc import Callable
from typing import cast

from trident.gateway.door import Door

LINGER_S = 2.0
"""A client that still sends what nobody reads must get its answer before the reset that closing would send."""


class Connection(asyncio.Protocol, abc.ABC):
    """Subclasses read what comes from either side; nothing of it is kept here."""

    def __init__(self, door: Door) -> None:
        self.door = door
        self.was_opened = False
        self.is_over = False
        self._client: asyncio.Transport | None = None
        self._upstream: asyncio.Transport | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._unsent: list[bytes] = []
        self._timer: asyncio.TimerHandle | None = None
        self._stall: asyncio.TimerHandle | None = None

    @abc.abstractmethod
    def opened(self) -> None:
        """The client is there."""

    @abc.abstractmethod
    def from_client(self, data: bytes) -> None:
        """Bytes came."""

    @abc.abstractmethod
    def from_upstream(self, data: bytes) -> None:
        """Bytes came; they are already on their way to the client."""

    @abc.abstractmethod
    def upstream_lost(self, *, was_reached: bool) -> None:
        """The server behind has closed the connection, or could not be reached."""

    def to_client(self, data: bytes) -> None:
        """Sends."""
        if self._client is not None and not self._client.is_closing():
            self._client.write(data)

    def to_upstream(self, data: bytes) -> None:
        """Sends, over a connection that is made for it if need be; the client is not read meanwhile."""
        if self._upstream is not None:
            self._upstream.write(data)
            return
        self._unsent.append(data)
        if self._connecting is None:
            self.pause_client()
            self._connecting = asyncio.get_running_loop().create_task(self._connect())

    def close(self) -> None:
        """After what has been written is sent, if the client takes that; the server behind hears of it at once."""
        self.is_over = True
        self.set_deadline(self.door.patience.unread_s, self.abort)
        if self._upstream is not None:
            self._upstream.abort()
        if self._client is not None:
            self._client.close()

    def abort(self) -> None:
        """At once."""
        self.is_over = True
        if self._client is not None:
            self._client.abort()

    def close_lingering(self) -> None:
        """As ``close``, but goes on reading, into nothing, for a moment."""
        self.is_over = True
        if self._upstream is not None:
            self._upstream.abort()
        if self._client is not None and self._client.can_write_eof() and not self._client.is_closing():
            self._client.write_eof()
        self.resume_client()
        self.set_deadline(LINGER_S, self.close)

    def set_deadline(self, delay_s: float | None, then: Callable[[], None] | None = None) -> None:
        """One deadline at a time; None takes it away."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if delay_s is not None and then is not None:
            self._timer = asyncio.get_running_loop().call_later(delay_s, then)

    def pause_client(self) -> None:
        """Reads no more from the client for now."""
        if self._client is not None and not self._client.is_closing():
            self._client.pause_reading()

    def resume_client(self) -> None:
        """Reads from the client again."""
        if self._client is not None and not self._client.is_closing():
            self._client.resume_reading()

    @property
    def peer(self) -> str:
        """The client's address, for the log."""
        name = self._client.get_extra_info("peername") if self._client is not None else None
        return str(name[0]) if isinstance(name, tuple) and name else "?"

    # What the loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        self.was_opened = True
        self._client = cast(asyncio.Transport, transport)
        self.door.opened(self)
        self.opened()

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        if not self.is_over:
            self.from_client(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - why it went does not matter
        """See asyncio.Protocol."""
        self.is_over = True
        self._client = None
        self.set_deadline(None)
        self._cancel_stall()
        if self._connecting is not None:
            self._connecting.cancel()
        if self._upstream is not None:
            self._upstream.abort()
        self.door.closed(self)

    def pause_writing(self) -> None:
        """See asyncio.Protocol: the client is slow."""
        if self._upstream is not None and not self._upstream.is_closing():
            self._upstream.pause_reading()
        self._stall = asyncio.get_running_loop().call_later(self.door.patience.unread_s, self._cut_off)

    def resume_writing(self) -> None:
        """See asyncio.Protocol."""
        self._cancel_stall()
        if self._upstream is not None and not self._upstream.is_closing():
            self._upstream.resume_reading()

    async def _connect(self) -> None:
        try:
            await asyncio.get_running_loop().create_unix_connection(lambda: _Upstream(self), self.door.upstream)
        except OSError:
            if not self.is_over:
                self.upstream_lost(was_reached=False)

    def upstream_opened(self, transport: asyncio.Transport) -> None:
        """The connection behind is there."""
        if self._client is None or self.is_over:
            transport.abort()
            return
        self._upstream = transport
        self.resume_client()  # before it is written, which may find that the server is slow
        for data in self._unsent:
            transport.write(data)
        self._unsent.clear()

    def _cut_off(self) -> None:
        self.door.complain(f"{self.peer} has not read for {self.door.patience.unread_s:g} s")
        self.abort()

    def _cancel_stall(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None


class _Upstream(asyncio.Protocol):
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._connection.upstream_opened(cast(asyncio.Transport, transport))

    def data_received(self, data: bytes) -> None:
        connection = self._connection
        if not connection.is_over:
            connection.to_client(data)
            connection.from_upstream(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - why it went does not matter
        if not self._connection.is_over:
            self._connection.upstream_lost(was_reached=True)

    def pause_writing(self) -> None:
        self._connection.pause_client()

    def resume_writing(self) -> None:
        self._connection.resume_client()
