"""One HTTP GET without a client library: the supervisor must stay small, and asks for a status code only."""

from __future__ import annotations

import asyncio
import contextlib


async def http_status(host: str, port: int, path: str, timeout_s: float = 2.0) -> int | None:
    """The status code, or None when nobody answers in time."""
    try:
        return await asyncio.wait_for(_get(host, port, path), timeout_s)
    except (OSError, EOFError, ValueError, IndexError, asyncio.TimeoutError):
        return None


async def _get(host: str, port: int, path: str) -> int:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode("ascii"))
        return int((await reader.readline()).split()[1])
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
