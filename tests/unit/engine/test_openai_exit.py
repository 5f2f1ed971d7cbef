"""The door on its way out, around an application of a few lines; orders go through the pipe as in a server."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest

from trident.engine import openai_door
from trident.engine.openai_answer import Send, Words
from trident.engine.openai_door import Doorkeeper, Setup
from trident.engine.openai_exit import EXPEL, HAND_OVER, REFUSE, Exit
from trident.engine.openai_gate import Bounds

STREAM = "/v1/chat/completions"


class Listening:
    closed = False

    def close(self) -> None:
        self.closed = True


class Site:
    """An application behind the door, for two at once: a stream whose parts tests let out one by one, and answers in
    one piece."""

    def __init__(self) -> None:
        self.exit = Exit()
        openai_door.build(Setup(Bounds(2, 10, 60), Words(b"dead"), (), time.time(), self.exit))
        self.listening = Listening()
        self.goes_on = asyncio.Event()
        self._application = SimpleNamespace(state=SimpleNamespace(server=SimpleNamespace(servers=[self.listening])))
        self._middleware = Doorkeeper(self._answer)

    async def open(self) -> None:
        await self._middleware({"type": "lifespan", "app": self._application}, _nothing, _drop)

    async def order(self, order: bytes) -> None:
        self.exit.tell(order)
        await asyncio.sleep(0)
        await asyncio.sleep(0.01)  # the pipe's reader is called by the loop's next rounds

    async def ask(self, path: str = "/v1/completions", method: str = "POST") -> list[dict[str, Any]]:
        sent: list[dict[str, Any]] = []

        async def send(message: Any) -> None:
            sent.append(dict(message))

        scope = {"type": "http", "method": method, "path": path, "headers": [], "client": ("10.0.0.1", 1)}
        await self._middleware(scope, _nothing, send)
        return sent

    async def _answer(self, scope: Any, _receive: Any, send: Send) -> None:
        if scope["type"] == "lifespan":
            return
        if scope["path"] == STREAM:
            headers = [(b"content-type", b"text/event-stream")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True})
        await self.goes_on.wait()
        if scope["path"] == STREAM:
            await send({"type": "http.response.body", "body": b"data: 2\n\n", "more_body": True})
        else:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"end", "more_body": False})


async def _nothing() -> Any:
    await asyncio.Event().wait()


async def _drop(_: Any) -> None:
    raise AssertionError("nothing is sent")


@pytest.fixture
def play() -> Callable[[Callable[[Site], Awaitable[None]]], None]:
    def run(scenario: Callable[[Site], Awaitable[None]]) -> None:
        async def whole() -> None:
            site = Site()
            await site.open()
            await scenario(site)

        asyncio.run(asyncio.wait_for(whole(), 10))

    return run


Play = Callable[[Callable[[Site], Awaitable[None]]], None]


def test_requests_are_counted_until_they_are_answered(play: Play) -> None:
    async def scenario(site: Site) -> None:
        asked = asyncio.ensure_future(site.ask())
        await asyncio.sleep(0)
        assert site.exit.in_flight == 1
        site.goes_on.set()
        assert (await asked)[0]["status"] == 200
        assert site.exit.in_flight == 0

    play(scenario)


def test_refusing_lets_finish_what_is_in_flight(play: Play) -> None:
    async def scenario(site: Site) -> None:
        asked = asyncio.ensure_future(site.ask(STREAM))
        await site.order(REFUSE)
        site.goes_on.set()
        start, body = await site.ask()
        assert start["status"] == 503 and (b"retry-after", b"2") in start["headers"]
        assert json.loads(body["body"])["error"]["code"] == 503
        assert (await site.ask("/health", "GET"))[0]["status"] == 503
        assert (await site.ask("/metrics", "GET"))[0]["status"] == 200
        assert [part.get("body") for part in await asked][1:] == [b"data: 1\n\n", b"data: 2\n\n", b"end"]

    play(scenario)


def test_handing_over_stops_listening_and_lets_clients_go(play: Play) -> None:
    async def scenario(site: Site) -> None:
        assert site.exit.is_obeyed
        site.exit.tell(HAND_OVER)
        assert not site.exit.is_obeyed, "it may let in another one until then"
        await asyncio.sleep(0.01)  # the pipe's reader is called by the loop's next rounds
        assert site.listening.closed and site.exit.is_obeyed
        site.goes_on.set()
        for method in ("POST", "GET"):
            start = (await site.ask(method=method))[0]
            assert start["status"] == 200 and (b"connection", b"close") in start["headers"]

    play(scenario)


def test_expelled_stream_ends_with_an_error_event_and_an_unbegun_answer_is_503(play: Play) -> None:
    async def scenario(site: Site) -> None:
        stream, whole = asyncio.ensure_future(site.ask(STREAM)), asyncio.ensure_future(site.ask())
        waiting = asyncio.ensure_future(site.ask())
        await asyncio.sleep(0)
        assert site.exit.in_flight == 3
        await site.order(EXPEL)
        assert (await waiting)[0]["status"] == 503
        parts = await stream
        assert len(parts) == 3 and parts[-1]["more_body"] is False
        event = parts[-1]["body"].decode()
        assert "was not finished in time" in json.loads(event.strip().removeprefix("data: "))["error"]["message"]
        start, body = await whole
        assert start["status"] == 503 and body["more_body"] is False
        assert site.exit.in_flight == 0

    play(scenario)
