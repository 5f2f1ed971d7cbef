"""Processes that are forked by one, stood for by another, and end with both. The host is a few lines of Python."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

DEADLINE_S = 20.0
NURSERY = """
import sys
import tempfile
from pathlib import Path
from trident.engine.nursery import Nursery
from trident.protocol.nursery import Place
nursery = Nursery(Place.parse(sys.argv[1]))
print("listening", flush=True)
tempfile.gettempdir()
birth = nursery.serve()
if birth is not None:
    exec(Path(birth.spec_path).read_text())
"""
STANDS_FOR = """
import sys
from pathlib import Path
from trident.engine.nursery import borrow
from trident.protocol.nursery import Place
code = borrow(Place.parse(sys.argv[1]), Path(sys.argv[2]))
sys.exit(99 if code is None else code)
"""
WAITS = "import os, signal\nprint(os.getpid(), flush=True)\nsignal.pause()"


class Home:
    """An owner that lives as long as it is wanted, and its nursery."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.owner = subprocess.Popen(["sleep", "600"])
        self.socket = folder / "home" / "nursery.sock"
        self.socket.parent.mkdir()
        self.place = f"{self.owner.pid}:{self.socket}"
        self.nursery = subprocess.Popen([sys.executable, "-c", NURSERY, self.place], stdout=subprocess.PIPE)
        assert self.nursery.stdout is not None and self.nursery.stdout.readline() == b"listening\n"
        self.standing: list[subprocess.Popen[bytes]] = []

    def host(self, code: str, **environ: str) -> subprocess.Popen[bytes]:
        """What stands for a host that runs ``code``."""
        spec = self._folder / f"host-{len(self.standing)}.py"
        spec.write_text(code)
        command = [sys.executable, "-c", STANDS_FOR, self.place, str(spec)]
        standing = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=self._folder, env={**os.environ, **environ})
        self.standing.append(standing)
        return standing

    def close(self) -> None:
        for process in (self.owner, self.nursery, *self.standing):
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    made = Home(tmp_path)
    yield made
    made.close()


def pid_of(standing: subprocess.Popen[bytes]) -> int:
    assert standing.stdout is not None
    return int(standing.stdout.readline())


def has_ended(pid: int) -> bool:
    """Waits for it."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([pidfd], [], [], DEADLINE_S)[0])
    finally:
        os.close(pidfd)


def test_stand_in_ends_with_the_hosts_exit_code(home: Home) -> None:
    assert home.host("raise SystemExit(7)").wait(DEADLINE_S) == 7
    assert home.host("pass").wait(DEADLINE_S) == 0


def test_host_has_the_stand_ins_output_folder_and_environment(home: Home, tmp_path: Path) -> None:
    standing = home.host("import os; print(os.getcwd(), os.environ['GREETING'], flush=True)", GREETING="hello")
    out, _ = standing.communicate(timeout=DEADLINE_S)
    assert out.decode() == f"{tmp_path} hello\n"


def test_host_has_the_temporary_folder_of_its_own_server(home: Home, tmp_path: Path) -> None:
    standing = home.host("import tempfile; print(tempfile.gettempdir(), flush=True)", TMPDIR=os.fspath(tmp_path))
    out, _ = standing.communicate(timeout=DEADLINE_S)
    assert out.decode() == f"{tmp_path}\n"


def test_status_pipe_is_handed_on(home: Home, tmp_path: Path) -> None:
    reading, writing = os.pipe()
    spec = tmp_path / "speaks.py"
    spec.write_text("from trident.protocol import status\nstatus.report(status.Phase('born'))")
    command = [sys.executable, "-c", STANDS_FOR, home.place, str(spec)]
    environ = {**os.environ, "TRIDENT_STATUS_FD": str(writing)}
    assert subprocess.run(command, env=environ, pass_fds=[writing], timeout=DEADLINE_S, check=False).returncode == 0
    os.close(writing)
    assert b"born" in os.read(reading, 1000)
    assert os.read(reading, 1000) == b"", "somebody holds the pipe that should have ended"
    os.close(reading)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT])
def test_signal_reaches_the_host(home: Home, number: signal.Signals) -> None:
    code = "import os, signal\nsignal.signal({0}, lambda n, f: os._exit(40))\n" + WAITS
    standing = home.host(code.format(int(number)))
    pid_of(standing)
    standing.send_signal(number)
    assert standing.wait(DEADLINE_S) == 40


def test_stand_in_of_a_killed_host_ends_by_the_same_signal(home: Home) -> None:
    standing = home.host(WAITS)
    os.kill(pid_of(standing), signal.SIGKILL)
    assert standing.wait(DEADLINE_S) == -signal.SIGKILL


def test_host_ends_with_its_stand_in_and_the_next_one_is_born(home: Home) -> None:
    standing = home.host(WAITS)
    pid = pid_of(standing)
    standing.kill()
    assert has_ended(pid)
    assert home.host("raise SystemExit(3)").wait(DEADLINE_S) == 3


def test_all_end_with_the_owner(home: Home) -> None:
    standing = home.host("from trident.engine.__main__ import _die_with_parent; _die_with_parent()\n" + WAITS)
    pid = pid_of(standing)
    home.owner.kill()
    home.owner.wait()
    assert home.nursery.wait(DEADLINE_S) == 0
    assert has_ended(pid)
    assert not home.socket.parent.exists()


def test_where_no_nursery_can_be_had_nothing_is_stood_for(tmp_path: Path) -> None:
    """The owner has ended, so the nursery that is started ends at once."""
    gone = subprocess.Popen(["true"])
    gone.wait()
    command = [sys.executable, "-c", STANDS_FOR, f"{gone.pid}:{tmp_path / 'no.sock'}", str(tmp_path / "spec")]
    done = subprocess.run(command, timeout=DEADLINE_S, check=False, capture_output=True)
    assert done.returncode == 99
