"""Readers that stop: they cost neither their neighbours nor more memory than the answers that nobody fetches."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import long_requests
import pytest
import server_processes
from served import CERTIFICATES, Served

log = logging.getLogger(__name__)

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

READERS = 10
TOKENS = 1500
NEIGHBOURS_TOKENS = 200
MOST_BYTES_OF_AN_ANSWER = 2 << 20
"""Of 1500 responses that wait for their reader, each with what Triton keeps beside its text."""
MOST_TIMES_SLOWER = 3.0
"""Than beside readers that read, who take as much of the engine; a test's machine is never quiet."""


def http_readers(server: Served, count: int) -> list[socket.socket]:
    """Each has asked for a long stream and has the smallest buffer that the kernel gives."""
    readers = []
    for _ in range(count):
        reader = socket.socket()
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        reader.connect(("127.0.0.1", server.http_port))
        reader.sendall(long_requests.generate_stream(TOKENS))
        readers.append(reader)
    return readers


@contextmanager
def readers(server: Served, *, do_read: bool) -> Iterator[None]:
    """Half over HTTP, half over gRPC."""
    channel = long_requests.channel(server.grpc_url)
    over_grpc = [long_requests.stream_infer(channel, TOKENS) for _ in range(READERS // 2)]
    over_http = http_readers(server, READERS // 2)
    threads = []
    if do_read:
        threads = [threading.Thread(target=list, args=(call,)) for call in over_grpc]
        threads += [threading.Thread(target=read_to_end, args=(reader,)) for reader in over_http]
    for thread in threads:
        thread.start()
    try:
        yield
        for thread in threads:
            thread.join(120)
    finally:
        for reader in over_http:
            reader.close()
        channel.close()


def read_to_end(reader: socket.socket) -> None:
    tail = b""
    while not tail.endswith(b"0\r\n\r\n") and (data := reader.recv(1 << 16)):
        tail = (tail + data)[-5:]


def wait_until_running(server: Served, is_enough: range) -> None:
    deadline_s = time.monotonic() + 120
    while server.metrics()["vllm:num_requests_running"] not in is_enough:
        assert time.monotonic() < deadline_s, server.metrics()["vllm:num_requests_running"]
        time.sleep(0.1)


def seconds_of_a_neighbour(server: Served) -> float:
    """From its first token to its last."""
    stamps = []
    body = {"text_input": "Tell me a story.", "stream": True, "max_tokens": NEIGHBOURS_TOKENS, "ignore_eos": True}
    url = f"{server.http_url}{long_requests.GENERATE_STREAM}"
    with httpx.stream("POST", url, json=body, timeout=120, verify=CERTIFICATES) as response:
        for line in response.iter_lines():
            if line:
                stamps.append(time.monotonic())
    return stamps[-1] - stamps[0]


def rss_bytes(server: Served) -> dict[str, int]:
    processes = server_processes.of_trident(server.state())
    return {name: server_processes.holding(process).rss_bytes for name, process in processes.items()}


def test_stopped_readers_neither_slow_their_neighbours_nor_take_unbounded_memory(server: Served) -> None:
    with readers(server, do_read=True):
        wait_until_running(server, range(READERS, READERS + 1))
        beside_reading_s = seconds_of_a_neighbour(server)
    server.settled_metrics()
    before = rss_bytes(server)
    with readers(server, do_read=False):
        wait_until_running(server, range(READERS, READERS + 1))
        beside_stopped_s = seconds_of_a_neighbour(server)
        # The engine makes all their tokens, whoever fetches them: it is not held up either.
        wait_until_running(server, range(1))
        grown = {name: now - before[name] for name, now in rss_bytes(server).items()}
    after = server.settled_metrics()
    log.info("a neighbour: %.2f s beside readers, %.2f s beside stopped ones", beside_reading_s, beside_stopped_s)
    log.info("grown by MiB: %s", {name: round(growth / 2**20, 1) for name, growth in grown.items()})
    assert beside_stopped_s < MOST_TIMES_SLOWER * beside_reading_s
    assert max(grown.values()) < READERS * MOST_BYTES_OF_AN_ANSWER, grown
    assert after["vllm:kv_cache_usage_perc"] == 0
