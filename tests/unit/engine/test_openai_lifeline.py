from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

ENDS_WITHIN_S = 3.0
HOST_AND_SERVER = """
import os, socket, sys, time
from trident.engine import openai_door
from trident.engine.openai_answer import Words
from trident.engine.openai_exit import Exit
from trident.engine.openai_gate import Bounds
from trident.engine.openai_lifeline import Lifeline
lifeline, listener = Lifeline(), socket.create_server(("127.0.0.1", 0))
server = os.fork()
if server:
    listener.close()
    lifeline.hold()
    sys.stdin.readline()
    lifeline.let_go()
    time.sleep(60)
else:
    door = openai_door.build(openai_door.Setup(Bounds(1, 1, 1), Words(b"dead"), (), 0, Exit()))
    lifeline.follow(door, listener)
    print(os.getpid(), listener.getsockname()[1], flush=True)
    while True: pass  # stuck: nothing but the thread can end it
"""


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


@pytest.mark.parametrize("is_killed", [True, False], ids=["killed", "lost"])
def test_server_outlives_its_host_for_a_moment_and_no_longer(is_killed: bool) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOST_AND_SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    ) as host:
        assert host.stdin is not None and host.stdout is not None
        try:
            pid, port = (int(word) for word in host.stdout.readline().split())
            assert os.getsid(pid) == pid, "what is done to the host's group is not done to it"
            if is_killed:
                os.killpg(host.pid, signal.SIGKILL)
            else:
                host.stdin.write(b"\n")
                host.stdin.flush()
            begun_s = time.monotonic()
            socket.create_connection(("127.0.0.1", port), 1).close()
            while not is_gone(pid):
                assert time.monotonic() - begun_s < ENDS_WITHIN_S
                time.sleep(0.01)  # not a child of ours: nothing to wait on
            assert time.monotonic() - begun_s > 0.1
        finally:
            host.kill()
