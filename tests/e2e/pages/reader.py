"""Somebody who follows a page: types its blocks, one after the other, in a folder that looks like a clone."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from documents import ROOT, WHILE_SERVED, Block
from own_network import OwnNetwork

_LOG = logging.getLogger(__name__)
BLOCK_TIMEOUT_S = 60.0
SERVER_TIMEOUT_S = 240.0
SLOW_TIMEOUT_S = 900.0
POLL_S = 0.1
# What a clone has not: results and settings of whoever works in this one.
NOT_IN_A_CLONE = {".git", "trident.toml", "bench-results", "tune-results", "models", "keys"}


class Reader:
    """Types in shells that have ``trident`` on their PATH, and a state directory of their own."""

    def __init__(self, state_dir: Path, network: OwnNetwork) -> None:
        self._state_dir = state_dir
        self._network = network
        self._staying: subprocess.Popen[bytes] | None = None
        # Whether the server that runs is the plain one.
        self._is_plain = False

    @property
    def environ(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not _is_of_others(name)}
        path = os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", os.defpath)])  # noqa: PTH120
        return {**kept, "PATH": path, "TRIDENT_STATE_DIR": os.fspath(self._state_dir)}

    def open(self, folder: Path) -> None:
        """Makes ``folder`` look like a clone."""
        folder.mkdir()
        for entry in ROOT.iterdir():
            if entry.name not in NOT_IN_A_CLONE:
                (folder / entry.name).symlink_to(entry)

    def follow(self, block: Block, folder: Path) -> None:
        """Raises AssertionError with what was said when a command fails."""
        if block.kind == "file":
            (folder / block.detail).write_text(block.text, encoding="utf-8")
            return
        if (block.detail == WHILE_SERVED or block.awaited_url) and not (self._is_plain and self._is_ready()):
            self.stop()
            self._type("trident serve --detach", folder, SERVER_TIMEOUT_S, "the server")
            self._is_plain = True
        if not block.starts_server:
            limit_s = SLOW_TIMEOUT_S if block.is_slow else BLOCK_TIMEOUT_S
            self._type(block.commands, folder, limit_s, str(block), until=block.awaited_url)
            return
        self.stop()
        self._type(block.commands, folder, SERVER_TIMEOUT_S, str(block), stays="--detach" not in block.commands)

    def close(self) -> None:
        """At the end of a page: a server of its own is stopped, the plain one may serve the next."""
        if not self._is_plain:
            self.stop()

    def stop(self) -> None:
        """Whatever runs."""
        self._is_plain = False
        if self._staying is not None:
            _interrupt(self._staying)
            self._staying = None
        command = [*self._network.within, sys.executable, "-m", "trident", "stop"]
        subprocess.run(command, env=self.environ, capture_output=True, timeout=BLOCK_TIMEOUT_S, cwd=self._state_dir)

    def _type(
        self, commands: str, folder: Path, limit_s: float, what: str, *, until: str | None = None, stays: bool = False
    ) -> None:
        said = folder.parent / "said.txt"
        with said.open("wb") as output:
            shell = subprocess.Popen(
                [*self._network.within, "bash", "-euo", "pipefail", "-c", commands],
                cwd=folder,
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        began = time.monotonic()
        try:
            while shell.poll() is None and not (stays and self._is_ready()) and not (until and self._answers(until)):
                assert time.monotonic() - began < limit_s, f"{what} takes longer than {limit_s:.0f} s:\n{_text(said)}"
                time.sleep(POLL_S)
        except BaseException:  # also of a test that is broken off: nothing stays behind
            os.killpg(shell.pid, signal.SIGKILL)
            raise
        if shell.returncode is None and stays:
            self._staying = shell
            _LOG.info("%s is ready after %.1f s", what, time.monotonic() - began)
            return
        code = shell.returncode if shell.returncode is not None else _interrupt(shell)
        _LOG.info("%s took %.1f s", what, time.monotonic() - began)
        assert code == 0, f"{what} ends with {code}:\n{commands}\n{_text(said)}"

    def _answers(self, url: str) -> bool:
        command = [*self._network.within, "curl", "--silent", "--fail", "--output", os.devnull, url]
        return subprocess.run(command, timeout=BLOCK_TIMEOUT_S).returncode == 0

    def _is_ready(self) -> bool:
        try:
            state = json.loads((self._state_dir / "run" / "default" / "state.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return False
        return bool(state.get("phase") == "ready")


def _interrupt(shell: subprocess.Popen[bytes]) -> int:
    """Ctrl-C, which every process of the terminal gets; 0 for an end by it."""
    os.killpg(shell.pid, signal.SIGINT)
    try:
        code = shell.wait(BLOCK_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        os.killpg(shell.pid, signal.SIGKILL)
        return shell.wait()
    return 0 if code in (128 + signal.SIGINT, -signal.SIGINT) else code


def _is_of_others(name: str) -> bool:
    """Settings of the developer's, but for where the engine lies; and proxies, as nobody else is there."""
    return (name.startswith("TRIDENT_") and name != "TRIDENT_DATA_DIR") or name.lower().endswith("_proxy")


def _text(said: Path) -> str:
    return said.read_text(encoding="utf-8", errors="replace")[-6000:]
