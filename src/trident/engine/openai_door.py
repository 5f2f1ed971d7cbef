"""The door of vLLM's Python OpenAI server: ASGI middleware around all of it.

It bounds what is inside. When the engine is lost, or the time that it had to leave is over, it ends every request at
once: a stream by one error event, others by 503 with ``Retry-After``. The process is the server's alone, so the door of
it is one: ``build`` it before the server is, which is told of the middleware by name.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import secrets
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

from trident.engine import openai_answer, openai_exit, openai_in_flight
from trident.engine.openai_answer import Answer, Message, Send, Trouble, Words
from trident.engine.openai_counts import NO_COUNTS, Counts
from trident.engine.openai_exit import Exit
from trident.engine.openai_gate import Bounds, Busy, Gate, Gone, Place
from trident.engine.openai_in_flight import Visit
from trident.protocol import in_flight
from trident.protocol.in_flight import Question, Told

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

MOST_READ_AHEAD_BYTES = 256 * 1024
LOOK_S = 2.0
RESTART_DELAY_S = 1.0
"""From the loss to the new host, beside its start."""

RUNS_THE_MODEL = (
    *("/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses", "/v1/messages", "/v1/audio/"),
    *("/v1/score", "/v1/rerank", "/v2/", "/inference/", "/cohere/", "/pooling", "/classify", "/score", "/rerank"),
    *("/generative_scoring", "/invocations"),
)
RUNS_NOTHING = ("/cancel", "/render", "/derender", "/count_tokens")
GUARDED_BY_KEY = ("/v1", "/v2", "/inference", "/cohere")
"""As in vLLM's authentication, which answers there itself when the key is wrong."""


@dataclass(frozen=True)
class Setup:
    """``keys`` are the API keys; ``begun`` is when the host began to start, in seconds since the epoch; ``look_s`` is
    the time between two looks at clients that do not read; by ``way_out`` the host gives its orders; at ``looked_at``
    it is told what is in flight."""

    bounds: Bounds
    words: Words
    keys: tuple[str, ...]
    begun: float
    way_out: Exit
    look_s: float = LOOK_S
    served_name: str = ""
    looked_at: Path | None = None
    counts: Counts = NO_COUNTS


