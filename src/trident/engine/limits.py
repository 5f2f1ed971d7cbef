"""What one request may bring, judged before anything of it is tokenised, rendered or compiled."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from trident.protocol.messages import Submit
from trident.protocol.spec import RequestLimits

SCHEMAS = ("structured_outputs", "response_format")


def excess(submit: Submit, limits: RequestLimits) -> str | None:
    """What is too long, in a client's words; None when nothing is. Images have bounds of their own (``images.py``)."""
    prompt_bytes = sum(_size_bytes(text) for text in _texts(submit))
    if prompt_bytes > limits.max_prompt_bytes:
        return f"the prompt has {prompt_bytes} bytes; the limit is {limits.max_prompt_bytes} (max_prompt_bytes)"
    chat = submit.chat or {}
    found = {name: submit.sampling.get(name) or chat.get(name) for name in SCHEMAS} | {"tools": chat.get("tools")}
    for name, value in found.items():
        schema_bytes = _size_bytes(value if isinstance(value, str) else json.dumps(value, default=str)) if value else 0
        if schema_bytes > limits.max_schema_bytes:
            return f"{name} has {schema_bytes} bytes; the limit is {limits.max_schema_bytes} (max_schema_bytes)"
    return None


def _texts(submit: Submit) -> Iterator[str]:
    if submit.prompt is not None:
        yield submit.prompt
    embedded = (submit.embed or {}).get("input")
    if isinstance(embedded, str):
        yield embedded
    messages = (submit.chat or {}).get("messages")
    for message in messages if isinstance(messages, list) else ():
        if isinstance(message, dict):
            yield from _of_content(message.get("content"))


def _of_content(content: Any) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    for part in content if isinstance(content, list) else ():
        if isinstance(part, dict) and isinstance(part.get("text"), str):
            yield part["text"]


def _size_bytes(text: str) -> int:
    # A client's JSON may hold half of a pair of surrogates, which is no text; it is refused elsewhere.
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
