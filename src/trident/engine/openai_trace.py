"""The OpenAI door's span: around all of a request, its wait at the door and its refusal too. vLLM's own is inside."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from opentelemetry import propagate, trace
from opentelemetry.trace import SpanKind, Status, StatusCode

from trident.protocol.tracing import HEADERS

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
FIRST_SERVER_ERROR = 500


class FrontDoor:
    """ASGI middleware; vLLM sets the exporter up in this process before the first request comes."""

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        self._app = app
        self._tracer = trace.get_tracer(__name__)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # What is asked by machines every second is no work of the model.
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        attributes = {"http.request.method": scope["method"], "url.path": scope["path"]}
        with self._tracer.start_as_current_span(
            f"{scope['method']} {scope['path']}",
            propagate.extract(headers),
            kind=SpanKind.SERVER,
            attributes=attributes,
        ) as span:

            async def answering(message: Message) -> None:
                if message["type"] == "http.response.start":
                    status = message["status"]
                    span.set_attribute("http.response.status_code", status)
                    if status >= FIRST_SERVER_ERROR:
                        span.set_status(Status(StatusCode.ERROR))
                await send(message)

            own: dict[str, str] = {}
            propagate.inject(own)
            kept = [(name, value) for name, value in scope["headers"] if name.lower() not in _NAMES]
            added = [(name.encode(), value.encode("latin-1")) for name, value in own.items()]
            await self._app({**scope, "headers": [*kept, *added]}, receive, answering)


_NAMES = tuple(name.encode() for name in HEADERS)
