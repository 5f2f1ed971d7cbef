"""One child process: started, known to be alive, known to be ready, stopped within a bound."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable

from trident.errors import EngineStartFailed
from trident.protocol import orders, status
from trident.supervisor import cause, die_with_parent
from trident.supervisor.command import Command
from trident.supervisor.events import first_of
from trident.supervisor.health import Health
from trident.supervisor.processes import Process, identify

log = logging.getLogger(__name__)

CANNOT_START = 3
"""Exit code of a child for which trying again is useless."""

KILL_WAIT_S = 10.0
STOP_WITH_HUNG_REQUESTS_S = 5.0
"""Requests of a part that died hang in the child for ever, so it would wait for them as long as it may."""
PROBE_INTERVAL_S = 0.1


class Child:
    """One life of one child; a restart is another ``Child``. ``on_change`` is called when its phase changes."""

    def __init__(self, command: Command, on_change: Callable[[], None]) -> None:
        self.command = command
        self.phase = "waiting"
        self.since = time.time()
        self.process: Process | None = None
        self.exit_code: int | None = None
        self.ready: status.Ready | None = None
        self.served_s = 0.0
        self.start_s = 0.0
        self._started_s = self._ready_s = 0.0
        self._told = status.Phase("starting")
        self._health: Health | None = None
        self._may_recover = False
        self._lingering: tuple[str, ...] = ()
        self._order: signal.Signals | None = None
        self.failed: status.Failed | None = None
        self.drained = asyncio.Event()
        self._on_change = on_change
        self._popen: subprocess.Popen[bytes] | None = None
        self._named: dict[str, Process] = {}
        self._settled = asyncio.Event()
        self._ended = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._status_fd: int | None = None
        self._status_rest = b""
        self._log_start = 0
        self._last_words: str | None = None

    @property
    def pid(self) -> int | None:
        """None before the start."""
        return self._popen.pid if self._popen else None

    @property
    def is_alive(self) -> bool:
        """Started and not ended; says nothing about being ready."""
        return self._popen is not None and not self._ended.is_set()

    @property
    def is_ready(self) -> bool:
        """Alive and serving."""
        return self.ready is not None and self._is_well

    @property
    def serves_stubs(self) -> bool:
        """Ready, or so far in its start that stubs are served."""
        return (self.ready is not None or self._told.serves_stubs) and self._is_well

    @property
    def expects_stubs(self) -> bool:
        """Stubs may start: what they need is on its way."""
        return self._told.expects_stubs and self._is_well

    @property
    def may_recover(self) -> bool:
        """Alive, has served, does not at the moment, and may again without a restart."""
        return self.is_alive and self._may_recover

    @property
    def refuses(self) -> bool:
        """Alive, and told to take nothing new."""
        return self.is_alive and self._order is orders.REFUSE

    @property
    def parts(self) -> dict[str, Process]:
        """The child's own children by name."""
        return {**self._named, **(self._health.parts if self._health else {})}

    @property
    def mended(self) -> int:
        """How many of its parts have died and been replaced."""
        return self._health.mended if self._health else 0

    def start(self) -> None:
        """Starts the process in a session of its own. Call it in the main thread, or the child dies with the thread.

        Raises EngineStartFailed when the system has no room for another process; the child has ended then."""
        loop = asyncio.get_running_loop()
        env, read_fd, write_fd = dict(self.command.env), None, None
        if self.command.is_answering is None:
            read_fd, write_fd = os.pipe()
            os.set_blocking(read_fd, False)
            env[status.FD_VARIABLE] = str(write_fd)
        wrapper = [sys.executable, "-I", "-S", die_with_parent.__file__, str(os.getpid())]
        if self.command.cpus:
            wrapper.append(die_with_parent.CPUS + ",".join(map(str, self.command.cpus)))
        try:
            with self.command.log_path.open("ab") as log_file:
                self._log_start = log_file.tell()
                self._popen = subprocess.Popen(
                    [*wrapper, *self.command.argv],
                    env=env,
                    stdin=subprocess.DEVNULL,
                    stdout=log_file,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    pass_fds=() if write_fd is None else (write_fd,),
                )
        except OSError as error:
            for event in (self._ended, self._settled, self.drained):
                event.set()
            self._enter(f"could not be started: {error}")
            raise EngineStartFailed(
                f"{self._title} could not be started", str(error), "see what the machine has run out of"
            ) from error
        finally:
            if write_fd is not None:
                os.close(write_fd)
            if read_fd is not None and self._popen is None:
                os.close(read_fd)
        self.process = identify(self._popen.pid)
        self._started_s = time.monotonic()
        if read_fd is not None:
            self._status_fd = read_fd
            loop.add_reader(read_fd, self._read_status)
        else:
            self._tasks.append(loop.create_task(self._probe_until_answering()))
        self._health = Health(self.command.name, self._popen.pid, self._health_changed, self._kill)
        threading.Thread(target=self._wait_in_thread, args=(loop,), daemon=True).start()
        log.info("%s started, pid %d: %s", self.command.name, self._popen.pid, list(self.command.argv))
        self._enter("starting")

    async def wait_until_ready(self, timeout_s: float) -> None:
        """Raises EngineStartFailed with the cause when the child fails, ends or is not ready in time."""
        await first_of(self._settled, timeout_s=timeout_s)
        if not self._settled.is_set():
            raise EngineStartFailed(
                f"{self._title} is not ready after {timeout_s:g} s",
                f"the last thing it did: {self.phase}",
                "look into its log, or give it more time: --start-timeout-s N",
                log_path=self.command.log_path,
            )
        if self.failed or not self.is_alive:
            raise self.error()

    async def wait(self, timeout_s: float | None = None) -> None:
        """Returns when the process has ended, or the time is over."""
        await first_of(self._ended, timeout_s=timeout_s)

    def order(self, order: signal.Signals) -> None:
        """One of ``protocol.orders`` for a child that takes them; ``drained`` is set when it has been carried out, or
        when the child has ended."""
        if self._popen is not None and self.is_alive and self.command.takes_orders:
            self._send(order)
            if order is not orders.EXPEL:
                self._order = order
            self._enter_truth()

    async def stop(self, timeout_s: float, force: asyncio.Event) -> None:
        """SIGTERM, then SIGKILL to the whole group when time is over or ``force`` is set. Bounded in every case."""
        if self._popen is None or not self.is_alive:
            return
        self._enter("stopping")
        for task in self._tasks:
            task.cancel()
        if self._health:
            self._health.close()  # a child that stops ends its own parts first
        if self._health and self._health.lost:
            timeout_s = min(timeout_s, STOP_WITH_HUNG_REQUESTS_S)
        self._send(signal.SIGTERM)
        await first_of(self._ended, force, timeout_s=timeout_s)
        if self.is_alive:
            self._last_words = "killed" if force.is_set() else f"killed: it had not stopped after {timeout_s:g} s"
            self._kill_group()
            await first_of(self._ended, timeout_s=KILL_WAIT_S)
        if self.is_alive:
            log.error("%s (pid %d) does not even end by SIGKILL", self.command.name, self._popen.pid)
            self._enter("does not end by SIGKILL")

    def error(self) -> EngineStartFailed:
        """Why the child did not start: its own words, else its log, else how it ended."""
        if self.failed:
            return EngineStartFailed(
                self.failed.what, self.failed.why, self.failed.next_step, log_path=self.command.log_path
            )
        ended = cause.from_exit(self.exit_code) if self.exit_code is not None else "it is still alive"
        why = cause.from_log(self.command.log_path, self._log_start)
        return EngineStartFailed(
            f"{self._title} could not start",
            f"{why} ({ended})" if why else ended,
            f"see its log: trident logs {self.command.log_path.stem}",
            log_path=self.command.log_path,
        )

    @property
    def _title(self) -> str:
        return f"The {self.command.name}"

    def _enter(self, phase: str) -> None:
        if phase != self.phase:
            self.phase, self.since = phase, time.time()
        self._on_change()

    async def _probe_until_answering(self) -> None:
        assert self.command.is_answering is not None
        while True:
            if await self.command.is_answering():
                return self._become_ready(status.Ready())
            await asyncio.sleep(PROBE_INTERVAL_S)

    def _become_ready(self, ready: status.Ready) -> None:
        self.ready, self._may_recover, self._lingering = ready, False, ready.lingering
        if not self._ready_s:
            self._ready_s = time.monotonic()
            self.start_s = self._ready_s - self._started_s
            if self.command.on_ready and self.pid is not None:
                self.command.on_ready(self.pid)
        self._named = {name: found for name, pid in ready.pids.items() if (found := identify(pid))}
        if self._health and self.command.find_parts:
            self._health.watch(self.command.find_parts, self.command.mender)
        if self._health and self.command.is_live:
            self._health.ask(self.command.is_live)
        self._settled.set()
        self._enter_truth()

    @property
    def _is_well(self) -> bool:
        return self.is_alive and self._trouble is None and not self.refuses

    @property
    def _trouble(self) -> str | None:
        return self._health.trouble if self._health else None

    def _health_changed(self) -> None:
        if self.is_alive:
            self._enter_truth()

    def _enter_truth(self) -> None:
        if self.phase == "stopping":
            self._on_change()
        elif self._trouble is not None:
            self._enter(f"degraded: {self._trouble}")
        elif self.ready is not None and self._order is not None:
            self._enter("draining")
        else:
            self._enter("ready" if self.ready is not None else self._told.text)

    def _kill(self, why: str) -> None:
        self._last_words = f"killed: {why}"
        if self._health:
            self._health.close()  # its parts die too, and that is nobody's crash
        self._kill_group()

    def _read_status(self) -> None:
        assert self._status_fd is not None
        try:
            data = os.read(self._status_fd, 65536)
        except BlockingIOError:
            return
        if not data:
            self._close_status()
            return
        *lines, self._status_rest = (self._status_rest + data).split(b"\n")
        for line in lines:
            self._take(status.parse(line))

    def _take(self, news: status.Status | None) -> None:
        if isinstance(news, status.Beat):
            if self._health:
                self._health.take(news)
        elif isinstance(news, status.Phase):
            self._told = news
            self._enter_truth()
        elif isinstance(news, status.Ready):
            self._become_ready(news)
        elif isinstance(news, status.Drained):
            self.drained.set()
        elif isinstance(news, status.Unready):
            self.ready, self._told = None, status.Phase(f"degraded: {news.why}")
            self._may_recover = not news.is_lost
            self._enter_truth()
        elif isinstance(news, status.Failed):
            self.failed = news
            self._settled.set()
            self._enter(f"failed: {news.what}")

    def _close_status(self) -> None:
        if self._status_fd is not None:
            asyncio.get_running_loop().remove_reader(self._status_fd)
            os.close(self._status_fd)
            self._status_fd = None

    def _wait_in_thread(self, loop: asyncio.AbstractEventLoop) -> None:
        assert self._popen is not None
        # WNOWAIT leaves the zombie: while it is there its pid, which is its group's id, belongs to nobody else.
        os.waitid(os.P_PID, self._popen.pid, os.WEXITED | os.WNOWAIT)
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left who wants to know
            loop.call_soon_threadsafe(self._end)

    def _end(self) -> None:
        assert self._popen is not None
        if self._status_fd is not None:
            self._read_status()  # its last words may still be in the pipe
            self._close_status()
        self._kill_group()
        self._kill_parts()
        self.exit_code = self._popen.wait()
        self.served_s = time.monotonic() - self._ready_s if self._ready_s else 0.0
        if self.command.on_end:
            self.command.on_end()
        for task in self._tasks:
            task.cancel()
        if self._health:
            self._health.close()
        was_stopping = self.phase == "stopping"
        self._ended.set()
        self._settled.set()
        self.drained.set()
        ended = cause.from_exit(self.exit_code)
        log.info("%s ended, pid %d: %s", self.command.name, self._popen.pid, self._last_words or ended)
        if self.failed is None:
            self._enter(self._last_words or ("stopped" if was_stopping else f"died: {ended}"))

    def _send(self, number: signal.Signals) -> None:
        assert self._popen is not None
        # Popen's own way to send would reap a child that has just ended, and the thread that waits for it would never
        # hear of it. The zombie keeps the pid ours.
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._popen.pid, number)

    def _kill_parts(self) -> None:
        for name, part in self.parts.items():
            if name in self._lingering and self.phase != "stopping":
                asyncio.get_running_loop().call_later(status.LINGER_S, part.kill)
            else:
                part.kill()

    def _kill_group(self) -> None:
        assert self._popen is not None
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._popen.pid, signal.SIGKILL)
