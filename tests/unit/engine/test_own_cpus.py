"""Real processes with real threads are moved to their CPUs."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from trident.engine import own_cpus

ENGINE = """
import sys, threading
end = threading.Event()
def thread():
    threading.Thread(target=end.wait, daemon=True).start()
for _ in range(3):
    thread()
print("up", flush=True)
for _line in sys.stdin:
    thread()
    print("another", flush=True)
"""
HOST = """
import json, os, subprocess, sys, threading
from pathlib import Path
from trident.engine import own_cpus
command = [sys.executable, "-S", "-c", sys.argv[1]]
core, server = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(2)]
for process in (core, server):
    process.stdout.readline()
threading.Thread(target=threading.Event().wait, daemon=True).start()
first, last = json.loads(sys.argv[2])
own_cpus.keep_apart([core.pid], [[first]], [last])
def found(pid):
    return sorted({tuple(os.sched_getaffinity(int(task.name))) for task in Path(f"/proc/{pid}/task").iterdir()})
print(json.dumps([found(core.pid), found(server.pid), found(os.getpid())]))
for process in (core, server):
    process.kill()
    process.wait()
"""


@contextlib.contextmanager
def running() -> Iterator[subprocess.Popen[bytes]]:
    """A process of four threads; it begins another for each line."""
    command = [sys.executable, "-S", "-c", ENGINE]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None and process.stdout.readline() == b"up\n"
            yield process
        finally:
            process.kill()


def affinities(pid: int) -> list[set[int]]:
    return [os.sched_getaffinity(int(task.name)) for task in Path(f"/proc/{pid}/task").iterdir()]


@pytest.fixture
def two() -> tuple[int, int]:
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        pytest.skip("one CPU cannot be divided")
    return usable[0], usable[-1]


def test_every_thread_is_confined_and_so_are_those_that_begin_later(two: tuple[int, int]) -> None:
    with running() as process:
        own_cpus.confine(process.pid, [two[1]])
        assert affinities(process.pid) == [{two[1]}] * 4
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(b"\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"another\n"
        assert affinities(process.pid) == [{two[1]}] * 5


def test_core_has_its_cpus_and_the_host_and_its_other_children_the_rest(two: tuple[int, int]) -> None:
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", HOST, ENGINE, json.dumps(two)],
        env=environ,
        stdout=subprocess.PIPE,
        timeout=60,
        check=True,
    )
    assert json.loads(done.stdout) == [[[two[0]]], [[two[1]]], [[two[1]]]]


def test_process_that_has_gone_is_no_error() -> None:
    with running() as process:
        pid = process.pid
    own_cpus.confine(pid, [0])


def test_thread_that_goes_meanwhile_is_no_error(monkeypatch: pytest.MonkeyPatch, two: tuple[int, int]) -> None:
    monkeypatch.setattr(own_cpus, "_threads", lambda _pid: {2**22 + 1})
    own_cpus.confine(1, [two[0]])


def test_what_the_system_refuses_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with running() as process, caplog.at_level(logging.WARNING):
        before = affinities(process.pid)
        own_cpus.keep_apart([process.pid], [[1023]], [1023])
        assert affinities(process.pid) == before
    assert "no CPUs of their own" in caplog.text


def test_nothing_moves_without_cpus_or_with_another_number_of_cores() -> None:
    mine = os.sched_getaffinity(0)
    own_cpus.keep_apart([os.getpid()], [], [])
    own_cpus.keep_apart([os.getpid()], [[0], [1]], [0])
    assert os.sched_getaffinity(0) == mine
