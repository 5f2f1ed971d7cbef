"""Starts that cannot work say why; stops leave nothing behind."""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from served import Served

CANNOT_START = 3
STOP_TIMEOUT_S = 60

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300), pytest.mark.usefixtures("engine_is_started_whole")]


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Served]:
    """A server of this test's own; stopped by force when the test leaves it running."""
    served = Served.plan(tmp_path)
    yield served
    served.trident("stop", "--force")


def shared_memory(served: Served) -> set[str]:
    """Its own: other servers come and go beside it."""
    own = hashlib.sha256(os.fsencode(served.run_dir)).hexdigest()[:12]
    return {path.name for path in Path("/dev/shm").iterdir() if path.name.startswith(f"trident_{own}_")}


def family(pid: int) -> list[psutil.Process]:
    parent = psutil.Process(pid)
    return [parent, *parent.children(recursive=True)]


def test_interrupt_in_the_middle_of_streams_leaves_nothing(alone: Served) -> None:
    process = subprocess.Popen(
        alone.command("serve", "demo", *alone.port_flags),
        env=alone.environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )
    assert process.stdout is not None
    for line in process.stdout:
        if "is served after" in line:
            break
    everybody = family(process.pid)
    assert len(everybody) >= 6 and shared_memory(alone)
    streams = [
        subprocess.Popen(
            ["curl", "-sN", f"{alone.http_url}/v2/models/generate/generate_stream", "-d",
             '{"text_input": "Tell me a story", "stream": true, "max_tokens": 1500, "ignore_eos": true}'],
            stdout=subprocess.PIPE,
        )
        for _ in range(8)
    ]  # fmt: skip
    for stream in streams:
        assert stream.stdout is not None and stream.stdout.readline()
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=STOP_TIMEOUT_S)
    assert process.returncode == 0, rest
    for stream in streams:
        stream.communicate(timeout=10)
    _, alive = psutil.wait_procs(everybody, timeout=1)
    assert alive == []
    assert not shared_memory(alone)
    assert [path for path in alone.run_dir.rglob("*") if path.is_socket()] == []
    for port in (alone.http_port, alone.grpc_port, alone.metrics_port, alone.openai_port):
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_killed_supervisor_takes_everybody_along(alone: Served) -> None:
    started = alone.serve("demo")
    assert started.returncode == 0, started.stderr
    everybody = family(alone.state()["process"]["pid"])
    os.kill(everybody[0].pid, signal.SIGKILL)
    _, alive = psutil.wait_procs(everybody, timeout=20)
    assert alive == []
    again = alone.serve("demo")
    assert again.returncode == 0, again.stderr
    assert alone.generate("The capital of France is").json()["text_output"] == " Paris."
    assert alone.trident("stop").returncode == 0


def test_engine_needs_no_compiler(alone: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "/nonexistent/g++")
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "inductor"))
    started = alone.serve("demo")
    assert started.returncode == 0, started.stderr
    assert alone.generate("The capital of France is", logprobs=2).json()["text_output"] == " Paris."
    assert alone.complete("The capital of France is", logprobs=2)["choices"][0]["text"] == " Paris."
    assert alone.state()["children"][0]["restarts"] == 0


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["/no/such/folder"], "/no/such/folder"),
        (["demo", "--max-modl-len", "100"], "--max-model-len"),
        (["demo", "--max-model-len", "100000"], "max_model_len"),
        (["demo", "--kv-cache-memory-bytes", "1000"], "No available memory for the cache blocks"),
        (["demo", "--swap-space", "4"], "--kv-offloading-size"),
        (["demo", "--http-port", "1", "--grpc-port", "1"], "port 1"),
    ],
    ids=["folder", "argument", "context", "cache", "old-name", "same-port"],
)
def test_start_that_cannot_work_says_why(alone: Served, arguments: list[str], named: str) -> None:
    begun = time.monotonic()
    failed = alone.trident("serve", *alone.port_flags, *arguments, timeout_s=120)
    assert failed.returncode == CANNOT_START, failed.stdout + failed.stderr
    assert named in failed.stderr
    assert "why:" in failed.stderr and "next:" in failed.stderr
    assert "Traceback" not in failed.stdout + failed.stderr
    assert time.monotonic() - begun < 60


def test_damaged_weights_are_named(alone: Served, tmp_path: Path) -> None:
    from shutil import copytree

    from served import QUESTIONS

    copy = copytree(QUESTIONS.parent, tmp_path / "broken-demo")
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    failed = alone.trident("serve", str(copy), *alone.port_flags)
    assert failed.returncode == CANNOT_START
    assert "model.safetensors" in failed.stderr


def test_busy_port_is_named_with_its_holder_in_two_seconds(alone: Served) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", alone.grpc_port))
        holder.listen()
        begun = time.monotonic()
        failed = alone.trident("serve", "demo", *alone.port_flags)
        assert time.monotonic() - begun < 2
    assert failed.returncode == CANNOT_START
    assert str(alone.grpc_port) in failed.stderr and str(os.getpid()) in failed.stderr
