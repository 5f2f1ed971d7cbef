"""systemctl, for the user's own manager or the machine's."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from trident.errors import EnvironmentBroken, NotRunning
from trident.service.unit import Unit

TIMEOUT_S = 120.0
Run = Callable[[Sequence[str]], "subprocess.CompletedProcess[str]"]


def run(words: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """A command to its end. Raises EnvironmentBroken where it is missing or takes too long."""
    try:
        return subprocess.run(words, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EnvironmentBroken(f"{words[0]} does not work", str(error), "use a machine with systemd") from error


@dataclass(frozen=True)
class Manager:
    """``for_machine`` is the one of the whole machine, which only root may change; ``run`` is the seam of tests."""

    for_machine: bool
    run: Run = run

    @property
    def folder(self) -> Path:
        """Where its unit files are."""
        if self.for_machine:
            return Path("/etc/systemd/system")
        return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "systemd" / "user"

    def check(self) -> None:
        """Raises EnvironmentBroken where there is no systemd that could be told."""
        if shutil.which("systemctl") is None or not Path("/run/systemd/system").is_dir():
            raise EnvironmentBroken(
                "There is no systemd here",
                "the machine was not started by it, as in most containers",
                "let your own supervisor run `trident serve`; exit code 3 means: do not start again",
            )
        if self.for_machine and os.geteuid() != 0:
            raise EnvironmentBroken(
                "Only root may change the machine's services", "--system writes to /etc/systemd/system", "sudo it"
            )

    def install(self, unit: Unit) -> Path:
        """Writes the unit, enables and starts it. Raises EnvironmentBroken with systemd's own words."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / unit.name
        partial = path.with_suffix(".new")
        partial.write_text(unit.text(), encoding="utf-8")
        partial.chmod(0o644)
        partial.replace(path)
        self._told("daemon-reload")
        self._told("enable", unit.name)
        self._told("restart", unit.name)
        return path

    def remove(self, name: str) -> Path:
        """Stops, disables and deletes it. Raises NotRunning when it is not installed."""
        path = self.folder / name
        if not path.is_file():
            raise NotRunning(f"There is no service {name}", f"{path} is not there", "see: trident service status")
        self._told("disable", "--now", name)
        path.unlink()
        self._told("daemon-reload")
        # Without it systemd goes on listing one that had failed; it refuses where there is nothing to forget.
        self.run(self._command("reset-failed", name))
        return path

    def properties(self, name: str) -> dict[str, str]:
        """What systemd says of the unit: its state, since when, restarts, main process."""
        wanted = "LoadState,ActiveState,SubState,MainPID,NRestarts,ExecMainStatus,ActiveEnterTimestamp,UnitFileState"
        answer = self._told("show", name, f"--property={wanted}")
        pairs = (line.partition("=") for line in answer.splitlines() if "=" in line)
        return {key: value for key, _, value in pairs}

    def _command(self, *words: str) -> list[str]:
        return ["systemctl", *(() if self.for_machine else ("--user",)), *words]

    def _told(self, *words: str) -> str:
        command = self._command(*words)
        done = self.run(command)
        if done.returncode != 0:
            raise EnvironmentBroken(
                f"systemd refuses `{' '.join(command)}`",
                (done.stderr or done.stdout).strip() or f"exit code {done.returncode}",
                "journalctl -xe says more"
                if self.for_machine
                else "journalctl --user -xe says more; over ssh: loginctl enable-linger",
            )
        return done.stdout