class Door:
    """What is inside. All but ``lose`` belongs to the server's event loop."""

    def __init__(self, setup: Setup) -> None:
        self.words = setup.words
        self.counts = setup.counts
        self.gate = Gate(setup.bounds)
        self.is_over = False
        self.refuses = False
        self.lets_go = False
        self.is_empty = threading.Event()
        self.places: set[Place] = set()
        self.visits: set[Visit] = set()
        self._begun = setup.begun
        self._way_out = setup.way_out
        self._look_s = setup.look_s
        self._served_name = setup.served_name
        self._looked_at = setup.looked_at
        self._listening: asyncio.Task[Any] | None = None
        self._keys = [_digest(key.encode()) for key in setup.keys]
        self._inside: set[asyncio.Task[Any]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._looking: asyncio.Task[None] | None = None
        self._retry_after_s = 1
        self._is_lost = False
        self._application: Any = None

    def open(self, application: Any) -> None:
        """The server answers from now on; ``application`` is vLLM's."""
        self._application = application
        self._loop = asyncio.get_running_loop()
        self._way_out.attend(self._obey)
        self._looking = self._loop.create_task(self._look_at_places())
        if self._looked_at is not None:
            self._listening = self._loop.create_task(in_flight.serve(self._looked_at, self._told))
        # The next start will take as long as this one.
        self._retry_after_s = max(1, math.ceil(time.time() - self._begun + RESTART_DELAY_S))

    def _told(self, question: Question) -> Told:
        vllm = self._application.state.engine_client
        return openai_in_flight.told(self.visits, vllm, self._served_name, question)

    def lose(self) -> None:
        """Ends every request, and answers every other one with 503; from any thread. Sets ``is_empty`` in the end."""
        if self._loop is None:
            self.is_empty.set()
        else:
            self._loop.call_soon_threadsafe(self._lose)

    def _lose(self) -> None:
        self._is_lost = True
        self._end_all()

    def _obey(self, order: bytes) -> None:
        if order == openai_exit.REFUSE:
            self.refuses = True
        elif order == openai_exit.HAND_OVER:
            self.lets_go = True
            for listening in self._application.state.server.servers:  # uvicorn's: connections live on
                listening.close()
        elif order == openai_exit.EXPEL:
            self._end_all()

    def _end_all(self) -> None:
        self.is_over = True
        for task in self._inside:
            task.cancel()
        self._look()

    def enter(self, task: asyncio.Task[Any], *, is_work: bool) -> None:
        """The task will be cancelled when all is over; the host waits for ``is_work``."""
        self._inside.add(task)
        self._way_out.count(is_work)

    def leave(self, task: asyncio.Task[Any], *, is_work: bool) -> None:
        """The task has said all."""
        self._inside.discard(task)
        self._way_out.count(-is_work)
        self._look()

    def _look(self) -> None:
        if self._is_lost and not self._inside:
            self.is_empty.set()

    async def _look_at_places(self) -> None:
        while True:
            await asyncio.sleep(self._look_s)
            for place in self.places:
                place.look()

    def end(self) -> Trouble:
        """What clients are told when all is over, or by vLLM's words about to be."""
        if self.is_over and not self._is_lost:
            return openai_answer.leaving(openai_exit.EXPELLED, openai_exit.RETRY_AFTER_S)
        return openai_answer.lost(self._retry_after_s)

    def client(self, scope: Scope, path: str) -> str | None:
        """Who shares places fairly with others: an API key, else an address; None for one whose key is refused."""
        header = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        scheme, _, key = header.partition(b" ")
        digest = _digest(key)
        if not self._keys:
            # Without keys on our side it is the client's word: it tells those behind one proxy from each other.
            if key:
                return digest.hex()
        elif scheme.lower() == b"bearer" and any([secrets.compare_digest(digest, known) for known in self._keys]):
            return digest.hex()
        elif path.startswith(GUARDED_BY_KEY):
            return None
        return str((scope.get("client") or ("",))[0])


_door: Door | None = None


def build(setup: Setup) -> Door:
    """The door of this process."""
    global _door
    _door = Door(setup)
    return _door


class Doorkeeper:
    """The middleware."""

    def __init__(self, app: App) -> None:
        assert _door is not None, "the door is built before the server"
        self._app = app
        self._door = _door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        door, task = self._door, asyncio.current_task()
        if scope["type"] == "lifespan":
            door.open(scope["app"])
        if scope["type"] != "http" or task is None:
            await self._app(scope, receive, send)
            return
        full = openai_answer.busy("its queue is full", 1)
        answer = Answer(self._letting_go(send), door.words, lambda: door.is_over, door.end, full)
        is_work = scope["method"] == "POST"
        door.enter(task, is_work=is_work)
        try:
            if not door.is_over:
                await self._serve(scope, receive, answer)
            if door.is_over:
                await answer.fail(door.end())
        except asyncio.CancelledError:
            if not door.is_over:
                raise
            await answer.fail(door.end())
        except Exception:
            if door.is_over:
                await answer.fail(door.end())
                return
            if answer.is_open_stream:
                await answer.fail(Trouble(HTTPStatus.INTERNAL_SERVER_ERROR, "The stream broke off; see the log."))
            raise
        finally:
            door.leave(task, is_work=is_work)

    def _letting_go(self, send: Send) -> Send:
        """A client that keeps its connection would go on here."""

        async def last(message: Message) -> None:
            if self._door.lets_go and message["type"] == "http.response.start":
                kept = [header for header in message.get("headers", ()) if header[0].lower() != b"connection"]
                message = {**message, "headers": [*kept, (b"connection", b"close")]}
            await send(message)

        return last

    async def _serve(self, scope: Scope, receive: Receive, answer: Answer) -> None:
        path, is_work = scope["path"].removeprefix(scope.get("root_path", "")), scope["method"] == "POST"
        if self._door.refuses and (is_work or path == "/health"):
            await answer.fail(openai_answer.leaving(openai_exit.REFUSED, openai_exit.RETRY_AFTER_S))
            return
        client = self._door.client(scope, path) if _runs_the_model(scope["method"], path) else None
        if client is None:
            await self._app(scope, receive, answer.send)
            return
        scope, id = openai_in_flight.named(scope)
        visit = Visit(id, client, path)
        self._door.visits.add(visit)
        try:
            await self._admit(scope, receive, answer, visit)
        finally:
            self._door.visits.discard(visit)

    async def _admit(self, scope: Scope, receive: Receive, answer: Answer, visit: Visit) -> None:
        gate = self._door.gate
        if not gate.try_enter():
            ahead = _Ahead(receive)
            receive, gone = ahead.receive, asyncio.ensure_future(ahead.until_gone())
            self._door.counts.waits(1)
            try:
                await gate.enter(visit.client, gone)
            except Busy as busy:
                self._door.counts.refused()
                await answer.fail(openai_answer.busy(str(busy), busy.retry_after_s))
                return
            except Gone:
                return
            finally:
                self._door.counts.waits(-1)
                gone.cancel()
        visit.is_queued = False
        place = Place(gate, lambda: answer.unread)
        self._door.places.add(place)
        try:
            await self._app(scope, receive, answer.send)
        finally:
            self._door.places.discard(place)
            place.leave()


class _Ahead:
    """Reads what a waiting client sends, within a bound: only a reader sees that it leaves."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._read: deque[Message] = deque()

    async def until_gone(self) -> None:
        size_bytes = 0
        while size_bytes < MOST_READ_AHEAD_BYTES:
            message = await self._receive()
            self._read.append(message)
            if message["type"] == "http.disconnect":
                return
            size_bytes += len(message.get("body", b""))
        await asyncio.Event().wait()  # until it is cancelled

    async def receive(self) -> Message:
        return self._read.popleft() if self._read else await self._receive()


def _runs_the_model(method: str, path: str) -> bool:
    return method == "POST" and path.startswith(RUNS_THE_MODEL) and not path.endswith(RUNS_NOTHING)


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()
