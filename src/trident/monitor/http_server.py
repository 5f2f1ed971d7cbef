"""A small HTTP/1.1 server: one request a connection, answers in one piece or as a stream. No framework, as the process
must stay small."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from urllib.parse import parse_qsl

from trident.gateway.http_head import Head, Unreadable
from trident.gateway.request import Request

log = logging.getLogger(__name__)

HEAD_TIMEOUT_S = 10.0
WRITE_TIMEOUT_S = 10.0
MOST_HEAD_BYTES = 16 * 1024
MOST_BODY_BYTES = 2 * 2**20
MOST_CONNECTIONS = 128

SECURE = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
}


class Exchange:
    """One request and its answer."""

    def __init__(self, head: Head, body: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        target = head.target.decode("latin-1")
        self.request: Request = head.request
        self.method = head.request.method.decode("latin-1")
        path, _, query = target.partition("?")
        self.path: str = path
        self.query = dict(parse_qsl(query))
        self.body = body
        self._reader = reader
        self._writer = writer

    async def answer(
        self, status: HTTPStatus, kind: str, body: bytes, headers: Mapping[str, str] | None = None
    ) -> None:
        """All of it."""
        await self.begin(status, kind, {"Content-Length": str(len(body)), **(headers or {})})
        if self.method != "HEAD":
            await self.send(body)

    async def begin(self, status: HTTPStatus | int, kind: str, headers: Mapping[str, str] | None = None) -> None:
        """The head; ``send`` follows, and the end of the connection is the end."""
        status = HTTPStatus(status)
        fields = {"Content-Type": kind, "Cache-Control": "no-cache", "Connection": "close", **SECURE, **(headers or {})}
        lines = [f"HTTP/1.1 {status.value} {status.phrase}", *(f"{name}: {value}" for name, value in fields.items())]
        await self.send("\r\n".join([*lines, "", ""]).encode("latin-1"))

    async def send(self, data: bytes) -> None:
        """Raises OSError or TimeoutError when the client does not take it."""
        self._writer.write(data)
        await asyncio.wait_for(self._writer.drain(), WRITE_TIMEOUT_S)

    async def until_gone(self) -> None:
        """Returns when the client has closed its side."""
        with contextlib.suppress(OSError):
            while await self._reader.read(1024):
                pass


Handler = Callable[[Exchange], Awaitable[None]]


class HttpServer:
    """``handle`` answers each request."""

    def __init__(self, handle: Handler) -> None:
        self._handle = handle
        self._open = 0

    async def listen(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> asyncio.AbstractServer:
        """Serves from now on. Raises OSError."""
        return await asyncio.start_server(self._talk, host or None, port, ssl=tls, limit=MOST_HEAD_BYTES)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        try:
            with contextlib.suppress(OSError, EOFError, asyncio.LimitOverrunError, asyncio.TimeoutError, TimeoutError):
                if self._open > MOST_CONNECTIONS:
                    writer.write(_plain(HTTPStatus.SERVICE_UNAVAILABLE, "too many connections"))
                    return
                exchange = await asyncio.wait_for(_read(reader, writer), HEAD_TIMEOUT_S)
                if exchange is not None:
                    await self._handle(exchange)
        except asyncio.CancelledError:
            return  # the monitor ends; re-raised, asyncio would log it as a failure
        except Exception:
            log.exception("a request has failed")
        finally:
            self._open -= 1
            writer.close()


async def _read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Exchange | None:
    try:
        head = Head(await reader.readuntil(b"\r\n\r\n"))
    except Unreadable as unreadable:
        writer.write(_plain(HTTPStatus(unreadable.refusal.reason.http_status), unreadable.refusal.message))
        return None
    lengths = head.request.values(b"content-length")
    if head.request.values(b"transfer-encoding") or len(lengths) > 1 or (lengths and not lengths[0].isdigit()):
        writer.write(_plain(HTTPStatus.LENGTH_REQUIRED, "say the length of the body"))
        return None
    length = int(lengths[0]) if lengths else 0
    if length > MOST_BODY_BYTES:
        writer.write(_plain(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body may have {MOST_BODY_BYTES} bytes"))
        return None
    return Exchange(head, await reader.readexactly(length), reader, writer)


def _plain(status: HTTPStatus, text: str) -> bytes:
    body = f"{text}\n".encode()
    head = f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n"
    return head.encode("latin-1") + b"Connection: close\r\n\r\n" + body
