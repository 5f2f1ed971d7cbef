"""A stub's hold on its engine. While it is open the keeper keeps the engine host running."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec

from trident.protocol.lease import (
    DEFAULTS_PARAMETER,
    ENGINE_PARAMETER,
    GOODBYE,
    VARIABLE,
    Answer,
    Granted,
    Want,
    socket_of,
)
from trident.triton.stub import parent_process
from trident.triton.stub.backend import ModelError

KEEPER_MODULE = "trident.supervisor.keeper_process"
KEEPER_START_S = 60.0
"""A keeper starts in half a second; one that ends meanwhile may need a while to stop its last engine host."""
STOP_S = 20.0
POLL_S = 0.5

_decoder: msgspec.json.Decoder[Answer] = msgspec.json.Decoder(Answer)


class Lease:
    """Blocks until the engine serves. Raises ModelError with the cause when there cannot be one."""

    def __init__(self, want: Want) -> None:
        self._triton_pid = parent_process.triton_pid()
        self._connection, answer = self._obtain(want)
        if not isinstance(answer, Granted):
            self._connection.close()
            raise ModelError(f"{answer.what}: {answer.why}; {answer.next_step}")
        defaults = json.loads(want.parameters.get(DEFAULTS_PARAMETER, "{}"))
        self.spec = msgspec.structs.replace(answer.stub, defaults=defaults)

    def close(self) -> None:
        """Returns when the keeper has done what follows from it: the last lease's end stops the engine host, whose
        memory the next model may need."""
        with contextlib.suppress(OSError):
            self._connection.settimeout(STOP_S)
            self._connection.sendall(GOODBYE)
            self._connection.shutdown(socket.SHUT_WR)
            self._connection.recv(1)
        self._connection.close()

    def _obtain(self, want: Want) -> tuple[socket.socket, Answer]:
        deadline_s = time.monotonic() + KEEPER_START_S
        while True:
            connection = self._connected(deadline_s)
            answer = self._asked(connection, want)
            if answer is not None:
                return connection, answer
            connection.close()
            # The keeper has ended at this moment, with the last lease of somebody else.
            if time.monotonic() > deadline_s:
                raise ModelError("no engine can be kept: the process that keeps engines hangs up")

    def _connected(self, deadline_s: float) -> socket.socket:
        named = os.environ.get(VARIABLE)
        path = Path(named) if named else socket_of(self._triton_pid)
        keeper: subprocess.Popen[bytes] | None = None
        while True:
            connection = socket.socket(socket.AF_UNIX)
            try:
                _check_owner(path.parent)
                connection.connect(os.fspath(path))
                return connection
            except (FileNotFoundError, ConnectionRefusedError) as error:
                connection.close()
                if time.monotonic() > deadline_s or named:
                    raise ModelError(f"nobody keeps engines at {path}: {error.strerror}") from error
            if keeper is None or keeper.poll() is not None:
                if keeper is not None and keeper.returncode != 0 and keeper.stderr is not None:
                    raise ModelError(f"no engine can be kept: {_one_line(keeper.stderr.read())}")
                keeper = _start_keeper(self._triton_pid, path)
            time.sleep(0.05)  # a process starts: nothing to wait on

    def _asked(self, connection: socket.socket, want: Want) -> Answer | None:
        """None when the keeper hangs up. It answers in bounded time; only the end of Triton may come before."""
        data = b""
        connection.settimeout(POLL_S)
        with contextlib.suppress(ConnectionError):
            connection.sendall(msgspec.json.encode(want) + b"\n")
            while not data.endswith(b"\n"):
                if os.getppid() != self._triton_pid:
                    os._exit(1)
                with contextlib.suppress(socket.timeout):
                    received = connection.recv(65536)
                    if not received:
                        return None
                    data += received
            return _decoder.decode(data)
        return None


def wanted(args: dict[str, str], parameters: dict[str, str]) -> Want:
    """What Triton's ``initialize`` arguments say."""
    return Want(
        model=args["model_name"],
        engine=parameters.get(ENGINE_PARAMETER, args["model_name"]),
        version=args["model_version"],
        folder=args["model_repository"],
        parameters=parameters,
        kind=f"KIND_{args['model_instance_kind'].removeprefix('KIND_')}",
        device=int(args["model_instance_device_id"] or 0),
    )


def _start_keeper(triton_pid: int, path: Path) -> subprocess.Popen[bytes]:
    """In a session of its own: it is there for all stubs of this tritonserver and ends with the last, or with it."""
    # Triton embeds Python, which then believes to be whatever python3 is the first on PATH.
    python = os.environ.get("TRIDENT_PYTHON") or sys.executable or shutil.which("python3") or "python3"
    environ = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    arguments: list[Any] = [python, "-m", KEEPER_MODULE, str(triton_pid), path]
    return subprocess.Popen(
        arguments,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def _check_owner(folder: Path) -> None:
    if folder.exists() and (folder.is_symlink() or folder.stat().st_uid != os.getuid()):
        raise ModelError(f"{folder} belongs to somebody else; remove it, or set TMPDIR to a folder of yours")


def _one_line(text: bytes) -> str:
    return " ".join(text.decode("utf-8", "replace").split())
