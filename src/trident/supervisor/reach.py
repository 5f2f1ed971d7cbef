"""One HTTP request without a client library: the supervisor must stay small, and asks for little."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any


async def http_status(host: str, port: int, path: str, timeout_s: float = 2.0) -> int | None:
    """The status code of a GET, or None when nobody answers in time."""
    try:
        return await asyncio.wait_for(_status(host, port, path), timeout_s)
    except (OSError, EOFError, ValueError, IndexError, asyncio.TimeoutError):
        return None


async def http_json(host: str, port: int, path: str, body: Any = None, timeout_s: float = 5.0) -> tuple[int, Any]:
    """Status code and JSON of a GET, or of a POST when there is a ``body``; None when the answer is empty.

    Raises OSError, EOFError or ValueError when nobody answers, breaks off or does not speak so, and
    asyncio.TimeoutError when it takes too long.
    """
    return await asyncio.wait_for(_json(host, port, path, body), timeout_s)


async def _status(host: str, port: int, path: str) -> int:
    async with _asked(host, port, path, None) as reader:
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


@contextlib.asynccontextmanager
async def _asked(host: str, port: int, path: str, body: Any) -> AsyncIterator[asyncio.StreamReader]:
    reader, writer = await asyncio.open_connection(host, port)
    content = b"" if body is None else json.dumps(body).encode()
    method = "GET" if body is None else "POST"
    head = f"{method} {path} HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Length: {len(content)}\r\nConnection: close\r\n"
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
        _, writer = await asyncio.wait_for(asyncio.open_connection(host, port), timeout_s)
    except (OSError, asyncio.TimeoutError):
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True
