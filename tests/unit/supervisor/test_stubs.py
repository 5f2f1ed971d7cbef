from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import supervisor_fakes as fakes

from trident.supervisor import shared_memory, stubs

TRITON_PID = 2**22 + 1  # beyond what Linux gives out


@pytest.fixture
def stub(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process with a stub's command line."""
    program = tmp_path / "triton_python_backend_stub"
    program.symlink_to("/bin/sh")
    script = tmp_path / "model.py"
    script.write_text("read -r _\n")
    words = [script, "region_7", "0", "0", str(TRITON_PID), "folder", "9", "llama_0_0"]
    with subprocess.Popen([program, *words], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


class Triton(BaseHTTPRequestHandler):
    """A tritonserver with one model that has two instances."""

    state = "READY"

    def do_GET(self) -> None:
        self._send({"name": "llama", "instance_group": [{"name": "llama_0", "count": 2}]})

    def do_POST(self) -> None:
        self._send([{"name": "llama", "state": self.state}, {"name": "gone", "state": "UNAVAILABLE"}])

    def _send(self, body: object) -> None:
        content = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def triton() -> Iterator[stubs.Parts]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Triton) as server:
        Thread(target=server.serve_forever).start()
        yield stubs.Parts("127.0.0.1", server.server_address[1])
        server.shutdown()


def test_stubs_are_known_by_their_command_lines(stub: subprocess.Popen[bytes], triton: stubs.Parts) -> None:
    (found,) = stubs.of(TRITON_PID)
    assert (found.process.pid, found.region, found.instance) == (stub.pid, "region_7", "llama_0_0")
    assert triton.find(TRITON_PID) == {"stub llama_0_0": stub.pid}


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


@pytest.mark.parametrize(
    ("part", "state", "wanted"),
    [
        ("stub llama_0_1", "READY", True),
        ("stub llama_0", "READY", True),
        ("stub llama_0_2", "READY", False),
        ("stub other_0_0", "READY", False),
        ("stub llama_0_1", "UNAVAILABLE", False),
    ],
)
def test_stub_is_wanted_while_its_model_has_the_instance(
    triton: stubs.Parts, monkeypatch: pytest.MonkeyPatch, part: str, state: str, wanted: bool
) -> None:
    monkeypatch.setattr(Triton, "state", state)

    async def scenario() -> None:
        assert await triton.is_wanted(part) is wanted

    fakes.run(scenario())


def test_every_stub_is_wanted_of_a_server_that_does_not_answer() -> None:
    async def scenario() -> None:
        assert await stubs.Parts("127.0.0.1", fakes.free_port()).is_wanted("stub llama_0_0")

    fakes.run(scenario())
