"""Triton's generate extension: ``generate`` with one answer, ``generate_stream`` with one event for each response.

Token counts come from the outputs ``num_input_tokens`` and ``num_output_tokens`` (of this response), which Triton's
vLLM backend adds when ``return_num_*_tokens`` asks for them.
"""

from __future__ import annotations

from typing import Any

import msgspec

from trident.bench.apis import sse
from trident.bench.apis.http_request import HttpRequest, failed, said
from trident.bench.apis.sampling import COUNT_INPUTS, sampling_parameters
from trident.bench.exchange import Answer, Ask, Exchange, Failure
from trident.bench.plan import Target, Workload


class _Response(msgspec.Struct):
    text_output: str | list[str] | None = None
    generated_text: str | list[str] | None = None
    num_input_tokens: int | list[int] | None = None
    num_output_tokens: int | list[int] | None = None
    error: Any = None

    @property
    def text(self) -> str | None:
        found = self.text_output if self.text_output is not None else self.generated_text
        return "".join(found) if isinstance(found, list) else found


_decode = msgspec.json.Decoder(_Response).decode


class _Triton:
    def __init__(self, target: Target, workload: Workload, *, streams: bool) -> None:
        self._request = HttpRequest(target.url)
        self._target = target
        self._workload = workload
        self._streams = streams

    def encode(self, ask: Ask) -> bytes:
        """See ``Api``."""
        if self._target.contract == "recipe":
            fields = {"max_tokens": ask.max_tokens, "temperature": self._workload.temperature}
            return self._request({"prompt": ask.prompt, **fields})
        body: dict[str, Any] = {
            "text_input": ask.prompt,
            "stream": self._streams,
            "sampling_parameters": sampling_parameters(ask, self._workload),
        }
        if not self._streams:
            body["exclude_input_in_output"] = True
        if self._target.asks_token_counts:
            body.update(dict.fromkeys(COUNT_INPUTS, True))
        return self._request(body)


class TritonGenerate(_Triton):
    """``/v2/models/MODEL/generate``."""

    def __init__(self, target: Target, workload: Workload) -> None:
        super().__init__(target, workload, streams=False)

    def read(self, exchange: Exchange) -> Answer:
        """See ``Api``."""
        refused = failed(exchange)
        if refused is not None:
            return refused
        body = b"".join(exchange.pieces)
        try:
            response = _decode(body)
        except msgspec.MsgspecError as error:
            return Answer(failure=Failure("protocol", f"the answer is not Triton's: {error}"))
        if response.error is not None or response.text is None:
            return Answer(failure=Failure("server_error", said(body)))
        return Answer(
            arrivals_ns=[exchange.end_ns],
            is_streamed=False,
            input_tokens=_first(response.num_input_tokens),
            output_tokens=_sum(response.num_output_tokens),
            text=response.text,
        )


class TritonGenerateStream(_Triton):
    """``/v2/models/MODEL/generate_stream``."""

    def __init__(self, target: Target, workload: Workload) -> None:
        super().__init__(target, workload, streams=True)

    def read(self, exchange: Exchange) -> Answer:
        """See ``Api``."""
        refused = failed(exchange)
        if refused is not None:
            return refused
        answer = Answer(arrivals_ns=[])
        texts: list[str] = []
        for at_ns, data in sse.events(exchange):
            try:
                response = _decode(data)
            except msgspec.MsgspecError as error:
                return Answer(failure=Failure("protocol", f"an event is not Triton's: {error}"))
            if response.error is not None:
                return Answer(failure=Failure("server_error", said(data)))
            tokens = _sum(response.num_output_tokens)
            # A last response may carry Triton's final flag and nothing else.
            if response.text or tokens != 0:
                answer.arrivals_ns.append(at_ns)
            if tokens is not None:
                answer.output_tokens = (answer.output_tokens or 0) + tokens
            if response.num_input_tokens is not None:
                answer.input_tokens = _first(response.num_input_tokens)
            texts.append(response.text or "")
        answer.text = "".join(texts)
        return answer


def _sum(count: int | list[int] | None) -> int | None:
    return sum(count) if isinstance(count, list) else count


def _first(count: int | list[int] | None) -> int | None:
    return count[0] if isinstance(count, list) and count else None if isinstance(count, list) else count
