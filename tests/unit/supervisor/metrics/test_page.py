from __future__ import annotations

import asyncio
import http.client
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import supervisor_fakes as fakes
from prometheus_client.parser import text_string_to_metric_families

from trident.config.places import Place
from trident.protocol import status
from trident.supervisor.metrics import page
from trident.supervisor.metrics.page import Sources
from trident.supervisor.processes import identify
from trident.supervisor.state import ChildState, EngineCounts, ServerState

TRITON = '# HELP nv_inference_count Count.\n# TYPE nv_inference_count counter\nnv_inference_count{model="a"} 2\n'
RUST = '# TYPE vllm:prompt_tokens_total counter\nvllm:prompt_tokens_total{engine="0"} 7\n'


@pytest.fixture(autouse=True)
def _short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "SCRAPE_TIMEOUT_S", 0.3)


def save_state(run_dir: Path, openai_port: int = 1, **facts: str) -> None:
    process = identify(os.getpid())
    assert process is not None
    counts = EngineCounts(
        folder=str(run_dir / "prometheus"),
        served_name="demo",
        model="generate",
        version="1",
        openai_host="127.0.0.1",
        openai_port=openai_port,
    )
    host = ChildState(
        name="engine host", log_path="", process=process, phase="ready", since=0, is_ready=True, restarts=0,
        facts=facts, counts=counts,
    )  # fmt: skip
    ServerState(
        name="x", run_dir=str(run_dir), process=process, started=0, phase="ready", since=0, children=[host]
    ).save(run_dir)


class Door:
    """A metrics door that says this; None: it takes the connection and says nothing."""

    def __init__(self, text: str | None) -> None:
        self.port = fakes.free_port()
        self._text = text
        self._left = asyncio.Event()

    async def __aenter__(self) -> Door:
        self._server = await asyncio.start_server(self._talk, "127.0.0.1", self.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        if self._text is None:
            await self._left.wait()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if self._text is not None:
            body = self._text.encode()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            await writer.drain()
        else:
            await reader.read()
        writer.close()
        await writer.wait_closed()
        self._left.set()


def test_page_holds_tritons_text_as_it_is(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Door(TRITON) as triton:
            assert await Sources(Place("127.0.0.1", triton.port), tmp_path).page() == TRITON.encode()

    fakes.run(scenario())


def test_page_comes_without_a_triton_that_is_silent(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Door(None) as triton:
            begun_s = time.monotonic()
            assert await Sources(Place("127.0.0.1", triton.port), tmp_path).page() == b""
            assert time.monotonic() - begun_s < 5

    fakes.run(scenario())


def test_page_comes_without_a_triton_that_is_gone(tmp_path: Path) -> None:
    fakes.run(expect(Sources(Place("127.0.0.1", fakes.free_port()), tmp_path), b""))


async def expect(sources: Sources, page: bytes) -> None:
    assert await sources.page() == page


def test_rust_front_end_is_asked_too_and_a_python_one_is_not_counted_twice(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Door(RUST) as openai:
            save_state(tmp_path, openai.port, openai_server="rust")
            text = (await Sources(Place("127.0.0.1", 1), tmp_path).page()).decode()
            assert 'vllm:prompt_tokens_total{engine="0",model="generate",model_name="demo",version="1"} 7.0' in text
            save_state(tmp_path, openai.port, openai_server="python")
            assert b"vllm:" not in await Sources(Place("127.0.0.1", 1), tmp_path).page()

    fakes.run(scenario())


def test_page_over_http(tmp_path: Path) -> None:
    port = fakes.free_port()
    read_fd, write_fd = os.pipe()
    command = [
        sys.executable,
        "-m",
        "trident.supervisor.metrics",
        "127.0.0.1",
        str(port),
        "127.0.0.1",
        "1",
        str(tmp_path),
    ]
    environ = {**os.environ, status.FD_VARIABLE: str(write_fd)}
    with subprocess.Popen(command, env=environ, pass_fds=[write_fd]) as server:
        try:
            assert status.parse(os.read(read_fd, 4096)) == status.Ready()
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            for path, code in [("/metrics", 200), ("/", 404), ("/metrics?x=1", 200)]:
                connection.request("GET", path)
                answer = connection.getresponse()
                body = answer.read().decode()
                assert answer.status == code
                if code == 200:
                    assert list(text_string_to_metric_families(body)) == []
                    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        finally:
            server.kill()
            os.close(read_fd)
            os.close(write_fd)


def test_busy_port_is_told(tmp_path: Path) -> None:
    read_fd, write_fd = os.pipe()
    command = [sys.executable, "-m", "trident.supervisor.metrics", "127.0.0.1", "1x", "127.0.0.1", "1", str(tmp_path)]

    async def scenario() -> None:
        async with Door("") as other:
            port = command[4] = str(other.port)
            environ = {**os.environ, status.FD_VARIABLE: str(write_fd)}
            done = await asyncio.to_thread(subprocess.run, command, env=environ, pass_fds=[write_fd], timeout=10)
            told = status.parse(os.read(read_fd, 4096))
            assert done.returncode == 3
            assert isinstance(told, status.Failed) and port in told.what

    fakes.run(scenario())
    os.close(read_fd)
    os.close(write_fd)
