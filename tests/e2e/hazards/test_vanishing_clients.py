"""Clients that disconnect at random moments leave nothing in the engine and nothing in a process.

More of them than a CI run has time for:

    VANISHING_CLIENTS=1000 python -m pytest --log-cli-level=info tests/e2e/hazards/test_vanishing_clients.py
"""

from __future__ import annotations

import logging
import os
import random
import signal
import socket
import struct
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import long_requests
import pytest
import server_processes
from served import Served

log = logging.getLogger(__name__)

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

CLIENTS = int(os.environ.get("VANISHING_CLIENTS", "200"))
AT_ONCE = 40
TOKENS = 1900
LONGEST_STAY_S = 1.5
SETTLE_S = 30
GIVEN_UP_WITHIN_S = 40
"""Twice of what tritonserver is asked for."""
LINGER_0 = struct.pack("ii", 1, 0)
"""Closing sends a reset, as a machine does whose process was killed with unread data."""


def over_a_socket(port: int, wire: bytes, stay_s: float, *, is_reset: bool) -> None:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        if is_reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_0)
        connection.sendall(wire)
        time.sleep(stay_s)


def over_grpc(server: Served, stay_s: float, *, is_stream: bool) -> None:
    channel = long_requests.channel(server.grpc_url)
    ask = long_requests.stream_infer if is_stream else long_requests.infer
    call = ask(channel, TOKENS)
    time.sleep(stay_s)
    channel.close()
    del call  # held until here: a call that nobody holds is cancelled


def vanish(server: Served, number: int) -> None:
    """Door and moment by its number."""
    rng = random.Random(number)
    stay_s, is_reset = rng.uniform(0, LONGEST_STAY_S), rng.random() < 0.5
    door = number % 4
    if door == 0:
        over_a_socket(server.http_port, long_requests.generate_stream(TOKENS), stay_s, is_reset=is_reset)
    elif door == 1:
        wire = long_requests.completions(server.model_name, TOKENS)
        over_a_socket(server.openai_port, wire, stay_s, is_reset=is_reset)
    else:
        over_grpc(server, stay_s, is_stream=door == 2)


def holdings(server: Served) -> dict[str, server_processes.Holding]:
    processes = server_processes.of_trident(server.state())
    return {name: server_processes.holding(process) for name, process in processes.items()}


def vanish_all(server: Served, clients: int, first: int = 0) -> None:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda number: vanish(server, number), range(first, first + clients)))


def test_vanishing_clients_leave_nothing(server: Served) -> None:
    vanish_all(server, AT_ONCE, first=10_000)  # what a process opens once and keeps
    server.settled_metrics()
    before = holdings(server)
    tokens_before = server.metrics()["vllm:generation_tokens_total"]
    vanish_all(server, CLIENTS)
    after = server.settled_metrics()
    assert after["vllm:num_requests_waiting"] == 0
    assert after["vllm:kv_cache_usage_perc"] == 0
    assert after["vllm:generation_tokens_total"] - tokens_before < CLIENTS * TOKENS / 2
    deadline_s = time.monotonic() + SETTLE_S
    while more := {
        name: f"{before[name].descriptors} -> {now.descriptors}"
        for name, now in holdings(server).items()
        if now.descriptors > before[name].descriptors
    }:
        assert time.monotonic() < deadline_s, f"descriptors left after {CLIENTS} clients: {more}"
        time.sleep(0.2)
    for name, now in holdings(server).items():
        rss = (now.rss_bytes - before[name].rss_bytes) / 2**20
        log.info("%s: %d descriptors, %d threads, %+.1f MiB", name, now.descriptors, now.threads, rss)
    assert server.generate("What is the capital of France?").status_code == 200


SILENT_CLIENT = """
import sys, time, long_requests
channel = long_requests.channel(sys.argv[1])
call = long_requests.stream_infer(channel, 1900)
next(call)
print("there", flush=True)
time.sleep(600)
"""


def grpc_connections(server: Served) -> int:
    triton = server_processes.of_trident(server.state())["tritonserver"]
    return sum(one.status == "ESTABLISHED" for one in triton.net_connections() if one.laddr.port == server.grpc_port)


def test_grpc_client_that_is_gone_without_a_word_is_given_up(server: Served) -> None:
    before = grpc_connections(server)
    environ = {**os.environ, "PYTHONPATH": os.fspath(Path(long_requests.__file__).parent)}
    command = [sys.executable, "-c", SILENT_CLIENT, server.grpc_url]
    client = subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, encoding="utf-8")
    try:
        assert client.stdout is not None and client.stdout.readline() == "there\n"
        assert grpc_connections(server) == before + 1
        client.send_signal(signal.SIGSTOP)  # its kernel goes on to say that it is there
        deadline_s = time.monotonic() + GIVEN_UP_WITHIN_S
        while grpc_connections(server) > before:
            assert time.monotonic() < deadline_s
            time.sleep(0.2)
    finally:
        client.kill()
        client.communicate()
