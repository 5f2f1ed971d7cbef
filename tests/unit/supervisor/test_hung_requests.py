from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest
import supervisor_fakes as fakes

from trident.protocol.ages import Held
from trident.supervisor import hung_requests
from trident.supervisor.hung_requests import HungRequests
from trident.supervisor.in_flight import Buried, InFlight

OTHER = 12
REQUEST_BYTES = 200

SERVER = """
import os, socket, sys, threading
door, grpc_door = socket.create_server(("127.0.0.1", 0)), socket.create_server(("127.0.0.1", 0))
print(door.getsockname()[1], grpc_door.getsockname()[1], flush=True)
def echo(one):
    while data := one.recv(1000):
        one.sendall(data)
def serve(door):
    while True:
        threading.Thread(target=echo, args=[door.accept()[0]], daemon=True).start()
threading.Thread(target=serve, args=[grpc_door], daemon=True).start()
serve(door)
"""


class Told(InFlight):
    """Stubs have ``told`` this; the engine serves when ``moves``."""

    moves = True

    def __init__(self, told: dict[int, Held]) -> None:
        super().__init__(list)
        self.told = told

    def now(self) -> dict[int, Held]:
        return self.told


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hung_requests, "LOOK_S", 0.05)
    monkeypatch.setattr(hung_requests, "SETTLE_S", 0.1)
    monkeypatch.setattr(hung_requests, "LONGEST_S", 0.6)


