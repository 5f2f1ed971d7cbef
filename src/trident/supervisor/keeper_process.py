"""The keeper of a tritonserver that the user has started himself; its first stub runs

    python -m trident.supervisor.keeper_process TRITON_PID SOCKET

It ends with the last lease or with tritonserver, and then removes what a killed tritonserver has left.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from trident.config import load, paths
from trident.config.models import Config
from trident.errors import AlreadyRunning, TridentError
from trident.runtime.control_env import triton_install
from trident.supervisor import log_file, signals, state
from trident.supervisor.events import first_of
from trident.supervisor.keeper import Keeper
from trident.supervisor.processes import Process, identify
from trident.supervisor.run_directory import RunDirectory
from trident.supervisor.state import ServerPhase, ServerState
from trident.supervisor.stubs import Leftovers

log = logging.getLogger(__name__)

FIRST_LEASE_S = 60.0
OLD_S = 24 * 3600.0
PREFIX = "triton-"


def main() -> int:
    """The exit code: 0 when it was not needed, or not any more."""
    triton_pid, socket = int(sys.argv[1]), Path(sys.argv[2])
    try:
        _leave_triton_libraries()
        config = load().model_copy(update={"name": f"{PREFIX}{triton_pid}", "model": None})
        triton = identify(triton_pid)
        if triton is not None:
            _forget_old()
            asyncio.run(_Life(config, triton, socket).run())
    except AlreadyRunning:
        return 0  # another stub's was quicker
    except TridentError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


class _Life:
    def __init__(self, config: Config, triton: Process, socket: Path) -> None:
        self._config = config
        self._triton = triton
        self._socket = socket
        self._directory = RunDirectory(config)
        self._self = identify(os.getpid()) or Process(os.getpid(), 0)
        self._started = time.time()
        self._leftovers = Leftovers(triton.pid, _birth(triton))
        self._change = asyncio.Event()
        self._end = asyncio.Event()
        self._force = asyncio.Event()

    async def run(self) -> None:
        self._directory.acquire()
        try:
            with log_file.writing(self._directory.logs), signals.taken(self._take_signal), self._triton_watched():
                await self._keep(Keeper(self._config, self._directory.logs, self._change.set))
        finally:
            if not self._triton.is_running():
                self._leftovers.remove()
            self._directory.release()

    async def _keep(self, keeper: Keeper) -> None:
        self._socket.parent.mkdir(mode=0o700, exist_ok=True)
        try:
            await keeper.listen(self._socket)
            _hush()
            await self._until_unwanted(keeper)
        finally:
            # Nobody can come any more: a stub that needs a keeper from now on starts another.
            shutil.rmtree(self._socket.parent, ignore_errors=True)
            await keeper.stop(self._force)
            self._save(keeper, "stopped")

    async def _until_unwanted(self, keeper: Keeper) -> None:
        """Returns with the last lease, or when it is told to end."""
        await first_of(self._change, timeout_s=FIRST_LEASE_S)
        while keeper.conversations and not self._end.is_set():
            self._leftovers.note()
            self._save(keeper, "degraded" if keeper.is_lost else "ready")
            self._change.clear()
            await self._change.wait()

    def _take_signal(self, why: str) -> None:
        log.info("%s", why)
        if self._end.is_set():
            self._force.set()
        self._end.set()
        self._change.set()

    @contextlib.contextmanager
    def _triton_watched(self) -> Iterator[None]:
        loop, pidfd = asyncio.get_running_loop(), os.pidfd_open(self._triton.pid)

        def ended() -> None:
            loop.remove_reader(pidfd)
            self._take_signal("tritonserver has ended")

        loop.add_reader(pidfd, ended)
        try:
            yield
        finally:
            loop.remove_reader(pidfd)
            os.close(pidfd)

    def _save(self, keeper: Keeper, phase: ServerPhase) -> None:
        now = ServerState(
            name=self._config.name,
            run_dir=str(self._directory.path),
            process=self._self,
            started=self._started,
            phase=phase,
            since=time.time(),
            note=f"engines of tritonserver {self._triton.pid}",
            children=keeper.states,
            urls=keeper.urls,
        )
        now.save(self._directory.path)


def _birth(process: Process) -> float:
    import psutil

    try:
        return float(psutil.Process(process.pid).create_time())
    except psutil.Error:
        return time.time()


def _leave_triton_libraries() -> None:
    """Takes tritonserver's own libraries out of the environment that engine hosts inherit: they are not vLLM's."""
    of_triton = {str(folder) for folder in triton_install(paths.data_dir()).library_dirs}
    folders = os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep)
    rest = [folder for folder in folders if folder and folder not in of_triton]
    os.environ["LD_LIBRARY_PATH"] = os.pathsep.join(rest)
    if not rest:
        del os.environ["LD_LIBRARY_PATH"]


def _forget_old() -> None:
    """Removes the run directories of keepers that have ended long ago."""
    now = time.time()
    for folder in paths.run_dir(PREFIX).parent.glob(f"{PREFIX}*"):
        known = state.load(folder)
        if known is not None and not known.is_running() and known.since < now - OLD_S:
            shutil.rmtree(folder, ignore_errors=True)


def _hush() -> None:
    """From here on everything is logged; the stub that has started this process does not read its words for ever."""
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), sys.stderr.fileno())


if __name__ == "__main__":
    sys.exit(main())
