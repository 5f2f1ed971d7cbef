"""One HTTP request without a client library: the supervisor must stay small, and asks for little.

``host`` may be ``unix:PATH``, as in ``config.places``.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator
from typing import Any

from trident.config.places import Place
from trident.protocol.patience import within


async def http_status(
    host: str, port: int, path: str, timeout_s: float = 2.0, tls: ssl.SSLContext | None = None
) -> int | None:
    """The status code of a GET, or None when nobody answers in time."""
    try:
        return await within(timeout_s, _status(host, port, path, tls))
    except (OSError, EOFError, ValueError, IndexError, asyncio.TimeoutError):
        return None


async def http_json(host: str, port: int, path: str, body: Any = None, timeout_s: float = 5.0) -> tuple[int, Any]:
    """Status code and JSON of a GET, or of a POST when there is a ``body``; None when the answer is empty.

    Raises OSError, EOFError or ValueError when nobody answers, breaks off or does not speak so, and
    asyncio.TimeoutError when it takes too long.
    """
    return await within(timeout_s, _json(host, port, path, body))


async def _status(host: str, port: int, path: str, tls: ssl.SSLContext | None) -> int:
    async with _asked(host, port, path, None, tls) as reader:
        return await _status_code(reader)


async def _json(host: str, port: int, path: str, body: Any) -> tuple[int, Any]:
    async with _asked(host, port, path, body) as reader:
        code, length = await _status_code(reader), 0
        while (line := (await reader.readline()).strip()) != b"":
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        text = await reader.readexactly(length)
        return code, json.loads(text) if text else None


async def _status_code(reader: asyncio.StreamReader) -> int:
    words = (await reader.readline()).split()
    if len(words) < 2:
        raise EOFError("the connection was closed without an answer")
    return int(words[1])


async def _connected(
    host: str, port: int, tls: ssl.SSLContext | None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    socket = Place(host, port).socket
    if socket is not None:
        return await asyncio.open_unix_connection(socket)
    return await asyncio.open_connection(host, port, ssl=tls)


@contextlib.asynccontextmanager
async def _asked(
    host: str, port: int, path: str, body: Any, tls: ssl.SSLContext | None = None
) -> AsyncIterator[asyncio.StreamReader]:
    reader, writer = await _connected(host, port, tls)
    content = b"" if body is None else json.dumps(body).encode()
    method = "GET" if body is None else "POST"
    name = "localhost" if Place(host, port).socket else f"{host}:{port}"
    head = f"{method} {path} HTTP/1.1\r\nHost: {name}\r\nContent-Length: {len(content)}\r\nConnection: close\r\n"
    try:
        writer.write(head.encode("ascii") + b"\r\n" + content)
        yield reader
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def accepts(host: str, port: int, timeout_s: float = 2.0) -> bool:
    """Somebody accepts TCP connections there."""
    try:
        _, writer = await within(timeout_s, asyncio.open_connection(host, port))
    except (OSError, asyncio.TimeoutError):
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True
