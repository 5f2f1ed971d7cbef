"""OpenAI's chat and text completions, streamed; token counts from the usage that is asked for.

An event counts as a token event when it has ``choices``, as in vLLM's own benchmark.
"""

from __future__ import annotations

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


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Event(msgspec.Struct):
    choices: list[_Choice] = []
    usage: _Usage | None = None
    error: Any = None


_decode = msgspec.json.Decoder(_Event).decode


class _OpenAi:
    def __init__(self, target: Target, workload: Workload) -> None:
        self._request = HttpRequest(target.url)
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
        answer = Answer(arrivals_ns=[])
        texts: list[str] = []
        for at_ns, data in sse.events(exchange):
            if data == b"[DONE]":
                continue
            try:
                event = _decode(data)
            except msgspec.MsgspecError as error:
                return Answer(failure=Failure("protocol", f"an event is not OpenAI's: {error}"))
            if event.error is not None:
                return Answer(failure=Failure("server_error", said(data)))
            if event.choices:
                answer.arrivals_ns.append(at_ns)
                choice = event.choices[0]
                texts.append(choice.text or (choice.delta.content if choice.delta else None) or "")
            if event.usage is not None:
                answer.input_tokens = event.usage.prompt_tokens
                answer.output_tokens = event.usage.completion_tokens
        answer.text = "".join(texts)
        return answer


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
