from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from trident.supervisor import shared_memory, stubs

TRITON_PID = 2**22 + 1  # beyond what Linux gives out


@pytest.fixture
def stub(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process with a stub's command line."""
    program = tmp_path / "triton_python_backend_stub"
    program.symlink_to("/bin/sh")
    script = tmp_path / "model.py"
    script.write_text("echo; read -r _\n")
    words = [script, "region_7", "0", "0", str(TRITON_PID), "folder", "9", "llama_0_0"]
    with subprocess.Popen([program, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()  # before it runs, Linux may not show its words yet
        yield process
        process.kill()


def test_stubs_are_known_by_their_command_lines(stub: subprocess.Popen[bytes]) -> None:
    (found,) = stubs.of(TRITON_PID)
    assert (found.process.pid, found.region) == (stub.pid, "region_7")


def test_leftovers_of_a_killed_server_are_removed(
    stub: subprocess.Popen[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_memory, "FOLDER", tmp_path)
    for name in ("region_7", "region_8", "other"):
        (tmp_path / name).touch()
    left = stubs.Leftovers(TRITON_PID, 0)
    left.note()
    left.remove()
    assert stub.wait(10) == -signal.SIGKILL
    assert not (tmp_path / "region_7").exists() and (tmp_path / "region_8").exists()
