"""HTTP requests made ready beforehand, and refusals read afterwards."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import urlsplit

import msgspec

from trident.bench.exchange import Answer, Exchange, Failure


class HttpRequest:
    """A POST of JSON to one URL: all of its bytes but the body are the same each time."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        key = os.environ.get("OPENAI_API_KEY")
        authorization = f"Authorization: Bearer {key}\r\n" if key else ""
        self._head = (
            f"POST {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\n"
            f"Accept: */*\r\nUser-Agent: trident-bench\r\n{authorization}Content-Length: "
        ).encode()

    def __call__(self, body: dict[str, Any]) -> bytes:
        content = msgspec.json.encode(body)
        return b"%s%d\r\n\r\n%s" % (self._head, len(content), content)


def failed(exchange: Exchange) -> Answer | None:
    """The answer to a request that the channel or the server's status calls failed; None for one to be read."""
    if exchange.failure is not None:
        return Answer(failure=exchange.failure)
    if exchange.status != 200:
        return Answer(failure=Failure(f"http_{exchange.status}", said(b"".join(exchange.pieces))))
    return None


def said(body: bytes) -> str:
    """A server's message out of its JSON: OpenAI's, Triton's and FastAPI's forms; else the text itself."""
    try:
        content = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return body.decode("utf-8", "replace").strip()[:300]
    while isinstance(content, dict):
        content = next((content[key] for key in ("error", "message", "detail") if content.get(key)), str(content))
    return str(content)[:300]
