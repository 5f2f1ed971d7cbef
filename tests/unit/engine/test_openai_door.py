from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Coroutine
from typing import Any

import pytest

from trident.engine import openai_door
from trident.engine.openai_answer import Message, Send, Words
from trident.engine.openai_counts import NO_COUNTS, Counts
from trident.engine.openai_door import App, Door, Doorkeeper, Receive, Scope, Setup
from trident.engine.openai_exit import Exit
from trident.engine.openai_gate import Bounds

LIMIT_S = 10.0
DEAD = b"EngineCore encountered an issue."
FULL = b"The engine is currently busy."
EVENTS = [(b"content-type", b"text/event-stream; charset=utf-8")]


def run(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(scenario, LIMIT_S))


class Counted:
    """What the door has counted."""

    def __init__(self) -> None:
        self.waiting = self.sent_away = 0

    def waits(self, requests: int) -> None:
        self.waiting += requests

    def refused(self) -> None:
        self.sent_away += 1


def door(
    *keys: str,
    bounds: Bounds = Bounds(10, 10, 60),  # noqa: B008 - frozen
    start_took_s: float = 6.5,
    counts: Counts = NO_COUNTS,
) -> Door:
    """The door of this process, open, of an engine that took so long to start."""
    begun = time.time() - start_took_s
    built = openai_door.build(Setup(bounds, Words(DEAD, (FULL,)), keys, begun, Exit(), look_s=0.01, counts=counts))
    built.open(None)
    return built


class Client:
    """One request and what comes back."""

    def __init__(self, app: App, path: str = "/v1/completions", key: str = "", address: str = "10.0.0.1") -> None:
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self.body = b""
        self.has_begun = asyncio.Event()
        self.is_complete = False
        self.leaves = asyncio.Event()
        self.reads = asyncio.Event()
        self.reads.set()
        self._has_asked = False
        headers = [(b"authorization", f"Bearer {key}".encode())] if key else []
        scope: Scope = {"type": "http", "method": "POST", "path": path, "headers": headers, "client": (address, 1)}
        self.task = asyncio.ensure_future(Doorkeeper(app)(scope, self._receive, self._send))

    async def _receive(self) -> Message:
        if not self._has_asked:
            self._has_asked = True
            return {"type": "http.request", "body": b"{}", "more_body": False}
        await self.leaves.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        assert not self.is_complete, "nothing may follow the end"
        if message["type"] == "http.response.start":
            assert self.status == 0
            self.status, self.headers = message["status"], dict(message["headers"])
        else:
            await self.reads.wait()
            self.body += message.get("body", b"")
            self.is_complete = not message.get("more_body", False)
        self.has_begun.set()

    @property
    def error(self) -> dict[str, Any]:
        return json.loads(self.body)["error"]  # type: ignore[no-any-return]


def answers(status: int, body: bytes, headers: list[tuple[bytes, bytes]] | None = None) -> App:
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": status, "headers": headers or []})
        await send({"type": "http.response.body", "body": body})

    return app


