"""The client processes of a run, seen from the controller."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import Callable

from trident.bench import messages
from trident.bench.messages import Command, Done, Failed, Prepare, Ready, Report, Status
from trident.errors import ConfigurationError, EnvironmentBroken

START_TIMEOUT_S = 60.0
END_TIMEOUT_S = 10.0


class WorkerDied(Exception):
    """A client process has ended in the middle of a load level."""


class Member:
    """One client process."""

    def __init__(self, process: subprocess.Popen[bytes], connected: socket.socket) -> None:
        self._process = process
        self._connected = connected
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self.status: Status | None = None

    @property
    def pid(self) -> int:
        return self._process.pid

    async def connect(self) -> None:
        self._reader, self._writer = await asyncio.open_connection(sock=self._connected)

    async def prepare(self, prepare: Prepare) -> None:
        """Raises ConfigurationError for what the worker refuses, WorkerDied."""
        self.status = None
        await self.tell(prepare)
        try:
            report = await asyncio.wait_for(self._hear(), START_TIMEOUT_S)
        except asyncio.TimeoutError as error:
            raise WorkerDied(f"client process {self.pid} was not ready within {START_TIMEOUT_S:g} s") from error
        if isinstance(report, Failed):
            raise ConfigurationError(report.what, report.why, report.next_step)
        assert isinstance(report, Ready)

    async def tell(self, command: Command) -> None:
        """Raises WorkerDied."""
        assert self._writer is not None
        try:
            await messages.send(self._writer, command)
        except OSError as error:
            raise WorkerDied(f"client process {self.pid} has died") from error

    async def done(self, heard: Callable[[Status], None]) -> Done:
        """The report of a load level; statuses that come before it are handed to ``heard``. Raises WorkerDied."""
        while True:
            report = await self._hear()
            if isinstance(report, Status):
                self.status = report
                heard(report)
            elif isinstance(report, Done):
                return report

    async def end(self) -> None:
        """The end of the socket is the end of the process; one that does not see it is killed."""
        if self._writer is not None:
            self._writer.close()
        else:
            self._connected.close()
        try:
            await asyncio.to_thread(self._process.wait, END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    async def _hear(self) -> Report:
        assert self._reader is not None
        try:
            return await messages.receive(self._reader, messages.REPORTS)
        except (asyncio.IncompleteReadError, OSError) as error:
            raise WorkerDied(f"client process {self.pid} has died") from error


class Crew:
    """Starts them all; as a context manager it ends them all."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self.members: list[Member] = []

    async def __aenter__(self) -> Crew:
        for _ in range(self._workers):
            self.members.append(_started())
        for member in self.members:
            await member.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.gather(*(member.end() for member in self.members))


def _started() -> Member:
    ours, theirs = socket.socketpair()
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "trident.bench.worker", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
    except OSError as error:
        raise EnvironmentBroken(
            "A client process cannot be started", str(error), "look at the machine's limits"
        ) from error
    finally:
        theirs.close()
    ours.setblocking(False)
    return Member(process, ours)
