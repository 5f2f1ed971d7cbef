"""A real systemd for one user, in namespaces of its own: it sees nothing of the machine's, and all ends with it."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

SYSTEMD = Path("/usr/lib/systemd/systemd")
NAMESPACES = ("unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child")
CGROUPS = [folder for folder in (Path("/sys/fs/cgroup/systemd"), Path("/sys/fs/cgroup/unified")) if folder.is_dir()]
BOOT = """\
set -e
mount -t tmpfs tmpfs /run/systemd
mkdir /run/systemd/system
for group in {groups}; do mkdir -p $group && echo $$ > $group/cgroup.procs; done
{systemd} --user &  # not as the first process, which is the machine's systemd
wait
"""
START_TIMEOUT_S = 20.0


def missing() -> str:
    """Why there can be none here, empty when there can."""
    if not SYSTEMD.exists() or shutil.which("systemctl") is None:
        return "systemd is not installed"
    if os.geteuid() != 0:
        return "namespaces and groups of processes want root"
    tried = subprocess.run(
        [*NAMESPACES, "mount", "-t", "tmpfs", "tmpfs", "/run/systemd"], capture_output=True, text=True
    )
    return f"namespaces are not allowed: {tried.stderr.strip()}" if tried.returncode else ""


@dataclass(frozen=True)
class SystemdManager:
    """``pid`` is its first process; ``home`` holds its units and its socket."""

    pid: int
    home: Path

    @classmethod
    @contextmanager
    def running(cls, home: Path) -> Iterator[SystemdManager]:
        """Ready to be told; everything it has started ends with the context."""
        groups = [folder / f"trident-{os.getpid()}" for folder in CGROUPS]
        boot = BOOT.format(groups=" ".join(map(str, groups)), systemd=SYSTEMD)
        (home / "run").mkdir(mode=0o700)
        with (home / "systemd.log").open("wb") as log:
            outer = subprocess.Popen(
                [*NAMESPACES, "bash", "-c", boot], env=_environ(home), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        try:
            yield cls(_inner(outer, home), home)
        finally:
            outer.kill()
            outer.wait(10)
            for group in groups:
                _remove(group)

    def run(self, *words: str, timeout_s: float = 60, **variables: str) -> subprocess.CompletedProcess[str]:
        """A command that sees this systemd."""
        return subprocess.run(
            ["nsenter", "--target", str(self.pid), "--mount", "--pid", *words],
            env={**_environ(self.home), **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
        )

    def shown(self, unit: str, name: str) -> str:
        """A property of a unit."""
        return self.run("systemctl", "--user", "show", unit, f"--property={name}", "--value").stdout.strip()


def _environ(home: Path) -> dict[str, str]:
    own = {"HOME": home, "XDG_RUNTIME_DIR": home / "run", "XDG_CONFIG_HOME": home / "config"}
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DBUS_", "XDG_", "TRIDENT_"))}
    return {**kept, **{name: str(place) for name, place in own.items()}}


def _inner(outer: subprocess.Popen[bytes], home: Path) -> int:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and outer.poll() is None:
        inner = psutil.Process(outer.pid).children()
        if inner and (home / "run" / "systemd" / "private").is_socket():
            return int(inner[0].pid)
        time.sleep(0.05)
    raise AssertionError((home / "systemd.log").read_text())


def _remove(group: Path) -> None:
    """Groups of processes are folders that only go one by one, once the last process of each is gone."""
    deadline = time.monotonic() + 10
    while group.exists() and time.monotonic() < deadline:
        for folder, _, _ in os.walk(group, topdown=False):
            try:
                Path(folder).rmdir()
            except OSError:
                time.sleep(0.05)  # processes that were killed a moment ago