async def streams_for_ever(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": EVENTS})
    await send({"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True})
    await asyncio.Event().wait()


async def thinks_for_ever(_scope: Scope, _receive: Receive, _send: Send) -> None:
    await asyncio.Event().wait()


async def calls_it_a_disconnect(scope: Scope, receive: Receive, send: Send) -> None:
    # As vLLM's completions do.
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        await answers(400, b'{"error": {"message": "Client disconnected"}}')(scope, receive, send)


def test_loss_ends_a_stream_with_one_error_event() -> None:
    async def scenario() -> None:
        built = door()
        client = Client(streams_for_ever)
        await client.has_begun.wait()
        built.lose()
        await client.task
        events = [event for event in client.body.split(b"\n\n") if event]
        assert client.status == 200 and client.is_complete and len(events) == 2
        error = json.loads(events[1].removeprefix(b"data: "))["error"]
        assert (error["code"], error["type"]) == (503, "Service Unavailable")
        assert built.is_empty.is_set()

    run(scenario())


@pytest.mark.parametrize("app", [thinks_for_ever, calls_it_a_disconnect])
def test_loss_answers_503_to_who_has_heard_nothing_yet(app: App) -> None:
    async def scenario() -> None:
        built = door()
        client = Client(app)
        await asyncio.sleep(0)
        built.lose()
        await client.task
        assert client.status == 503 and client.error["code"] == 503
        assert client.headers[b"retry-after"] == b"8", "the next start takes as long as the last, and a second"
        assert client.headers[b"connection"] == b"close"

    run(scenario())


@pytest.mark.parametrize("path", ["/v1/completions", "/health"])
def test_who_comes_after_the_loss_is_told_so(path: str) -> None:
    async def scenario() -> None:
        built = door()
        built.lose()
        await asyncio.sleep(0)
        client = Client(answers(200, b""), path)
        await client.task
        assert client.status == 503

    run(scenario())


def test_loss_does_not_touch_what_is_complete() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await answers(200, b"done")(scope, receive, send)
        await asyncio.Event().wait()

    async def scenario() -> None:
        built = door()
        client = Client(app)
        await client.has_begun.wait()
        built.lose()
        await client.task
        assert (client.status, client.body) == (200, b"done")

    run(scenario())


def test_loss_before_anybody_was_served_leaves_nothing_to_wait_for() -> None:
    built = Door(Setup(Bounds(1, 1, 1), Words(DEAD), (), 0, Exit()))
    built.lose()
    assert built.is_empty.is_set()


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (500, b'{"error": {"message": "' + DEAD + b'", "code": 500}}', 503),
        (503, b'{"error": {"message": "' + FULL + b'", "code": 503}}', 429),
    ],
    ids=["dead", "full"],
)
def test_words_of_vllm_get_a_status_that_clients_understand(status: int, body: bytes, expected: int) -> None:
    async def scenario() -> None:
        door()
        client = Client(answers(status, body))
        await client.task
        assert client.status == expected == client.error["code"]
        assert int(client.headers[b"retry-after"]) >= 1

    run(scenario())


@pytest.mark.parametrize("status", [200, 400, 500, 503])
def test_other_answers_pass_as_they_are(status: int) -> None:
    async def scenario() -> None:
        door()
        client = Client(answers(status, b"something else", [(b"x-name", b"value")]))
        await client.task
        assert (client.status, client.body) == (status, b"something else")
        assert client.headers == {b"x-name": b"value"}

    run(scenario())


def test_error_event_of_a_dead_engine_is_translated() -> None:
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": EVENTS})
        event = b'data: {"error": {"message": "' + DEAD + b'", "code": 500}}\n\n'
        await send({"type": "http.response.body", "body": event, "more_body": True})
        await send({"type": "http.response.body", "body": b"data: [DONE]\n\n", "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def scenario() -> None:
        door()
        client = Client(app)
        await client.task
        error, done = client.body.strip().split(b"\n\n")
        assert json.loads(error.removeprefix(b"data: "))["error"]["code"] == 503
        assert done == b"data: [DONE]"

    run(scenario())


def test_stream_that_breaks_off_ends_with_an_error_event() -> None:
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": EVENTS})
        raise RuntimeError("a defect")

    async def scenario() -> None:
        door()
        client = Client(app)
        with pytest.raises(RuntimeError):
            await client.task
        assert client.is_complete and b'"code": 500' in client.body

    run(scenario())


def test_overload_is_429_and_a_waiting_client_that_leaves_costs_nothing() -> None:
    async def scenario() -> None:
        counts = Counted()
        built = door(bounds=Bounds(1, 1, 60), counts=counts)
        inside = Client(thinks_for_ever)
        await asyncio.sleep(0)
        waits = Client(thinks_for_ever)
        while not built.gate.queued:  # noqa: ASYNC110 - the limit is the scenario's
            await asyncio.sleep(0)
        refused = Client(thinks_for_ever)
        await refused.task
        assert (refused.status, refused.error["type"]) == (429, "Too Many Requests")
        assert int(refused.headers[b"retry-after"]) >= 1
        assert (counts.waiting, counts.sent_away) == (1, 1)
        free = Client(answers(200, b"v"), "/tokenize")
        await free.task
        assert free.status == 200, "what does not run the model passes"
        waits.leaves.set()
        await waits.task
        assert built.gate.queued == 0 and waits.status == 0
        assert (counts.waiting, counts.sent_away) == (0, 1)
        inside.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await inside.task
        again = Client(answers(200, b"in"))
        await again.task
        assert again.body == b"in"

    run(scenario())


def test_waiting_request_reaches_the_server_whole() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        message = await receive()
        await answers(200, message["body"])(scope, receive, send)

    async def scenario() -> None:
        built = door(bounds=Bounds(1, 1, 60))
        assert built.gate.try_enter()
        client = Client(app)
        while not built.gate.queued:  # noqa: ASYNC110 - the limit is the scenario's
            await asyncio.sleep(0)
        built.gate.leave()
        await client.task
        assert client.body == b"{}"

    run(scenario())


def test_client_that_does_not_read_keeps_nobody_out() -> None:
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": EVENTS})
        for number in range(3):
            await send({"type": "http.response.body", "body": b"%d" % number, "more_body": number < 2})

    async def scenario() -> None:
        built = door(bounds=Bounds(1, 1, 60))
        client = Client(app)
        client.reads.clear()
        await client.has_begun.wait()
        other = Client(answers(200, b"in"))
        await other.task
        assert other.body == b"in"
        client.reads.set()
        await client.task
        assert client.body == b"012"
        assert built.gate.try_enter() and not built.gate.try_enter(), "no place was given back twice"

    run(scenario())


def test_loss_answers_who_waits() -> None:
    async def scenario() -> None:
        built = door(bounds=Bounds(1, 1, 60))
        assert built.gate.try_enter()
        client = Client(thinks_for_ever)
        while not built.gate.queued:  # noqa: ASYNC110 - the limit is the scenario's
            await asyncio.sleep(0)
        built.lose()
        await client.task
        assert client.status == 503

    run(scenario())


def scope_of(key: str, address: str = "10.0.0.1") -> Scope:
    headers = [(b"authorization", f"Bearer {key}".encode())] if key else []
    return {"headers": headers, "client": (address, 1)}


def test_clients_are_told_apart_by_key_else_by_address() -> None:
    async def scenario() -> None:
        path = "/v1/completions"
        guarded = door("one", "two")
        assert guarded.client(scope_of("one"), path) != guarded.client(scope_of("two"), path)
        assert guarded.client(scope_of("one"), path) == guarded.client(scope_of("one", "10.0.0.2"), path)
        assert guarded.client(scope_of("guess"), path) is None, "vLLM refuses it, so it needs no place"
        assert guarded.client(scope_of("guess"), "/pooling") == "10.0.0.1"
        unguarded = door()
        assert unguarded.client(scope_of(""), path) == "10.0.0.1"
        assert unguarded.client(scope_of("a"), path) != unguarded.client(scope_of("b"), path)

    run(scenario())


def test_what_is_inside_is_known_with_who_waits_and_vllm_gets_its_id() -> None:
    async def scenario() -> None:
        gate, ids = asyncio.Event(), []

        async def app(scope: Scope, _receive: Receive, send: Send) -> None:
            ids.append(dict(scope["headers"])[b"x-request-id"].decode())
            await gate.wait()
            await answers(200, b"{}")(scope, _receive, send)

        inside = door(bounds=Bounds(1, 10, 60))
        first, second = Client(app), Client(app, address="10.0.0.2")
        await asyncio.sleep(0.05)
        visits = {visit.client: visit for visit in inside.visits}
        assert [visits["10.0.0.1"].id] == ids
        assert (visits["10.0.0.1"].is_queued, visits["10.0.0.2"].is_queued) == (False, True)
        gate.set()
        await asyncio.gather(first.task, second.task)
        assert inside.visits == set()

    run(scenario())
