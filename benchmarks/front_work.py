"""What the way from the relay to a client costs: real stubs, a real tritonserver, real clients, and a program that
hands out tokens at an engine's pace in the engine's place. It is for finding costs and comparing settings; nothing that
it says is a claim about serving a model.

    python benchmarks/front_work.py [--streams 64] [--step-ms 10] [--settings "2:0.4 2:1 4:1"] [--rounds 2]

A setting is stubs:response_share. All stand in one tritonserver, and take turns.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

import psutil
import servers
import zmq
from tokenizers import Tokenizer

sys.path.insert(0, str(Path(__file__).with_name("gpu")))

import speed_client
from speed_doors import generate_stream

from trident.config import load as load_config
from trident.config import paths
from trident.protocol import sockets
from trident.protocol.messages import VERSION, Accepted, Delta, EngineReady, FromStub, Hello, Submit, Tokens
from trident.runtime.control_env import triton_install
from trident.supervisor.run_directory import RunDirectory
from trident.triton import command as triton_command
from trident.triton import repository
from trident.triton.command import shm_prefix

LENGTH = 1
CLIENTS_START_S = 0.5


class TokenSource(threading.Thread):
    """Stands for engine and relay: answers each request with ``max_tokens`` tokens, one for each step."""

    def __init__(self, address: str, step_s: float) -> None:
        super().__init__(daemon=True)
        self._step_s = step_s
        self._context: zmq.Context[Any] = zmq.Context()
        self._codec: sockets.Codec[FromStub] = sockets.Codec(FromStub)
        self._inbound = sockets.pull(self._context, address)
        self._address = address
        self._ids = (
            Tokenizer.from_file(str(servers.MODEL / "tokenizer.json")).encode("The capital of France. " * 50).ids
        )
        self._stubs: dict[int, zmq.Socket[Any]] = {}
        self._left: dict[int, dict[int, int]] = {}
        self.steps = 0
        self.is_closing = False

    def run(self) -> None:
        """Steps, and requests between them."""
        next_s = time.monotonic()
        while not self.is_closing:
            wait_s = next_s - time.monotonic()
            if self._inbound.poll(max(0, int(1000 * wait_s))):
                self._take(*self._inbound.recv_multipart())
            elif wait_s < 0.001:
                next_s = max(next_s + self._step_s, time.monotonic() - self._step_s)
                self._step()

    def _take(self, *frames: bytes) -> None:
        pid = int.from_bytes(frames[0], "little")
        message = self._codec.decode(frames[1])
        if isinstance(message, Hello):
            outbound = self._stubs[pid] = sockets.push(self._context, queue_unconnected=True)
            outbound.connect(message.address)
            self._left[pid] = {}
            tokenizer = str(servers.MODEL / "tokenizer.json")
            self._send(pid, EngineReady(VERSION, 1, self._address, "m", 9999, 1, tokenizer))
        elif isinstance(message, Submit):
            self._send(pid, Accepted(message.id, self._ids[:20], 1, [], False, 0, True, True, True))
            self._left[pid][message.id] = int(message.sampling["max_tokens"])

    def _step(self) -> None:
        self.steps += 1
        for pid, left in self._left.items():
            news = []
            for id in list(left):
                left[id] -= 1
                token = self._ids[(self.steps + id) % len(self._ids)]
                news.append(Delta(id, [token], None if left[id] else LENGTH))
                if not left[id]:
                    del left[id]
            if news:
                self._send(pid, Tokens(news))

    def _send(self, pid: int, message: Any) -> None:
        sockets.send(self._stubs[pid], self._codec.encode(message))


def client(port: int, model: str, streams: int, requests: int, tokens: int) -> None:
    """A process of its own: prints seconds, events, and the median of the first event's time."""
    door = generate_stream("x", "x", port, model)
    begun_s = time.perf_counter()
    heard = asyncio.run(
        speed_client.run(door, streams=streams, requests=requests, tokens=tokens, words=24, seed=int(begun_s))
    )
    good = [one for one in heard if one is not None]
    first = sorted(one.first_s for one in good)
    seconds = time.perf_counter() - begun_s
    print(len(good), seconds, sum(one.events for one in good), 1e3 * first[len(first) // 2], time.process_time())


def main() -> None:
    """Prints a line for each setting and round."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--streams", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--waves", type=int, default=2)
    parser.add_argument("--step-ms", type=float, default=10)
    parser.add_argument("--settings", default="2:0.4 2:1")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--flags", default="", help="further ones of tritonserver")
    parser.add_argument("--hold-s", type=float, default=0, help="load without end, for a profiler")
    parser.add_argument("--client", nargs=3)
    asked = parser.parse_args()
    if asked.client:
        port, model, requests = asked.client
        client(int(port), model, asked.streams, int(requests), asked.tokens)
        return
    with tempfile.TemporaryDirectory(prefix="fw") as state:
        os.environ["TRIDENT_STATE_DIR"] = state
        http, grpc, metrics, openai = servers.free_ports(4)
        ports = {"http_port": http, "grpc_port": grpc, "metrics_port": metrics, "openai_port": openai}
        config = load_config({**ports, "model": "demo", "name": "front"}, environ={})
        directory = RunDirectory(config, shm_prefix(config))
        directory.acquire()
        relay = sockets.address(config.sockets_dir, "relay-0.sock")
        source = TokenSource(relay, asked.step_ms / 1000)
        source.start()
        settings = [word.split(":") for word in asked.settings.split()]
        models = {}
        for number, (stubs, share) in enumerate(settings):
            chosen = config.stubs.model_copy(update={"stubs": int(stubs), "response_share": float(share)})
            named = config.contracts.model_copy(update={"generate_name": f"g{number}"})
            models[f"g{number}"] = config.model_copy(update={"stubs": chosen, "contracts": named})
        first, *others = models
        folder = repository.write(models[first], [relay], "cpu")
        for name in others:
            shutil.copytree(folder / first, folder / name)
            text = repository.configurations(models[name], [relay], "cpu")[name]
            (folder / name / repository.CONFIGURATION).write_text(text)
        install = triton_install(paths.data_dir())
        log = (Path(state) / "triton.log").open("wb")
        triton = subprocess.Popen(
            [*triton_command.argv(config, install, folder, config.places.metrics), *asked.flags.split()],
            env=triton_command.environment(install),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        try:
            _wait(f"http://127.0.0.1:{http}/v2/health/ready", triton)
            print(f"tritonserver is {triton.pid}", flush=True)
            for number in range(asked.rounds):
                for name, (stubs, share) in zip(models, settings, strict=True):
                    line = measure(asked, triton.pid, http, name, source)
                    print(f"round {number}: {stubs} stubs, share {share}: {line}", flush=True)
        finally:
            triton.terminate()
            try:
                triton.wait(30)
            except subprocess.TimeoutExpired:
                triton.kill()
                triton.wait()
            source.is_closing = True
            directory.release()


def measure(asked: argparse.Namespace, triton_pid: int, port: int, name: str, source: TokenSource) -> str:
    """One load at one setting."""
    triton = psutil.Process(triton_pid)
    stubs = [one for one in triton.children(recursive=True) if any(f"/{name}/" in word for word in one.cmdline())]
    before, steps, begun_s = [_cpu_s([triton]), _cpu_s(stubs)], source.steps, time.monotonic()
    requests = asked.streams * asked.waves
    command = [sys.executable, __file__, "--streams", str(asked.streams), "--tokens", str(asked.tokens)]
    command += ["--client", str(port), name, str(requests)]
    while True:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if time.monotonic() - begun_s >= asked.hold_s:
            break
    if done.returncode:
        raise SystemExit(done.stderr)
    good, seconds, events, first_ms, client_s = map(float, done.stdout.split())
    tokens = good * asked.tokens
    spent = [after - b for after, b in zip([_cpu_s([triton]), _cpu_s(stubs)], before, strict=True)]
    per_token = [1e6 * value / tokens for value in spent]
    per_event = [1e6 * value / events for value in spent]
    return (
        f"{tokens / seconds:7.0f} tok/s, {tokens / events:.2f} tokens/event, first {first_ms:.1f} ms; µs per token: "
        f"tritonserver {per_token[0]:.1f}, stubs {per_token[1]:.1f}; an event: {per_event[0]:.1f}, {per_event[1]:.1f}; "
        f"client {1e6 * client_s / events:.0f} an event; {source.steps - steps} steps, {requests - good:.0f} failed"
    )


def _cpu_s(processes: list[psutil.Process]) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def _wait(url: str, triton: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        try:
            urllib.request.urlopen(url, timeout=2).close()
            return
        except OSError:
            if triton.poll() is not None:
                raise SystemExit(f"tritonserver has ended with {triton.returncode}") from None
            time.sleep(0.1)
    raise SystemExit("tritonserver is not ready")


if __name__ == "__main__":
    main()
