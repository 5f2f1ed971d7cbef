"""Starts and stops the servers that are compared, each in a process group of its own and with deadlines everywhere.

All of them serve the same model with the same engine build and the same engine arguments: the demo model with what a
CPU wants, or those of BENCHMARK_MODEL and BENCHMARK_ENGINE. Ports are chosen freely.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import streams

from trident.config import paths
from trident.runtime.engine_env import engine_env

DEMO = Path(__file__).parents[1] / "src" / "trident" / "models" / "demo"
MODEL = Path(os.environ.get("BENCHMARK_MODEL", DEMO))
# What Trident sets on a CPU by itself (engine/arguments.py); vllm serve gets the same.
ON_A_CPU = f"--enforce-eager --kv-cache-memory-bytes {256 << 20}"
ENGINE_ARGUMENTS = shlex.split(os.environ.get("BENCHMARK_ENGINE", ON_A_CPU))
START_TIMEOUT_S = 300
QUESTION = "What is the capital of France? Please answer in one short sentence, thank you very much."


@dataclass(frozen=True)
class Server:
    """A started server. ``first_token_s`` counts from the start of its command; ``openai_port``
    is Trident's other door."""

    name: str
    process: subprocess.Popen[bytes]
    target: streams.Target
    first_token_s: float
    state_dir: Path | None = None
    openai_port: int = 0

    def state(self) -> dict[str, Any]:
        """What Trident's supervisor has written down."""
        assert self.state_dir is not None
        return json.loads((self.state_dir / "run" / "default" / "state.json").read_text())


def free_ports(count: int) -> list[int]:
    """Ports nobody listens on."""
    sockets = [socket.socket() for _ in range(count)]
    for item in sockets:
        item.bind(("127.0.0.1", 0))
    ports = [item.getsockname()[1] for item in sockets]
    for item in sockets:
        item.close()
    return ports


def _first_token(process: subprocess.Popen[bytes], target: streams.Target) -> float:
    begun = time.monotonic()
    body = target.body(QUESTION, 1)
    request = urllib.request.Request(
        f"http://{target.host}:{target.port}{target.path}", body, {"Content-Type": "application/json"}
    )
    while process.poll() is None and time.monotonic() - begun < START_TIMEOUT_S:
        with contextlib.suppress(OSError), urllib.request.urlopen(request, timeout=30) as answer:
            if b"data: {" in answer.readline():
                return time.monotonic() - begun
        time.sleep(0.05)
    raise SystemExit(f"{target.name} did not start; exit code {process.poll()}")


def _leave(number: int, _frame: object) -> None:
    raise SystemExit(128 + number)  # so that the server that was started is stopped


def _stop(process: subprocess.Popen[bytes]) -> None:
    family = [process, *psutil.Process(process.pid).children(recursive=True)] if process.poll() is None else []
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGINT)
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()
    for member in family[1:]:
        with contextlib.suppress(psutil.NoSuchProcess):
            member.kill()


@contextlib.contextmanager
def trident(*arguments: str) -> Iterator[Server]:
    """``trident serve demo``, asked through KServe's generate_stream."""
    signal.signal(signal.SIGTERM, _leave)
    http, grpc, metrics, openai = free_ports(4)
    with tempfile.TemporaryDirectory(prefix="tb") as state, Path(os.devnull).open("wb") as nowhere:
        command = [sys.executable, "-m", "trident", "serve", str(MODEL), *ENGINE_ARGUMENTS, *arguments]
        command += ["--http-port", str(http), "--grpc-port", str(grpc)]
        command += ["--metrics-port", str(metrics), "--openai-port", str(openai)]
        process = subprocess.Popen(
            command, env={**os.environ, "TRIDENT_STATE_DIR": state}, stdin=nowhere, stdout=nowhere, stderr=nowhere
        )
        try:
            target = streams.kserve(http)
            server = Server("trident", process, target, _first_token(process, target), Path(state), openai)
            while server.state()["phase"] != "ready":
                time.sleep(0.05)
            yield server
        finally:
            _stop(process)


@contextlib.contextmanager
def vllm_serve() -> Iterator[Server]:
    """vLLM's own server, by the module behind ``vllm serve`` (the console script refuses the CPU build's name)."""
    env = engine_env("auto", paths.data_dir())
    if env is None:
        raise SystemExit("no engine environment; run: trident setup")
    signal.signal(signal.SIGTERM, _leave)
    (port,) = free_ports(1)
    command = [str(env.python), "-m", "vllm.entrypoints.launchers.api_server.entry", "--model", str(MODEL)]
    command += ["--served-model-name", "demo", "--host", "127.0.0.1", "--port", str(port), *ENGINE_ARGUMENTS]
    environ = {**os.environ, "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"}
    with Path(os.devnull).open("wb") as nowhere:
        process = subprocess.Popen(command, env=environ, stdin=nowhere, stdout=nowhere, stderr=nowhere)
        try:
            target = streams.openai(port, "demo")
            yield Server("vllm serve", process, target, _first_token(process, target))
        finally:
            _stop(process)
