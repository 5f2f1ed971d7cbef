from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from trident.protocol.lease import GOODBYE, VARIABLE, Answer, Granted, Refused, Want, socket_of
from trident.protocol.spec import StubSpec
from trident.triton.stub import backend
from trident.triton.stub.lease import Lease, wanted

WANT = Want(model="m", engine="m", version="1", folder="/r/m", parameters={}, kind="KIND_CPU", device=0)
STUB = StubSpec(relays=["ipc:///x"], sockets_dir="/x", start_timeout_s=1, response_share=1, defaults={})


class Keeper:
    """Answers the first stub at once and keeps what it said."""

    def __init__(self, folder: Path, answer: Answer) -> None:
        self.heard = b""
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(os.fspath(folder / "keeper.sock"))
        self._listening.listen()
        self._thread = threading.Thread(target=self._serve, args=(answer,))
        self._thread.start()

    def _serve(self, answer: Answer) -> None:
        connection, _ = self._listening.accept()
        with connection, self._listening:
            connection.settimeout(10)
            self.heard = connection.recv(65536)
            connection.sendall(msgspec.json.encode(answer) + b"\n")
            while received := connection.recv(65536):
                self.heard += received

    def join(self) -> None:
        self._thread.join(timeout=10)
        assert not self._thread.is_alive()


@pytest.fixture
def keeper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Answer], Keeper]:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "keeper.sock"))
    return lambda answer: Keeper(tmp_path, answer)


def test_lease_lasts_until_goodbye(keeper: Callable[[Answer], Keeper]) -> None:
    other = keeper(Granted(STUB))
    lease = Lease(WANT)
    assert lease.spec == STUB
    lease.close()
    other.join()
    assert other.heard == msgspec.json.encode(WANT) + b"\n" + GOODBYE


def test_refusal_is_told_in_one_line(keeper: Callable[[Answer], Keeper]) -> None:
    other = keeper(Refused("No engine", "it is gone", "bring it back"))
    with pytest.raises(backend.ModelError, match=r"^No engine: it is gone; bring it back$"):
        Lease(WANT)
    other.join()


def test_named_keeper_that_is_not_there_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "nobody.sock"))
    with pytest.raises(backend.ModelError, match="nobody keeps engines at"):
        Lease(WANT)


def test_triton_s_arguments_say_what_is_wanted() -> None:
    args = {
        "model_name": "m",
        "model_version": "2",
        "model_repository": "/r/m",
        "model_instance_kind": "GPU",
        "model_instance_device_id": "3",
    }
    assert wanted(args, {"A": "b"}) == Want(
        model="m", engine="m", version="2", folder="/r/m", parameters={"A": "b"}, kind="KIND_GPU", device=3
    )


def test_socket_stays_short_wherever_temporary_files_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.gettempdir", lambda: "/tmp/" + "x" * 120)
    assert str(socket_of(4711)) == f"/tmp/trident-{os.getuid()}-triton-4711/keeper.sock"
