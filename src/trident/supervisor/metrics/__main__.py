"""``python -m trident.supervisor.metrics HOST PORT TRITON_HOST TRITON_PORT RUN_DIR``: serves the page at ``/metrics``.

A host may be ``unix:PATH``, and the port then says nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from http import HTTPStatus
from pathlib import Path

from trident.config.places import Place
from trident.protocol import status
from trident.supervisor.child import CANNOT_START
from trident.supervisor.metrics.page import Sources

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
CLIENT_TIMEOUT_S = 5.0


def main() -> int:
    """Serves until it is killed."""
    logging.basicConfig(stream=sys.stderr, format="%(levelname)s %(asctime)s %(name)s: %(message)s")
    host, port, triton_host, triton_port, run_dir = sys.argv[1:]
    sources = Sources(Place(triton_host, int(triton_port)), Path(run_dir))
    try:
        asyncio.run(_serve(Place(host, int(port)), sources))
    except OSError as error:
        reason = error.strerror or str(error)
        status.report(status.Failed(f"Cannot serve metrics on port {port}", reason, "choose another: --metrics-port N"))
        return CANNOT_START
    return 0


async def _serve(place: Place, sources: Sources) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, EOFError, ValueError, asyncio.LimitOverrunError, asyncio.TimeoutError):
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), CLIENT_TIMEOUT_S)
            writer.write(await _answer(head, sources))
            await asyncio.wait_for(writer.drain(), CLIENT_TIMEOUT_S)
        writer.close()

    if place.socket is not None:
        Path(place.socket).unlink(missing_ok=True)  # noqa: ASYNC240 - a killed life may have left it
        server = await asyncio.start_unix_server(talk, place.socket)
    else:
        server = await asyncio.start_server(talk, place.host or None, place.port)
    status.report(status.Ready())
    async with server:
        await server.serve_forever()


async def _answer(head: bytes, sources: Sources) -> bytes:
    method, path, *_ = head.decode("latin-1").split()
    code, body = HTTPStatus.OK, b""
    if path.partition("?")[0] != "/metrics":
        code, body = HTTPStatus.NOT_FOUND, b"metrics are at /metrics\n"
    elif method not in ("GET", "HEAD"):
        code, body = HTTPStatus.METHOD_NOT_ALLOWED, b"ask with GET\n"
    else:
        body = await sources.page()
    lines = [
        f"HTTP/1.1 {code.value} {code.phrase}",
        f"Content-Type: {CONTENT_TYPE}",
        f"Content-Length: {len(body)}",
        "Connection: close",
    ]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + (b"" if method == "HEAD" else body)


if __name__ == "__main__":
    sys.exit(main())
