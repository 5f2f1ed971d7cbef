from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq

from trident.protocol import sockets


@pytest.fixture
def context() -> Iterator[zmq.Context[Any]]:
    context: zmq.Context[Any] = zmq.Context()
    yield context
    context.destroy(linger=0)


def test_pull_socket_is_open_to_its_user_only(context: zmq.Context[Any], tmp_path: Path) -> None:
    with sockets.pull(context, sockets.address(tmp_path, "a.sock")):
        assert stat.S_IMODE((tmp_path / "a.sock").stat().st_mode) == 0o700


def test_push_to_nobody_fails_at_once(context: zmq.Context[Any], tmp_path: Path) -> None:
    with sockets.push(context, queue_unconnected=False) as socket:
        socket.connect(sockets.address(tmp_path, "nobody.sock"))
        with pytest.raises(sockets.PeerNotReading):
            sockets.send(socket, b"hello")


def test_frames_arrive_in_order(context: zmq.Context[Any], tmp_path: Path) -> None:
    where = sockets.address(tmp_path, "b.sock")
    with sockets.pull(context, where) as inbound, sockets.push(context, queue_unconnected=True) as socket:
        socket.connect(where)
        for number in range(100):
            sockets.send(socket, b"pid", str(number).encode())
        for number in range(100):
            assert inbound.poll(2000)
            assert inbound.recv_multipart() == [b"pid", str(number).encode()]
