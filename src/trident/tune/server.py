"""The server of one trial: ``trident serve`` as a child, ended when this process ends, however that happens."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trident.config.load import NOT_SETTINGS, PREFIX
from trident.errors import EngineStartFailed
from trident.protocol.nursery import VARIABLE, Place
from trident.supervisor import die_with_parent, state
from trident.tune import toml

POLL_S = 0.1
STOP_S, KILL_S = 20.0, 60.0
DOORS = ("http_port", "grpc_port", "metrics_port", "openai_port")
NAME = "tune"


def free_ports() -> dict[str, int]:
    """Ports that nobody listens on now, by the setting of each door."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in DOORS]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return {door: one.getsockname()[1] for door, one in zip(DOORS, sockets, strict=True)}


class TrialServer:
    """One server at a time. Its run directory is ``folder``/state, its configuration and output ``folder``/trial.*.
    vLLM is imported at the first start only: a process that lives as long as this one forks the engines."""

    def __init__(self, folder: Path, model: str, *, start_timeout_s: float) -> None:
        self._folder, self._model, self._start_timeout_s = folder, model, start_timeout_s
        self._process: subprocess.Popen[bytes] | None = None
        # Paths of sockets are short, that of the folder may not be. The nursery removes it with itself.
        self._nursery = Place(os.getpid(), Path(tempfile.mkdtemp(prefix="trident-tune-")) / "nursery.sock")
        self._urls: dict[str, str] = {}

    @property
    def urls(self) -> Mapping[str, str]:
        """Of the doors of the one that was started last."""
        return self._urls

    @property
    def is_running(self) -> bool:
        """It was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def start(self, tables: Mapping[str, Any]) -> float:
        """Seconds until every door had answered. Raises EngineStartFailed with the server's own words."""
        self.stop()
        began_s = time.monotonic()
        self._folder.mkdir(parents=True, exist_ok=True)
        file = self._folder / "trial.toml"
        file.write_text(toml.text(tables), encoding="utf-8")
        command = [sys.executable, "-m", "trident", "serve", self._model, "--name", NAME, "--config", os.fspath(file)]
        wrapped = [sys.executable, "-I", "-S", die_with_parent.__file__, str(os.getpid()), *command]
        with (self._folder / "trial.log").open("wb") as log:
            self._process = subprocess.Popen(
                wrapped, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=self._environ(),
                start_new_session=True,
            )  # fmt: skip
        self._wait_until_ready(began_s + self._start_timeout_s)
        return time.monotonic() - began_s

    def stop(self) -> None:
        """Bounded: told to hurry, as it serves nobody any more, then killed, with all that it has started dying with
        it."""
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        # The supervisor forces its end at a second signal; the same one would be merged with the first.
        for numbers, limit_s in (((signal.SIGTERM, signal.SIGINT), STOP_S), ((signal.SIGKILL,), KILL_S)):
            for number in numbers:
                process.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(limit_s)
                return

    def close(self) -> None:
        """Stops for good."""
        self.stop()
        shutil.rmtree(self._nursery.socket.parent, ignore_errors=True)

    def _wait_until_ready(self, deadline_s: float) -> None:
        assert self._process is not None
        run_dir = self._folder / "state" / "run" / NAME
        while time.monotonic() < deadline_s:
            has_ended = self._process.poll() is not None
            now = state.load(run_dir)
            is_its_own = now is not None and now.process.pid == self._process.pid
            if now is not None and is_its_own and now.phase == "ready":
                self._urls = dict(now.urls)
                return
            if has_ended:
                raise self._failed(now if is_its_own else None)
            time.sleep(POLL_S)
        self.stop()
        raise EngineStartFailed(
            "The server was not ready in time", f"it had {self._start_timeout_s:.0f} s", "give --start-timeout-s more"
        )

    def _failed(self, now: state.ServerState | None) -> EngineStartFailed:
        self._process = None
        if now is not None and now.error is not None:
            return EngineStartFailed(now.error.what, now.error.why, now.error.next_step)
        words = (self._folder / "trial.log").read_text(encoding="utf-8", errors="replace").strip().splitlines()
        last = [line.strip() for line in words[-3:]] or ["it said nothing"]
        return EngineStartFailed(last[0], " ".join(last[1:]) or last[0], f"see {self._folder / 'trial.log'}")

    def _environ(self) -> dict[str, str]:
        """Without the user's settings, which are in the trial's file, and beside the user's own servers."""
        kept = {name: value for name, value in os.environ.items()
                if not name.startswith(PREFIX) or (name in NOT_SETTINGS and name != "TRIDENT_CONFIG")}  # fmt: skip
        return {**kept, "TRIDENT_STATE_DIR": os.fspath(self._folder / "state"), VARIABLE: self._nursery.text,
                "PYTHONUNBUFFERED": "1"}  # fmt: skip
