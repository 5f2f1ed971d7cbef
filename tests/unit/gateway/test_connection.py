from __future__ import annotations

import asyncio

import gateway_fakes as fakes

from trident.gateway.connection import Connection
from trident.gateway.door import Door, Patience, Places
from trident.gateway.keys import Keys
from trident.gateway.spec import DoorSpec, GatewaySpec


class Plain(Connection):
    """Passes everything on."""

    def opened(self) -> None:
        pass

    def from_client(self, data: bytes) -> None:
        self.to_upstream(data)

    def from_upstream(self, data: bytes) -> None:
        pass

    def upstream_lost(self, *, was_reached: bool) -> None:  # noqa: ARG002 - as Connection says
        self.close()


class Transport(asyncio.Transport):
    """To somebody who takes nothing: what is written stays, and so ``close`` never comes to an end."""

    def __init__(self) -> None:
        super().__init__()
        self.did: list[str] = []
        self.aborted = asyncio.Event()
        self.on_write = lambda: None

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.did.append(f"write {len(data)}")
        self.on_write()

    def close(self) -> None:
        self.did.append("close")

    def abort(self) -> None:
        self.aborted.set()

    def is_closing(self) -> bool:
        return "close" in self.did

    def can_write_eof(self) -> bool:
        return False

    def pause_reading(self) -> None:
        self.did.append("pause")

    def resume_reading(self) -> None:
        self.did.append("resume")


def connection(patience: Patience) -> tuple[Plain, Transport]:
    spec = DoorSpec(name="door", protocol="kserve", host="127.0.0.1", port=0, flag="--port", upstream="/nobody")
    told = GatewaySpec(
        doors=[spec],
        key_file=None,
        keys=[],
        certificate=None,
        private_key=None,
        max_body_bytes=1000,
        max_connections=10,
    )
    made, client = Plain(Door(spec, told, Keys([], None), Places(10), (), patience)), Transport()
    made.connection_made(client)
    return made, client


def test_closed_connection_whose_client_takes_nothing_is_cut_off() -> None:
    async def scenario() -> None:
        closed, client = connection(Patience(unread_s=0.1))
        closed.to_client(b"the rest of an answer")
        closed.close()
        await asyncio.wait_for(client.aborted.wait(), 5)

        lingering, client = connection(Patience(unread_s=0.1))
        lingering.close()
        lingering.connection_lost(None)
        await asyncio.sleep(0.2)  # what must not happen has no event
        assert not client.aborted.is_set()

    fakes.run(scenario())


def test_client_is_not_read_while_the_server_behind_is_slow_from_the_first_byte() -> None:
    async def scenario() -> None:
        busy, client = connection(Patience())
        busy.from_client(b"x" * 100)
        behind = Transport()
        behind.on_write = busy.pause_client  # as ``pause_writing`` of a full transport does
        busy.upstream_opened(behind)
        assert behind.did == ["write 100"]
        assert client.did[-1] == "pause"
        busy.abort()

    fakes.run(scenario())
