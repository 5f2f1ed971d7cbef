"""One response of the OpenAI server on its way out, and the errors that take its place."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]

MOST_HELD_BYTES = 64 * 1024
"""An error's text is never as long."""

_ERROR_EVENT = b'data: {"error"'


@dataclass(frozen=True)
class Words:
    """By which vLLM's own errors are known: of an engine that is dead, and of queues that are full."""

    dead: bytes
    busy: tuple[bytes, ...] = ()


@dataclass(frozen=True)
class Trouble:
    """An error in OpenAI's shape; ``retry_after_s`` are whole seconds, ``ends_connection`` when the server ends."""

    status: HTTPStatus
    text: str
    retry_after_s: int | None = None
    ends_connection: bool = False

    @property
    def body(self) -> bytes:
        """The JSON."""
        error = {"message": self.text, "type": self.status.phrase, "param": None, "code": self.status.value}
        return json.dumps({"error": error}).encode()


def lost(retry_after_s: int) -> Trouble:
    """What is said of a request that the engine leaves unanswered, as it has died or is being stopped."""
    text = "The engine ended before the answer was complete. Send the request again."
    return Trouble(HTTPStatus.SERVICE_UNAVAILABLE, text, retry_after_s, ends_connection=True)


def leaving(why: str, retry_after_s: int) -> Trouble:
    """What is said when the server is on its way out."""
    return Trouble(HTTPStatus.SERVICE_UNAVAILABLE, why, retry_after_s, ends_connection=True)


def busy(why: str, retry_after_s: int) -> Trouble:
    """What is said when there is too much to do."""
    return Trouble(HTTPStatus.TOO_MANY_REQUESTS, f"The server is busy: {why}. Try again later.", retry_after_s)


class Answer:
    """Passes an application's messages on. vLLM's own words for a dead engine and a full queue become ``end`` and
    ``busy``; when ``is_over``, every error of its becomes ``end``. ``unread`` is the message that the client's
    connection does not take yet."""

    def __init__(
        self, send: Send, words: Words, is_over: Callable[[], bool], end: Callable[[], Trouble], busy: Trouble
    ) -> None:
        self.unread: Message | None = None
        self._to_client = send
        self._words = words
        self._is_over = is_over
        self._end = end
        self._busy = busy
        self._is_started = False
        self._is_complete = False
        self._is_stream = False
        self._held: Message | None = None
        self._held_body = b""

    async def send(self, message: Message) -> None:
        """ASGI's ``send`` for the application."""
        if self._is_complete:
            return  # it was ended in the application's stead
        if message["type"] == "http.response.start":
            await self._start(message)
        elif message["type"] != "http.response.body":
            await self._send(message)
        elif self._held is not None:
            await self._hold(message)
        else:
            self._is_complete = not message.get("more_body", False)
            if self._is_stream and message.get("body", b"").startswith(_ERROR_EVENT):
                message = self._translated(message)
            await self._send(message)

    async def fail(self, trouble: Trouble) -> None:
        """Ends the response with this error, as far as that can still be said."""
        if self._is_complete:
            return
        self._is_complete, self._held = True, None
        if not self._is_started:
            self._is_started = True
            await self._send_whole(trouble)
        elif self._is_stream:
            # The blank line ends an event that may have been cut off; more of them mean nothing.
            event = b"\n\ndata: " + trouble.body + b"\n\n"
            await self._send({"type": "http.response.body", "body": event, "more_body": False})
        # Else the connection is closed before what was promised is there: there is no other way to say it.

    @property
    def is_open_stream(self) -> bool:
        """Its client waits for more events."""
        return self._is_stream and self._is_started and not self._is_complete

    async def _send(self, message: Message) -> None:
        self.unread = message
        await self._to_client(message)
        self.unread = None

    async def _start(self, message: Message) -> None:
        status = message["status"]
        if status in (500, 503) or (status >= 400 and self._is_over()):
            self._held = message
            return
        self._is_started = True
        self._is_stream = any(
            name.lower() == b"content-type" and value.startswith(b"text/event-stream")
            for name, value in message.get("headers", ())
        )
        await self._send(message)

    async def _hold(self, message: Message) -> None:
        self._held_body += message.get("body", b"")
        has_more = message.get("more_body", False)
        if has_more and len(self._held_body) < MOST_HELD_BYTES:
            return
        start, self._held = self._held, None
        if self._is_over() or self._words.dead in self._held_body:
            await self.fail(self._end())
        elif any(words in self._held_body for words in self._words.busy):
            await self.fail(self._busy)
        else:
            assert start is not None
            self._is_started, self._is_complete = True, not has_more
            await self._send(start)
            await self._send({**message, "body": self._held_body})

    def _translated(self, message: Message) -> Message:
        if self._words.dead not in message["body"]:
            return message
        return {**message, "body": b"data: " + self._end().body + b"\n\n"}

    async def _send_whole(self, trouble: Trouble) -> None:
        body = trouble.body
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        if trouble.retry_after_s is not None:
            headers.append((b"retry-after", b"%d" % trouble.retry_after_s))
        if trouble.ends_connection:
            headers.append((b"connection", b"close"))
        await self._send({"type": "http.response.start", "status": trouble.status.value, "headers": headers})
        await self._send({"type": "http.response.body", "body": body, "more_body": False})
