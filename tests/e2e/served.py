"""A real server on ports of its own, and how tests talk to it."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from trident.protocol.nursery import VARIABLE

FIRST_PORT = 15000
START_TIMEOUT_S = 300
REQUEST_TIMEOUT_S = 120
# Read once: httpx would read the system's certificates for each request, which costs more than most requests do.
CERTIFICATES = ssl.create_default_context()
QUESTIONS = Path(__file__).parents[2] / "src" / "trident" / "models" / "demo" / "questions.json"


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now. None that the kernel gives to clients: a server that is started once more on
    its ports would find one of them taken by somebody's connection."""
    first_of_clients = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    found: list[int] = []
    for port in random.sample(range(FIRST_PORT, first_of_clients), 50 * count):
        with socket.socket() as item, contextlib.suppress(OSError):
            item.bind(("127.0.0.1", port))
            found.append(port)
        if len(found) == count:
            return found
    raise AssertionError(f"there are no {count} free ports between {FIRST_PORT} and {first_of_clients}")


@contextlib.contextmanager
def engines_whole() -> Iterator[None]:
    """What is served meanwhile imports vLLM itself, as on a user's machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(VARIABLE, raising=False)
        yield


def questions(kind: str | None = None) -> list[dict[str, str]]:
    """What the demo model has learnt."""
    listed = json.loads(QUESTIONS.read_text(encoding="utf-8"))
    return [item for item in listed if kind in (None, item["kind"])]


@dataclass(frozen=True)
class Served:
    """A server started by the command line, in a state directory of its own."""

    state_dir: Path
    http_port: int
    grpc_port: int
    metrics_port: int
    openai_port: int
    model_name: str = "demo"

    @classmethod
    def plan(cls, state_dir: Path) -> Served:
        """Chooses the ports; ``start`` serves on them."""
        return cls(state_dir, *free_ports(4))

    @property
    def http_url(self) -> str:
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def grpc_url(self) -> str:
        return f"127.0.0.1:{self.grpc_port}"

    @property
    def openai_url(self) -> str:
        return f"http://127.0.0.1:{self.openai_port}/v1"

    @property
    def run_dir(self) -> Path:
        return self.state_dir / "run" / "default"

    @property
    def environ(self) -> dict[str, str]:
        return {**os.environ, "TRIDENT_STATE_DIR": str(self.state_dir)}

    @property
    def port_flags(self) -> list[str]:
        doors = ("http", "grpc", "metrics", "openai")
        return [part for door in doors for part in (f"--{door}-port", str(getattr(self, f"{door}_port")))]

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "trident", *arguments]

    def trident(self, *arguments: str, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
        """Runs a command of Trident to its end."""
        return subprocess.run(
            self.command(*arguments),
            env=self.environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=timeout_s,
        )

    def serve(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """``trident serve … --detach``."""
        return self.trident("serve", *arguments, *self.port_flags, "--detach", timeout_s=START_TIMEOUT_S)

    def state(self) -> dict[str, Any]:
        return json.loads((self.run_dir / "state.json").read_text(encoding="utf-8"))  # type: ignore[no-any-return]

    def log(self, name: str) -> str:
        return (self.run_dir / "logs" / f"{name}.log").read_text(encoding="utf-8", errors="replace")

    def generate(self, prompt: str, **parameters: Any) -> httpx.Response:
        """One answer of the generate contract, without the prompt in front."""
        body = {"text_input": prompt, "exclude_input_in_output": True, "temperature": 0, "max_tokens": 64, **parameters}
        return httpx.post(
            f"{self.http_url}/v2/models/generate/generate", json=body, timeout=REQUEST_TIMEOUT_S, verify=CERTIFICATES
        )

    def stream(self, prompt: str, **parameters: Any) -> list[dict[str, Any]]:
        """All events of one generate_stream."""
        body = {"text_input": prompt, "stream": True, "temperature": 0, "max_tokens": 64, **parameters}
        url = f"{self.http_url}/v2/models/generate/generate_stream"
        text = httpx.post(url, json=body, timeout=REQUEST_TIMEOUT_S, verify=CERTIFICATES).text
        return [json.loads(event) for event in re.findall(r"^data: (.*)$", text, re.MULTILINE)]

    def infer(self, prompts: list[str], **values: tuple[str, Any]) -> httpx.Response:
        """The recipe's contract; ``values`` map a name to datatype and value."""
        inputs: list[dict[str, Any]] = [
            {"name": "prompt", "datatype": "BYTES", "shape": [len(prompts)], "data": prompts}
        ]
        for name, (datatype, value) in values.items():
            inputs.append({"name": name, "datatype": datatype, "shape": [1], "data": [value]})
        url = f"{self.http_url}/v2/models/qwen3_vllm/infer"
        return httpx.post(url, json={"inputs": inputs}, timeout=REQUEST_TIMEOUT_S, verify=CERTIFICATES)

    def complete(self, prompt: str, **parameters: Any) -> dict[str, Any]:
        """One OpenAI completion."""
        body = {"model": self.model_name, "prompt": prompt, "temperature": 0, "max_tokens": 64, **parameters}
        answer = httpx.post(f"{self.openai_url}/completions", json=body, timeout=REQUEST_TIMEOUT_S, verify=CERTIFICATES)
        answer.raise_for_status()
        return answer.json()  # type: ignore[no-any-return]

    def settled_metrics(self) -> dict[str, float]:
        """``metrics`` once nothing runs and nothing more is written down: the relay records ten times a second."""
        deadline = time.monotonic() + 30
        last: dict[str, float] = {}
        while time.monotonic() < deadline:
            now = self.metrics()
            counted = {name: value for name, value in now.items() if name.startswith("vllm:")}
            if counted == last and now["vllm:num_requests_running"] == 0:
                return now
            last = counted
            time.sleep(0.3)  # longer than the relay's interval
        raise AssertionError("the statistics do not settle")

    def metrics(self) -> dict[str, float]:
        """Sums of vLLM's metrics over all labels, by name."""
        text = httpx.get(f"http://127.0.0.1:{self.openai_port}/metrics", timeout=30, verify=CERTIFICATES).text
        sums: dict[str, float] = {}
        for name, value in re.findall(r"^(\w[\w:]*)(?:\{[^}]*\})? (\S+)$", text, re.MULTILINE):
            sums[name] = sums.get(name, 0.0) + float(value)
        return sums
