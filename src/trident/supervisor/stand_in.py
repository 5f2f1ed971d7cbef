"""Answers at the OpenAI port while the engine is away, so that nobody is refused or has to wait.

It shares the port with vLLM's server (SO_REUSEPORT): both listen for the moment in which one comes and the other goes.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import math
import socket
import time

from trident.supervisor.child import Child

log = logging.getLogger(__name__)

LONGEST_HEAD_BYTES = 64 * 1024
PATIENCE_S = 2.0
MOST_CONNECTIONS = 256
"""The engine that starts meanwhile needs descriptors too, and there may be 1024 of them."""
ACCEPT_PAUSE_S = 0.1
RESTART_DELAY_S = 1.0
FIRST_GUESS_S = 10.0


class StandIn:
    """Of one OpenAI server, which listens at ``host`` and ``port``. A client has ``patience_s`` to ask, and as long
    again to take its answer."""

    def __init__(self, host: str, port: int, patience_s: float = PATIENCE_S) -> None:
        self._host = host
        self._port = port
        self._patience_s = patience_s
        self._socket: socket.socket | None = None
        self._answering: set[asyncio.Task[None]] = set()
        self._start_takes_s = FIRST_GUESS_S
        self._opened_s = 0.0

    @property
    def is_open(self) -> bool:
        """It listens."""
        return self._socket is not None

    def tend(self, host: Child) -> None:
        """Opens while the engine host is away that has served, closes when it serves again; call it at each change. One
        that is on its way out answers by itself."""
        self._start_takes_s = host.start_s or self._start_takes_s
        if host.is_ready or host.may_recover or host.refuses:
            self.close()
        else:
            self.open()

    def open(self) -> None:
        """Does nothing when it is open; when the port cannot be had it stays closed."""
        if self._socket is not None:
            return
        try:
            self._socket = _listening(self._host, self._port)
        except OSError as error:
            log.warning("nobody answers at the OpenAI port while the engine is away: %s", error)
            return
        self._opened_s = time.monotonic()
        asyncio.get_running_loop().add_reader(self._socket, self._accept)
        log.info("the OpenAI port answers 503 until the engine is back")

    def close(self) -> None:
        """Answers under way are given."""
        if self._socket is None:
            return
        asyncio.get_running_loop().remove_reader(self._socket)
        self._accept()  # what waits would be reset
        self._socket.close()
        self._socket = None

    def _accept(self) -> None:
        assert self._socket is not None
        while True:
            try:
                connection, _ = self._socket.accept()
            except BlockingIOError:  # nobody waits any more
                return
            except OSError as error:  # most often there is no descriptor left; he who waits would be seen at once again
                log.warning("nobody is answered at the OpenAI port for a moment: %s", error)
                asyncio.get_running_loop().remove_reader(self._socket)
                asyncio.get_running_loop().call_later(ACCEPT_PAUSE_S, self._accept_again, self._socket)
                return
            if len(self._answering) >= MOST_CONNECTIONS:
                connection.close()
                continue
            task = asyncio.get_running_loop().create_task(self._answer(connection))
            self._answering.add(task)
            task.add_done_callback(self._answering.discard)

    def _accept_again(self, listener: socket.socket) -> None:
        if self._socket is listener:
            asyncio.get_running_loop().add_reader(listener, self._accept)

    async def _answer(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        try:
            reader, writer = await asyncio.open_connection(sock=connection, limit=LONGEST_HEAD_BYTES)
        except OSError:
            return connection.close()  # it has gone already
        try:
            # Whatever it has asked for, and whether or not it has: the answer is the same.
            with contextlib.suppress(asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.TimeoutError):
                await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), self._patience_s)
            writer.write(self._response())
            writer.write_eof()
            # Closing before all of the request is read would throw the answer away.
            await asyncio.wait_for(_swallow(reader), self._patience_s)
        except (OSError, asyncio.TimeoutError):
            pass
        finally:
            writer.transport.abort()

    def _response(self) -> bytes:
        left_s = self._start_takes_s + RESTART_DELAY_S - (time.monotonic() - self._opened_s)
        error = {
            "message": "The engine was lost and is being restarted. Send the request again.",
            "type": "Service Unavailable",
            "param": None,
            "code": 503,
        }
        body = json.dumps({"error": error}).encode()
        head = (
            "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nRetry-After: {max(1, math.ceil(left_s))}\r\nConnection: close\r\n\r\n"
        )
        return head.encode() + body


def _listening(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(
        host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.setblocking(False)
        listener.bind(address)
        listener.listen(1024)
    except OSError:
        listener.close()
        raise
    return listener


async def _swallow(reader: asyncio.StreamReader) -> None:
    while await reader.read(LONGEST_HEAD_BYTES):
        pass
