"""Whether the OpenAI server of this host answers: at a port that it shares another might."""

from __future__ import annotations

import asyncio

import psutil

from trident.protocol.patience import within
from trident.protocol.spec import HostSpec

OK = b"200"
ANSWER_TIMEOUT_S = 10
_LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}


async def until_healthy(spec: HostSpec, pid: int) -> None:
    """Asks the server, which is process ``pid``, until its health is 200; the caller sees whether it lives."""
    while (code := await _health(spec, pid)) != OK:  # noqa: ASYNC110 - another process
        # After a loss the supervisor's stand-in answers at the same port: at the next connection it may be ours.
        await asyncio.sleep(0.02 if code else 0.1)


async def _health(spec: HostSpec, pid: int) -> bytes | None:
    """The status code; None when nobody answers."""
    if spec.shares_port and not _has_port(pid, spec.openai_port):
        return None
    try:
        if spec.openai_socket is not None:
            reader, writer = await asyncio.open_unix_connection(spec.openai_socket)
        else:
            host = _LOOPBACK.get(spec.openai_host, spec.openai_host)
            reader, writer = await asyncio.open_connection(host, spec.openai_port)
    except OSError:
        return None
    try:
        writer.write(b"GET /health HTTP/1.0\r\nHost: trident\r\n\r\n")
        words = (await within(ANSWER_TIMEOUT_S, reader.readline())).split()
        return words[1] if len(words) > 1 else None
    except (OSError, asyncio.TimeoutError):
        return None
    finally:
        writer.close()


def _has_port(pid: int, port: int) -> bool:
    try:
        connections = psutil.Process(pid).net_connections("tcp")
    except psutil.Error:
        return False
    return any(found.status == psutil.CONN_LISTEN and found.laddr.port == port for found in connections)
