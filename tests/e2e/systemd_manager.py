"""A real systemd, for one user or for a whole machine, in namespaces of its own: it changes nothing of the machine's,
and all ends with it."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

SYSTEMD = Path("/usr/lib/systemd/systemd")
NAMESPACES = ("unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child")
CGROUPS = [folder for folder in (Path("/sys/fs/cgroup/systemd"), Path("/sys/fs/cgroup/unified")) if folder.is_dir()]
JOIN = """\
set -e
for group in {groups}; do mkdir -p $group && echo $$ > $group/cgroup.procs; done
"""
BOOT = """\
mount -t tmpfs tmpfs /run/systemd
mkdir /run/systemd/system
{systemd} --user &  # not as the first process, which is the machine's systemd
wait
"""
# With no units of the machine's but its journal: what cleans up at a start would clean up here.
BOOT_MACHINE = """\
exec unshare --cgroup bash -c '
set -e
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/system
mount --bind {home}/etc /etc/systemd/system
mount --bind {home}/units /usr/lib/systemd/system
mount -t tmpfs tmpfs /usr/lib/systemd/system-generators
{openings}
umount -R /sys/fs/cgroup
exec env container=trident {systemd} --system --unit=basic.target
'
"""
# Accounts may not look into these folders; a copy of their outside lets them.
OPENING = """\
mkdir -p {over}/up {over}/work
mount -t overlay overlay -o lowerdir={folder},upperdir={over}/up,workdir={over}/work {folder}
chmod 755 {folder}
"""
JOURNAL = ("systemd-journald.service", "systemd-journald.socket", "systemd-journald-dev-log.socket")
TARGETS = ("basic", "multi-user", "network-online", "shutdown", "sockets", "sysinit")
UNITS = Path("/usr/lib/systemd/system")
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
    """``pid`` is a process of its namespaces; ``home`` holds its units and its socket."""

    pid: int
    home: Path
    for_machine: bool = False

    @classmethod
    @contextmanager
    def running(cls, home: Path, opened: Collection[Path] | None = None) -> Iterator[SystemdManager]:
        """Ready to be told; everything it has started ends with the context. With ``opened`` it is a machine's, whose
        accounts can reach these places."""
        groups = [folder / f"trident-{os.getpid()}" for folder in CGROUPS]
        boot = BOOT if opened is None else _boot_machine(home, opened)
        boot = JOIN.format(groups=" ".join(map(str, groups))) + boot.replace("{systemd}", str(SYSTEMD))
        (home / "run").mkdir(mode=0o700)
        with (home / "systemd.log").open("wb") as log:
            outer = subprocess.Popen(
                [*NAMESPACES, "bash", "-c", boot], env=_environ(home), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        try:
            yield _answering(cls(_inner(outer, home), home, opened is not None), outer)
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

    def systemctl(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Told to this systemd."""
        return self.run("systemctl", *(() if self.for_machine else ("--user",)), *words)

    def shown(self, unit: str, name: str) -> str:
        """A property of a unit."""
        return self.systemctl("show", unit, f"--property={name}", "--value").stdout.strip()


def _boot_machine(home: Path, opened: Collection[Path]) -> str:
    home.chmod(0o711)
    for folder in ("etc", "units", "over"):
        (home / folder).mkdir()
    for target in TARGETS:
        (home / "units" / f"{target}.target").write_text(f"[Unit]\nDescription={target}\n")
    for unit in JOURNAL:
        shutil.copy(UNITS / unit, home / "units")
    closed = {folder for place in opened for folder in place.resolve().parents if not folder.stat().st_mode & 0o001}
    openings = [OPENING.format(over=home / "over" / str(n), folder=folder) for n, folder in enumerate(sorted(closed))]
    return BOOT_MACHINE.replace("{home}", str(home)).replace("{openings}", "\n".join(openings))


def _environ(home: Path) -> dict[str, str]:
    own = {"HOME": home, "XDG_RUNTIME_DIR": home / "run", "XDG_CONFIG_HOME": home / "config"}
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DBUS_", "XDG_", "TRIDENT_"))}
    return {**kept, **{name: str(place) for name, place in own.items()}}


def _inner(outer: subprocess.Popen[bytes], home: Path) -> int:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and outer.poll() is None:
        if inner := psutil.Process(outer.pid).children():
            return int(inner[0].pid)
        time.sleep(0.05)
    raise AssertionError((home / "systemd.log").read_text())


def _answering(manager: SystemdManager, outer: subprocess.Popen[bytes]) -> SystemdManager:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and outer.poll() is None:
        if manager.systemctl("list-units").returncode == 0:
            return manager
        time.sleep(0.05)
    raise AssertionError((manager.home / "systemd.log").read_text())


def _remove(group: Path) -> None:
    """Groups of processes are folders that only go one by one, once the last process of each is gone."""
    deadline = time.monotonic() + 10
    while group.exists() and time.monotonic() < deadline:
        for folder, _, _ in os.walk(group, topdown=False):
            try:
                Path(folder).rmdir()
            except OSError:
                time.sleep(0.05)  # processes that were killed a moment ago
