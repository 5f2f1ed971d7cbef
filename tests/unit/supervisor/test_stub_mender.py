from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import supervisor_fakes as fakes

from trident.supervisor import hung_requests, stub_mender
from trident.supervisor.folder_shelf import FolderShelf
from trident.supervisor.in_flight import InFlight
from trident.supervisor.processes import Process, identify
from trident.supervisor.stub_mender import StubMender


class Shelf(FolderShelf):
    """tritonserver has let go, and served again, whenever it is asked."""

    async def _readiness(self, model: str) -> int | None:
        return 200 if (self._repository / model / "here").exists() else 400


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hung_requests, "LOOK_S", 0.05)
    monkeypatch.setattr(hung_requests, "SETTLE_S", 0.1)
    monkeypatch.setattr(stub_mender, "DRAIN_S", 0.5)


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    (tmp_path / "repository" / "generate").mkdir(parents=True)
    (tmp_path / "repository" / "generate" / "here").touch()
    return Shelf("127.0.0.1", 1, tmp_path / "repository")


@pytest.fixture
def stubs(tmp_path: Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Two processes with the command lines of one model's stubs."""
    program = tmp_path / "triton_python_backend_stub"
    program.symlink_to("/bin/sh")
    script = tmp_path / "model.py"
    script.write_text("echo; read -r _\n")
    words = [program, script, "region", "0", "0", str(os.getpid()), "folder", "9"]
    started = [
        subprocess.Popen([*words, f"generate_0_{number}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for number in range(2)
    ]
    for process in started:
        assert process.stdout is not None
        process.stdout.readline()
    yield started
    for process in started:
        process.kill()
        process.communicate()


def of(process: subprocess.Popen[bytes]) -> Process:
    found = identify(process.pid)
    assert found is not None
    return found


def mender(shelf: Shelf, *, is_alone: bool = True) -> StubMender:
    return StubMender(shelf, ("generate",), 1, 2, InFlight(list), is_alone=is_alone)


def test_model_gets_other_stubs_and_the_old_ones_go_at_last(shelf: Shelf, stubs: list[subprocess.Popen[bytes]]) -> None:
    async def scenario() -> None:
        healing = mender(shelf)
        dead, sibling = map(of, stubs)
        assert set(healing.find(os.getpid()).values()) == {dead, sibling}
        dead.kill()
        assert await healing.mend(os.getpid(), dead)
        assert not shelf.holds("generate")
        await fakes.until(lambda: fakes.is_gone(sibling.pid))
        assert healing.expects(sibling) and not healing.expects(dead)

    fakes.run(scenario())


@pytest.mark.parametrize("is_known", [True, False])
def test_restart_is_wanted_where_mending_might_cut_others(
    shelf: Shelf, stubs: list[subprocess.Popen[bytes]], is_known: bool
) -> None:
    async def scenario() -> None:
        healing = mender(shelf, is_alone=not is_known)
        dead = of(stubs[0])
        if is_known:
            healing.find(os.getpid())
        dead.kill()
        assert not await healing.mend(os.getpid(), dead)
        assert (shelf._repository / "generate" / "here").exists(), "it starts again with everything"

    fakes.run(scenario())


def test_stub_that_was_told_to_end_has_not_crashed_however_it_ends(shelf: Shelf) -> None:
    code = "from trident.triton.stub.parent_process import say_that_it_ends as say; say(); import os; os.abort()"
    with subprocess.Popen([sys.executable, "-c", code]) as stub:
        told = of(stub)
        os.waitid(os.P_PID, stub.pid, os.WEXITED | os.WNOWAIT)
        assert told.is_zombie()
        assert mender(shelf).expects(told)
    assert stub.returncode == -signal.SIGABRT
    assert not mender(shelf).expects(told), "nobody knows any more"
