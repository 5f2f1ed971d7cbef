"""A server's own folder: lock, logs, sockets, configuration. At most one server of a name uses it.

RUN_DIR/lock  config.json  state.json  launch.json  repository/  prometheus/  lib/trident → the package
        logs/engine.log triton.log supervisor.log (.1: the run before)      sockets/ (or in the temporary folder)
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from pathlib import Path
from typing import TextIO

import trident
from trident.config.models import Config
from trident.errors import AlreadyRunning, EnvironmentBroken
from trident.protocol.sockets import FAREWELL
from trident.supervisor import shared_memory, state

CONFIG = "config.json"


class RunDirectory:
    """``shm_prefix`` begins the name of every shared memory file of this server; None when it has none."""

    def __init__(self, config: Config, shm_prefix: str | None = None) -> None:
        self.path = config.run_dir
        self.sockets = config.sockets_dir
        self.logs = self.path / "logs"
        # Where the engine's processes share their counters (PROMETHEUS_MULTIPROC_DIR); they start from zero.
        self._metrics = self.path / "prometheus"
        self._config = config
        self._shm_prefix = shm_prefix
        self._lock: TextIO | None = None

    def acquire(self) -> None:
        """Takes the lock, removes what a killed run has left and makes everything anew.

        Raises AlreadyRunning, or EnvironmentBroken when the folder cannot be made."""
        try:
            self._make(self.path)
            self._lock = _locked(self.path / "lock", self._config.name)
            _kill_leftovers(self.path, self.sockets)
            self._remove_traces()
            self._make(self.sockets)
            self._make(self.logs)
            shutil.rmtree(self._metrics, ignore_errors=True)
            self._make(self._metrics)
            self._rotate_logs()
            self._link_package()
            self.write_config(self._config)
        except OSError as error:
            self.release()
            raise unusable(self.path, error) from error

    def sweep(self) -> None:
        """Removes what a killed server has left, and does nothing else. Raises AlreadyRunning."""
        self._lock = _locked(self.path / "lock", self._config.name)
        _kill_leftovers(self.path, self.sockets)
        self.release()

    def release(self) -> None:
        """Removes sockets and shared memory and gives the lock back; logs, configuration and state stay."""
        if self._lock is not None:
            self._remove_traces()
            self._lock.close()
            self._lock = None

    @staticmethod
    def _make(folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder.is_symlink() or folder.stat().st_uid != os.getuid():
            raise PermissionError(f"{folder} belongs to somebody else")
        folder.chmod(0o700)

    def _remove_traces(self) -> None:
        if not self.sockets.is_symlink():
            shutil.rmtree(self.sockets, ignore_errors=True)
        if self._shm_prefix:
            shared_memory.remove(self._shm_prefix)

    def _rotate_logs(self) -> None:
        for file in self.logs.glob("*.log"):
            file.replace(file.with_suffix(".log.1"))

    def _link_package(self) -> None:
        # The engine's Python gets this one folder as PYTHONPATH: our package, and nothing else of this environment.
        library = self.path / "lib"
        self._make(library)
        link = library / "trident"
        link.unlink(missing_ok=True)
        link.symlink_to(Path(trident.__file__).parent, target_is_directory=True)

    def say_farewell(self) -> None:
        """Stubs that keep requests for the next engine learn that there will be none, and end them."""
        with contextlib.suppress(OSError):
            (self.sockets / FAREWELL).touch()

    def write_config(self, config: Config) -> None:
        """For everybody who wants to know what the server was told."""
        path = self.path / CONFIG
        path.touch(mode=0o600)
        path.write_text(config.model_dump_json(indent=2) + "\n", encoding="utf-8")


def config_of(run_dir: Path) -> Config:
    """What ``write_config`` wrote last. Raises OSError, ValueError."""
    return Config.model_validate_json((run_dir / CONFIG).read_bytes())


def check_free(config: Config) -> None:
    """Raises AlreadyRunning when a server of this name runs, EnvironmentBroken when that cannot be known (a folder that
    another user, often root, has made); changes nothing."""
    lock = config.run_dir / "lock"
    try:
        if lock.exists():
            _locked(lock, config.name).close()
    except OSError as error:
        raise unusable(config.run_dir, error) from error


def unusable(run_dir: Path, error: OSError) -> EnvironmentBroken:
    """The error for a run directory that the operating system refuses."""
    return EnvironmentBroken(
        f"Cannot use the run directory {run_dir}",
        str(error),
        "make it writable, or name another place in TRIDENT_STATE_DIR",
    )


def _locked(path: Path, name: str) -> TextIO:
    file = path.open("a", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        known = state.load(path.parent)
        who = f"process {known.process.pid} is its supervisor" if known else f"{path} is locked"
        raise AlreadyRunning(
            f"A server named {name} is running already", who, f"trident stop --name {name}, or choose another --name"
        ) from None
    return file


def _kill_leftovers(run_dir: Path, sockets: Path) -> None:
    """Children die with their supervisor, yet a child's own children may have outlived a SIGKILL."""
    known, folders = state.load(run_dir), (run_dir, sockets)
    for child in known.children if known else []:
        for process in (child.process, *child.parts.values()):
            if process is not None:
                process.kill()
    # Killed while it started, a server has not yet written which stubs it has, and they wait for an engine for long.
    import psutil

    for stub in psutil.process_iter(["cmdline"]):
        if any(word.startswith(f"{folder}/repository/") for word in stub.info["cmdline"] or () for folder in folders):
            with contextlib.suppress(psutil.Error):
                stub.kill()
