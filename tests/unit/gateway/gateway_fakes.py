"""A door on a port of its own, and servers of a few lines behind it."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

from trident.gateway.door import Door, Patience, Places
from trident.gateway.keys import Keys
from trident.gateway.request import Inspector
from trident.gateway.spec import DoorSpec, GatewaySpec

KEY = "the-right-key"
AUTHORIZED = f"Authorization: Bearer {KEY}\r\n"

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def run(scenario: Coroutine[Any, Any, None], limit_s: float = 20.0) -> None:
    """Every wait has a deadline, this one too."""
    asyncio.run(asyncio.wait_for(scenario, limit_s))


@contextlib.asynccontextmanager
async def door(
    upstream: Path,
    protocol: str = "kserve",
    *,
    keys: Sequence[str] = (KEY,),
    certificate: tuple[str, str] | None = None,
    most_body_bytes: int = 2000,
    connections: int = 10,
    inspectors: Sequence[Inspector] = (),
    patience: Patience | None = None,
) -> AsyncIterator[int]:
    """Its port."""
    spec = DoorSpec(name="door", protocol=protocol, host="127.0.0.1", port=0, flag="--port", upstream=str(upstream))  # type: ignore[arg-type]
    told = GatewaySpec(
        doors=[spec],
        key_file=None,
        keys=list(keys),
        certificate=certificate[0] if certificate else None,
        private_key=certificate[1] if certificate else None,
        max_body_bytes=most_body_bytes,
        max_connections=connections,
    )
    made = Door(spec, told, Keys(keys, None), Places(connections), inspectors, patience or Patience())
    port = made.listen()
    serving = asyncio.ensure_future(made.serve())
    try:
        yield port
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        await made.close()
        await asyncio.sleep(0.01)  # the other ends of connections hear of it


class Recorder:
    """An HTTP server that keeps each request and answers with a number, in two chunks."""

    def __init__(self) -> None:
        self.requests: list[tuple[bytes, bytes]] = []
        self.lost = asyncio.Event()
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """For asyncio.start_unix_server."""
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                body = await self._body(head, reader)
                self.requests.append((head, body))
                writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7\r\nanswer \r\n")
                waiting = asyncio.ensure_future(self.go_on.wait())
                gone = asyncio.ensure_future(reader.read(1)) if not self.go_on.is_set() else waiting
                await asyncio.wait({waiting, gone}, return_when=asyncio.FIRST_COMPLETED)
                if not waiting.done():
                    waiting.cancel()
                    raise ConnectionError("the client has gone")
                number = b"%d" % len(self.requests)
                writer.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(number), number))
                if b"connection: close" in head.lower():
                    return
        except (OSError, EOFError):
            self.lost.set()
        finally:
            writer.close()

    @staticmethod
    async def _body(head: bytes, reader: asyncio.StreamReader) -> bytes:
        fields = head.lower()
        if b"content-length: " in fields:
            length = int(fields.partition(b"content-length: ")[2].partition(b"\r\n")[0])
            return await reader.readexactly(length)
        if b"transfer-encoding: chunked" in fields:
            return await reader.readuntil(b"0\r\n\r\n")
        return b""


@contextlib.asynccontextmanager
async def behind(path: Path, talk: Talk) -> AsyncIterator[Path]:
    """A server on a unix socket."""
    server = await asyncio.start_unix_server(talk, path)
    try:
        yield path
    finally:
        server.close()


async def ask(port: int, *parts: str | bytes, tls: ssl.SSLContext | None = None) -> bytes:
    """Sends the parts and returns all that comes until the end of the connection, or of the second chunk's answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
    try:
        for part in parts:
            writer.write(part.encode("latin-1") if isinstance(part, str) else part)
            await writer.drain()
        return await reader.read()
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def post(path: str = "/v2/x", fields: str = "", body: str = "") -> str:
    """A request that ends its connection."""
    return f"POST {path} HTTP/1.1\r\nHost: x\r\n{fields}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}"
