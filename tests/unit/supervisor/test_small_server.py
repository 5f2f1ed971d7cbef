"""The commands against a server in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import supervisor_fakes as fakes

from trident.cli import status, stop
from trident.config import paths
from trident.errors import NotRunning
from trident.supervisor import state
from trident.supervisor.state import ServerState

PROGRAM = Path(__file__).parent / "small_server.py"


@pytest.fixture(autouse=True)
def _free_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    for door in ("HTTP", "GRPC", "METRICS", "OPENAI"):
        monkeypatch.setenv(f"TRIDENT_{door}_PORT", str(fakes.free_port()))


@contextmanager
def serving(child: str) -> Iterator[tuple[subprocess.Popen[bytes], ServerState]]:
    def is_ready() -> bool:
        found = state.load(paths.run_dir("default"))
        return found is not None and found.process.pid == server.pid and found.phase == "ready"

    with subprocess.Popen([sys.executable, str(PROGRAM), child]) as server:
        try:
            fakes.run(fakes.until(is_ready))
            found = state.load(paths.run_dir("default"))
            assert found is not None
            yield server, found
        finally:
            server.kill()


def test_stop_says_what_it_awaits(capsys: pytest.CaptureFixture[str]) -> None:
    with serving("serves") as (server, _):
        stop.stop(name=None, force=False)
        assert server.wait(5) == 0
    assert [line.partition("] ")[2] or line for line in capsys.readouterr().out.splitlines()] in (
        ["engine host: stopping", "engine host: stopped", "default is stopped"],
        ["engine host: stopped", "default is stopped"],
        ["default is stopped"],
    )
    with pytest.raises(NotRunning, match=r"it was stopped \d+ s ago"):
        status.running(None)


def test_forced_stop_does_not_wait_for_a_stubborn_child() -> None:
    with serving("stubborn") as (server, before):
        stop.stop(name=None, force=True)
        assert server.wait(5) == 0
    child = before.children[0].process
    assert child is not None and not child.is_running()


def test_supervisor_killed_leaves_no_child_and_is_reported_dead() -> None:
    with serving("stubborn") as (server, before):
        server.kill()
        server.wait(5)
        child = before.children[0].process
        assert child is not None
        fakes.run(fakes.until(lambda: not child.is_running()))
        with pytest.raises(NotRunning, match="has died without a word"):
            status.running(None)
        with serving("serves") as (_, after):
            assert after.process != before.process
