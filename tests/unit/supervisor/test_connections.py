from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from trident.supervisor import connections

SERVER = """
import socket, sys
door = socket.create_server(("127.0.0.1", 0))
print(door.getsockname()[1], flush=True)
kept = [door.accept()[0] for _ in range(2)]
kept[0].sendall(b"hello")
sys.stdin.read()
"""


@pytest.fixture
def server() -> Iterator[tuple[int, int]]:
    """Pid and port of a process that takes two connections and says hello to the first."""
    command = [sys.executable, "-S", "-c", SERVER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield process.pid, int(process.stdout.readline())
        process.kill()


def test_one_connection_of_another_process_is_closed_and_no_other(server: tuple[int, int]) -> None:
    pid, port = server
    with socket.create_connection(("127.0.0.1", port)) as one, socket.create_connection(("127.0.0.1", port)) as other:
        assert one.recv(5) == b"hello"
        other.sendall(b"a question")
        found = {connection.sent_bytes: connection for connection in connections.of(pid, {port})}
        assert set(found) == {0, 5} and found[5].received_bytes == 0
        assert connections.of(pid, {port + 1}) == []
        asked = found[0]
        other.sendall(bytes(100))
        until_s = time.monotonic() + 5
        while connections.of(pid, {port})[0].received_bytes + connections.of(pid, {port})[1].received_bytes < 110:
            assert time.monotonic() < until_s
        assert not connections.shut(pid, asked), "it has brought something since"
        assert connections.shut(pid, found[5])
        one.settimeout(5)
        assert one.recv(1) == b""
        other.settimeout(0.1)
        with pytest.raises(TimeoutError):
            other.recv(1)
        assert [connection.sent_bytes for connection in connections.of(pid, {port})] == [0]
        assert connections.shut(pid, found[5])


def test_process_that_has_gone_has_no_connections_to_show() -> None:
    with pytest.raises(OSError):
        connections.of(2**22 + 1, {1})
