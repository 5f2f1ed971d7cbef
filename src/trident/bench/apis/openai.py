"""OpenAI's chat and text completions, streamed; token counts from the usage that is asked for.

An event counts as a token event when it has ``choices``, as in vLLM's own benchmark.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from trident.bench.apis import sse
from trident.bench.apis.http_request import HttpRequest, failed, said
from trident.bench.exchange import Answer, Ask, Exchange, Failure
from trident.bench.plan import Target, Workload


class _Delta(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    text: str | None = None
    delta: _Delta | None = None

    @property
    def said(self) -> str:
        return self.text or (self.delta.content if self.delta else None) or ""


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Event(msgspec.Struct):
    choices: list[_Choice] = []
    usage: _Usage | None = None
    error: Any = None


class _NotAnAnswer(Exception):
    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


_CHOICE, _NOTHING = b'"choices":[{', b"no event begins so"
_decode = msgspec.json.Decoder(_Event).decode


class _OpenAi:
    def __init__(self, target: Target, workload: Workload) -> None:
        self._request = HttpRequest(target.url)
        self._keeps_text = workload.kind in ("conversations", "jsonl") or workload.text.source == "tokenizer"
        self._fixed: dict[str, Any] = {
            "model": target.model,
            "stream": True,
            "temperature": workload.temperature,
        }
        if target.asks_token_counts:
            self._fixed["stream_options"] = {"include_usage": True}
        if workload.ignore_eos:
            self._fixed["ignore_eos"] = True

    def read(self, exchange: Exchange) -> Answer:
        """See ``Api``."""
        refused = failed(exchange)
        if refused is not None:
            return refused
        try:
            return self._read(sse.events(exchange))
        except _NotAnAnswer as bad:
            return Answer(failure=bad.failure)

    def _read(self, events: Iterable[tuple[int, bytes]]) -> Answer:
        answer = Answer(arrivals_ns=[])
        texts: list[str] = []
        alike, latest = _NOTHING, b""
        for at_ns, data in events:
            if data.startswith(alike):
                answer.arrivals_ns.append(at_ns)
                latest = data
                continue
            if data == b"[DONE]":
                continue
            event = _decoded(data)
            if event.choices:
                answer.arrivals_ns.append(at_ns)
                texts.append(event.choices[0].said)
                if not self._keeps_text:
                    alike = _up_to_its_choices(data)
            if event.usage is not None:
                _count(answer, event.usage)
                latest = b""
        if latest:
            _count(answer, _decoded(latest).usage)
        answer.text = "".join(texts)
        return answer


def _decoded(data: bytes) -> _Event:
    """Raises _NotAnAnswer."""
    try:
        event = _decode(data)
    except msgspec.MsgspecError as error:
        raise _NotAnAnswer(Failure("protocol", f"an event is not OpenAI's: {error}")) from error
    if event.error is not None:
        raise _NotAnAnswer(Failure("server_error", said(data)))
    return event


def _up_to_its_choices(data: bytes) -> bytes:
    """What all token events of a stream begin with: id, time, model. Those that do need not be decoded when nobody
    wants the text, which takes most of the time of counting."""
    found = data.find(_CHOICE)
    return data[: found + len(_CHOICE)] if found >= 0 else _NOTHING


def _count(answer: Answer, usage: _Usage | None) -> None:
    if usage is not None:
        answer.input_tokens = usage.prompt_tokens
        answer.output_tokens = usage.completion_tokens


class OpenAiCompletions(_OpenAi):
    """``/v1/completions``."""

    def encode(self, ask: Ask) -> bytes:
        """See ``Api``."""
        return self._request({**self._fixed, "prompt": ask.prompt, "max_tokens": ask.max_tokens})


class OpenAiChat(_OpenAi):
    """``/v1/chat/completions``."""

    def encode(self, ask: Ask) -> bytes:
        """See ``Api``."""
        return self._request({**self._fixed, "messages": ask.messages, "max_completion_tokens": ask.max_tokens})
