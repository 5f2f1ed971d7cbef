from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import socket
import time
from pathlib import Path

import pytest
import supervisor_fakes as fakes

from trident.protocol import orders
from trident.supervisor import stand_in
from trident.supervisor.child import Child
from trident.supervisor.reach import http_json
from trident.supervisor.stand_in import StandIn


async def head_and_body(port: int, request: bytes) -> tuple[list[str], bytes]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    await writer.wait_closed()
    head, _, body = answer.partition(b"\r\n\r\n")
    return head.decode().split("\r\n"), body


def test_every_request_is_answered_503_with_retry_after() -> None:
    async def scenario() -> None:
        port = fakes.free_port()
        standing_in = StandIn("127.0.0.1", port)
        standing_in.open()
        standing_in.open()
        for request in (b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n", b"POST /v1/completions HTTP/1.0\r\n\r\n{}"):
            head, body = await head_and_body(port, request)
            error = json.loads(body)["error"]
            assert head[0] == "HTTP/1.1 503 Service Unavailable" and error["code"] == 503
            assert "Connection: close" in head
            assert any(line == "Retry-After: 11" for line in head), "nothing is known of a start but a guess"
        standing_in.close()
        standing_in.close()
        assert not standing_in.is_open
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)

    fakes.run(scenario())


def test_long_request_gets_its_answer_whole() -> None:
    async def scenario() -> None:
        port = fakes.free_port()
        standing_in = StandIn("127.0.0.1", port)
        standing_in.open()
        code, answer = await http_json("127.0.0.1", port, "/v1/completions", {"prompt": "x" * 5_000_000})
        assert code == 503 and answer["error"]["code"] == 503
        standing_in.close()

    fakes.run(scenario())


def test_client_that_asks_for_nothing_or_too_much_is_answered_and_let_go() -> None:
    async def scenario() -> None:
        port = fakes.free_port()
        standing_in = StandIn("127.0.0.1", port, patience_s=0.05)
        standing_in.open()
        head, _ = await head_and_body(port, b"")
        assert head[0].startswith("HTTP/1.1 503")
        head, _ = await head_and_body(port, b"GET / HTTP/1.1\r\nX: " + b"x" * 200_000 + b"\r\n\r\n")
        assert head[0].startswith("HTTP/1.1 503")
        standing_in.close()

    fakes.run(scenario())


def test_port_is_shared_with_the_server_that_comes() -> None:
    async def scenario() -> None:
        port = fakes.free_port()
        standing_in = StandIn("127.0.0.1", port)
        standing_in.open()
        with socket.socket() as server:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            server.bind(("127.0.0.1", port))
            assert (await http_json("127.0.0.1", port, "/health"))[0] == 503
            server.listen()
            standing_in.close()
            with socket.create_connection(("127.0.0.1", port), 1):
                server.accept()[0].close()

    fakes.run(scenario())


def test_port_that_somebody_else_has_is_left_to_him() -> None:
    async def scenario() -> None:
        with socket.socket() as holder:
            holder.bind(("127.0.0.1", 0))
            holder.listen()
            standing_in = StandIn("127.0.0.1", holder.getsockname()[1])
            standing_in.open()
            assert not standing_in.is_open

    fakes.run(scenario())


def test_it_is_open_while_the_engine_host_is_lost_not_while_it_is_suspicious(tmp_path: Path) -> None:
    body = """
signal.signal(signal.SIGUSR1, lambda *_: tell("unready", why="stopped"))
signal.signal(signal.SIGUSR2, lambda *_: tell("unready", why="dead", is_lost=True))
tell("ready")
while True: signal.pause()
"""

    async def scenario() -> None:
        standing_in = StandIn("127.0.0.1", fakes.free_port())
        child = Child(fakes.command(tmp_path, body), lambda: standing_in.tend(child))
        child.start()
        assert standing_in.is_open
        await child.wait_until_ready(10)
        assert not standing_in.is_open
        assert child.pid is not None
        os.kill(child.pid, signal.SIGUSR1)
        await fakes.until(lambda: not child.is_ready)
        assert child.may_recover and not standing_in.is_open, "its server is there"
        os.kill(child.pid, signal.SIGUSR2)
        await fakes.until(lambda: standing_in.is_open)
        await child.stop(5, asyncio.Event())
        assert standing_in.is_open
        standing_in.close()

    fakes.run(scenario())


@pytest.mark.parametrize("order", [orders.REFUSE, orders.HAND_OVER])
def test_host_on_its_way_out_answers_by_itself(tmp_path: Path, order: signal.Signals) -> None:
    async def scenario() -> None:
        standing_in = StandIn("127.0.0.1", fakes.free_port())
        child = Child(fakes.host(tmp_path, "busy"), lambda: standing_in.tend(child))
        child.start()
        await child.wait_until_ready(10)
        child.order(order)
        assert child.phase == "draining" and not standing_in.is_open
        child.order(orders.EXPEL)
        await child.drained.wait()
        assert child.phase == "draining" and not standing_in.is_open
        await child.stop(5, asyncio.Event())
        assert standing_in.is_open
        standing_in.close()

    fakes.run(scenario())


def test_flood_leaves_descriptors_for_the_engine_that_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stand_in, "MOST_CONNECTIONS", 2)

    async def scenario() -> None:
        port = fakes.free_port()
        standing_in = StandIn("127.0.0.1", port)
        standing_in.open()
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        assert await silent[2][0].read() == b""
        for _, writer in silent[:2]:
            writer.write(b"GET / HTTP/1.1\r\n\r\n")
        assert [(await reader.read())[:12] for reader, _ in silent[:2]] == [b"HTTP/1.1 503"] * 2
        for _, writer in silent:
            writer.close()
        standing_in.close()

    fakes.run(scenario())


def test_without_descriptors_it_waits_and_then_answers() -> None:
    async def scenario() -> None:
        port = fakes.free_port()
        standing_in = StandIn("127.0.0.1", port)
        standing_in.open()
        client = socket.create_connection(("127.0.0.1", port))
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        try:
            used_s = time.process_time()
            await asyncio.sleep(0.5)
            assert time.process_time() - used_s < 0.2, "it must not turn round and round"
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert (await asyncio.to_thread(client.recv, 12)) == b"HTTP/1.1 503"
        client.close()
        standing_in.close()

    fakes.run(scenario())
