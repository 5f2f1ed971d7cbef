"""What a command asks of a running server: one JSON line on a unix socket in its private folder, lines back."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from trident.errors import ServerFailed, TridentError
from trident.supervisor.state import ErrorState

log = logging.getLogger(__name__)

FILE_NAME = "control.sock"
LONGEST_LINE_BYTES = 1 << 20
LINE_TIMEOUT_S = 10.0


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """A reload to this configuration and model, as ``launch.told`` has them. ``is_dry_run``: it is only said."""

    told: dict[str, Any]
    stops_first: bool = False
    is_dry_run: bool = False


class Says(msgspec.Struct, tag="says", frozen=True):
    """A line for the user."""

    text: str


class Done(msgspec.Struct, tag="done", frozen=True):
    """The last answer when it went well."""


class Refused(msgspec.Struct, tag="refused", frozen=True):
    """The last answer when it did not."""

    error: ErrorState


Answer = Says | Done | Refused
Say = Callable[[str], None]


class Control:
    """The server's side. ``obey`` carries out what is wanted, says its steps and raises TridentError."""

    def __init__(self, obey: Callable[[Wanted, Say], Awaitable[None]]) -> None:
        self._obey = obey
        self._server: asyncio.AbstractServer | None = None
        self._talks: set[asyncio.Task[None]] = set()

    async def listen(self, path: Path) -> None:
        """The socket's folder must be this user's alone."""
        self._server = await asyncio.start_unix_server(self._talk, path, limit=LONGEST_LINE_BYTES)

    async def close(self) -> None:
        """Hangs up; what is being carried out is broken off."""
        if self._server is not None:
            self._server.close()
        for task in self._talks:
            task.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._talks.add(task)

        def answer(one: Answer) -> None:
            if not writer.is_closing():
                writer.write(msgspec.json.encode(one) + b"\n")

        try:
            line = await asyncio.wait_for(reader.readline(), LINE_TIMEOUT_S)
            wanted = msgspec.json.decode(line, type=Wanted)
            answer(await self._outcome(wanted, lambda text: answer(Says(text))))
        except (msgspec.DecodeError, ConnectionError, ValueError, asyncio.TimeoutError) as error:
            log.warning("a command was not understood: %s", error or type(error).__name__)
        except asyncio.CancelledError:
            log.info("a command is broken off, as the server stops")  # not re-raised: asyncio would log it as a failure
        finally:
            self._talks.discard(task)
            writer.close()

    async def _outcome(self, wanted: Wanted, say: Say) -> Answer:
        try:
            await self._obey(wanted, say)
        except TridentError as error:
            return Refused(ErrorState.of(error))
        except Exception as error:
            log.exception("a command has failed")
            why = f"{type(error).__name__}: {error}"
            return Refused(ErrorState.of(ServerFailed("The command has failed", why, "see: trident logs supervisor")))
        return Done()


def ask(path: Path, wanted: Wanted) -> Iterator[Answer]:
    """The command's side: answers as they come; they end without ``Done`` or ``Refused`` when the server ends. Raises
    OSError when nobody listens."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        connection.sendall(msgspec.json.encode(wanted) + b"\n")
        with connection.makefile("rb") as answers:
            for line in answers:
                yield msgspec.json.decode(line, type=Answer)
