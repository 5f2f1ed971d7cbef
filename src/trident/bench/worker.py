"""A client process: ``python -m trident.bench.worker FD``. It prepares, waits for the start, loads, counts, reports;
then the next level.

Its loop does nothing but send and stamp while the clock runs. Ctrl-C is the controller's; the end of the socket is the
end.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
import socket
import sys

import uvloop

from trident.bench import messages
from trident.bench.messages import Failed, Go, Prepare, Ready, Stop
from trident.bench.worker_level import WorkerLevel
from trident.errors import TridentError

STATUS_INTERVAL_S = 0.5


async def _serve(connected: socket.socket) -> None:
    reader, writer = await asyncio.open_connection(sock=connected)
    while True:
        command = await messages.receive(reader, messages.COMMANDS)
        if isinstance(command, Prepare):
            await _one_level(command, reader, writer)


async def _one_level(prepare: Prepare, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        level = WorkerLevel(prepare)
        await level.prepare()
    except TridentError as error:
        await messages.send(writer, Failed(error.what, error.why, error.next_step))
        return
    await messages.send(writer, Ready())
    go = await messages.receive(reader, messages.COMMANDS)
    if not isinstance(go, Go):
        return
    side = [asyncio.ensure_future(_obey(level, reader)), asyncio.ensure_future(_tell(level, writer))]
    try:
        done = await level.run(go)
    finally:
        for task in side:
            task.cancel()
        await asyncio.gather(*side, return_exceptions=True)
    await messages.send(writer, done)


async def _obey(level: WorkerLevel, reader: asyncio.StreamReader) -> None:
    while True:
        try:
            command = await messages.receive(reader, messages.COMMANDS)
        except asyncio.IncompleteReadError:
            os._exit(0)  # the controller has gone, and with it whoever wanted to know
        if isinstance(command, Stop):
            level.stop(command.drain_s)


async def _tell(level: WorkerLevel, writer: asyncio.StreamWriter) -> None:
    while True:
        await asyncio.sleep(STATUS_INTERVAL_S)
        await messages.send(writer, level.status())


def main() -> None:
    """Until the controller closes the socket."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    connected = socket.socket(fileno=int(sys.argv[1]))
    connected.setblocking(False)
    loop = uvloop.new_event_loop()
    with contextlib.suppress(asyncio.IncompleteReadError, OSError):
        loop.run_until_complete(_serve(connected))


if __name__ == "__main__":
    main()