@pytest.fixture
def server() -> Iterator[tuple[int, int, int]]:
    """Pid, HTTP port and gRPC port."""
    with subprocess.Popen([sys.executable, "-S", "-c", SERVER], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        http, grpc = map(int, process.stdout.readline().split())
        yield process.pid, http, grpc
        process.kill()


class Client:
    """A connection; what it sends is answered."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=5)
        self.is_closed = threading.Event()
        self.ask()
        threading.Thread(target=self._watch, daemon=True).start()

    def ask(self) -> None:
        self._socket.sendall(bytes(REQUEST_BYTES))

    def _watch(self) -> None:
        self._socket.settimeout(30)
        with contextlib.suppress(OSError):
            while self._socket.recv(1000):
                pass
        self.is_closed.set()

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def clients(server: tuple[int, int, int]) -> Iterator[tuple[Client, Client]]:
    """One over HTTP, one over gRPC."""
    both = Client(server[1]), Client(server[2])
    yield both
    for client in both:
        client.close()


def hung(
    server: tuple[int, int, int], in_flight: InFlight, *, count: int = 0, begun_s: tuple[float, ...] = ()
) -> HungRequests:
    pid, http, grpc = server
    return HungRequests(pid, http, grpc, in_flight, Buried(count, begun_s))


def test_silent_connection_is_closed_once_older_requests_have_ended(
    server: tuple[int, int, int], clients: tuple[Client, Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hung_requests, "LONGEST_S", 60)

    async def scenario() -> None:
        in_flight = Told({OTHER: Held(3, 7, 2)})
        await asyncio.sleep(0.1)
        ending = asyncio.ensure_future(hung(server, in_flight).end({OTHER}))
        await asyncio.sleep(0.5)  # what must not happen has no event
        assert not any(client.is_closed.is_set() for client in clients)
        in_flight.told = {OTHER: Held(8, 9, 2)}
        await fakes.until(lambda: all(client.is_closed.is_set() for client in clients))
        assert not ending.done(), "that stub is still wanted"
        in_flight.told = {}
        await asyncio.wait_for(ending, 5)

    fakes.run(scenario())


def test_connection_that_brings_a_new_request_is_spared(
    server: tuple[int, int, int], clients: tuple[Client, Client]
) -> None:
    async def scenario() -> None:
        await asyncio.sleep(0.1)
        ending = asyncio.ensure_future(hung(server, Told({})).end(set()))
        await asyncio.sleep(0)
        for client in clients:
            client.ask()
        await asyncio.wait_for(ending, 5)
        assert not any(client.is_closed.is_set() for client in clients)

    fakes.run(scenario())


def test_shared_grpc_connection_is_closed_when_nothing_is_in_flight(
    server: tuple[int, int, int], clients: tuple[Client, Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hung_requests, "LONGEST_S", 60)

    async def scenario() -> None:
        in_flight = Told({OTHER: Held(3, 7, 2)})
        await asyncio.sleep(0.1)
        ending = asyncio.ensure_future(hung(server, in_flight, count=3).end(set()))
        await asyncio.sleep(0)
        for client in clients:
            client.ask()
        in_flight.told = {OTHER: Held(9, 9, 1)}
        await asyncio.sleep(0.5)
        assert not any(client.is_closed.is_set() for client in clients), "younger streams may be on it"
        in_flight.told = {}
        await asyncio.wait_for(ending, 5)
        assert [client.is_closed.wait(1) for client in clients] == [False, True]

    fakes.run(scenario())


def test_grpc_connection_with_other_requests_is_spared_when_all_that_hung_are_found(
    server: tuple[int, int, int], clients: tuple[Client, Client]
) -> None:
    async def scenario() -> None:
        third = Client(server[2])
        await asyncio.sleep(0.1)
        ending = asyncio.ensure_future(hung(server, Told({}), count=2).end(set()))
        await asyncio.sleep(0)
        third.ask()
        await asyncio.wait_for(ending, 5)
        assert [client.is_closed.wait(1) for client in clients] == [True, True]
        assert not third.is_closed.is_set()
        third.close()

    fakes.run(scenario())


def test_idle_connection_is_not_taken_for_one_that_hung(
    server: tuple[int, int, int], clients: tuple[Client, Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hung_requests, "IDLE_S", 0.05)

    async def scenario() -> None:
        await asyncio.sleep(0.2)  # both were answered long ago
        ending = asyncio.ensure_future(hung(server, Told({}), count=1).end(set()))
        await asyncio.sleep(0)
        clients[1].ask()
        await asyncio.wait_for(ending, 5)
        assert [client.is_closed.wait(1) for client in clients] == [True, True], (
            "the one that hung may be on the second"
        )

    fakes.run(scenario())


def test_grpc_connection_whose_request_came_when_it_fell_silent_is_the_one_that_hung(
    server: tuple[int, int, int], clients: tuple[Client, Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hung_requests, "IDLE_S", 0.05)

    async def scenario() -> None:
        third = Client(server[2])
        begun_s = time.monotonic()
        await asyncio.sleep(0.2)
        third.ask()
        ending = asyncio.ensure_future(hung(server, Told({}), count=1, begun_s=(begun_s,)).end(set()))
        await asyncio.sleep(0)
        third.ask()
        await asyncio.wait_for(ending, 5)
        assert [client.is_closed.wait(1) for client in clients] == [True, True]
        assert not third.is_closed.is_set(), "the second is the one"
        third.close()

    fakes.run(scenario())


def test_silent_connection_waits_no_longer_than_the_bound(
    server: tuple[int, int, int], clients: tuple[Client, Client]
) -> None:
    async def scenario() -> None:
        await asyncio.sleep(0.1)
        ending = asyncio.ensure_future(hung(server, Told({OTHER: Held(3, 7, 2)})).end(set()))
        await fakes.until(lambda: all(client.is_closed.is_set() for client in clients))
        await asyncio.wait_for(ending, 5)

    fakes.run(scenario())


def test_nothing_is_closed_while_the_engine_is_away(
    server: tuple[int, int, int], clients: tuple[Client, Client]
) -> None:
    async def scenario() -> None:
        in_flight = Told({})
        ending = asyncio.ensure_future(hung(server, in_flight).end(set()))
        await asyncio.sleep(0)
        in_flight.moves = False
        await asyncio.sleep(1)
        assert not ending.done() and not any(client.is_closed.is_set() for client in clients)
        ending.cancel()

    fakes.run(scenario())
