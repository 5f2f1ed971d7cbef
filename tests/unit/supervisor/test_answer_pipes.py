from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest

from trident.supervisor import answer_pipes

PROCESS = """
import json, os, select, socket, sys
watched, written = socket.socketpair()
curls = socket.socketpair()
for end in (watched, written, *curls):
    end.setblocking(False)
poll = select.epoll()
poll.register(watched, select.EPOLLIN)
door = socket.create_server(("127.0.0.1", 0))
door.setblocking(False)
print(flush=True)
for line in sys.stdin:
    print(json.dumps([os.get_blocking(end.fileno()) for end in (watched, written, door, *curls)]), flush=True)
"""


@pytest.fixture
def process() -> Iterator[subprocess.Popen[str]]:
    """With a pair of which one end is waited for, a door, and a pair that is waited for without an epoll, as curl's."""
    command = [sys.executable, "-S", "-c", PROCESS]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


def blocks(process: subprocess.Popen[str]) -> list[bool]:
    assert process.stdin is not None and process.stdout is not None
    print(file=process.stdin, flush=True)
    return list(json.loads(process.stdout.readline()))


def test_only_the_end_that_is_written_to_is_changed(process: subprocess.Popen[str]) -> None:
    assert blocks(process) == [False] * 5
    assert answer_pipes.make_patient(process.pid) == 1
    assert answer_pipes.make_patient(process.pid) == 0
    assert blocks(process) == [False, True, False, False, False]


def test_process_that_has_gone_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    assert answer_pipes.make_patient(2**22 + 1) == 0
    assert "may drop answers" in caplog.text
