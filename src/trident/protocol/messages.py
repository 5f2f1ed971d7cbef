"""Messages between stub and engine host.

Every ``Submit`` ends in exactly one final message: a ``Rejected``, an ``Embedded``, one ``Delta`` with a finish reason
for each of its ``n`` sequences, or the ``EngineLost`` of its host. Messages are msgpack arrays: fields are positional,
so new ones are appended with a default and anything else raises ``VERSION``.
"""

from __future__ import annotations

from typing import Any

import msgspec

VERSION = 2

FINISH_REASONS = ("stop", "length", "abort", "error", "repetition", "tool_calls")
"""vLLM's names for the integers of ``vllm.v1.engine.FinishReason``; a test compares the two. The last one is what the
OpenAI server makes of "stop" when a chat's answer calls tools."""


class _Message(msgspec.Struct, array_like=True, tag=True, frozen=True, gc=False):
    """Common encoding of everything on the wire."""


class Hello(_Message, frozen=True):
    """A stub introduces itself; first message on every new connection.

    ``address`` is where the host reaches the stub, ``pid`` lets the host watch it die.
    """

    version: int
    pid: int
    name: str
    address: str


class Submit(_Message, frozen=True):
    """One request. Exactly one of ``prompt``, ``prompt_token_ids``, ``chat`` and ``embed`` is set.

    ``id`` is unique within the stub; ``request_id`` is the client's own and goes into vLLM's id. ``sampling`` holds
    fields of vLLM's ``SamplingParams`` by name. ``deadline_s`` counts from arrival at the host. ``resume_from`` are
    output tokens already delivered by another engine: they are appended to the prompt and never sent again.
    ``images`` are base64 as the client sent them, for a ``prompt``. ``chat`` holds fields of vLLM's
    ``ChatCompletionRequest`` by name; those of them that have no input of their own come in ``sampling``. ``embed`` is
    {"input": text or token ids, "pooling_params": fields of vLLM's ``PoolingParams``}. ``logprobs``: deltas carry
    logprobs and their sum.
    """

    id: int
    request_id: str
    prompt: str | None
    prompt_token_ids: list[int] | None
    sampling: dict[str, Any]
    lora_name: str | None = None
    priority: int = 0
    deadline_s: float | None = None
    replica: int | None = None
    resume_from: list[int] = []
    images: list[str] = []
    chat: dict[str, Any] | None = None
    embed: dict[str, Any] | None = None
    logprobs: bool = False


class Abort(_Message, frozen=True):
    """The stub wants no more of these requests; nothing is answered."""

    ids: list[int]


class Stopped(_Message, frozen=True):
    """The text of one sequence has reached a stop string: it is finished for the client, and counts as finished."""

    id: int
    index: int


class Accepted(_Message, frozen=True):
    """vLLM has validated the request and the engine will run it.

    Carries what the stub needs to turn ids into text exactly as vLLM would: the prompt's ids prime the decoder and
    the rest are the resolved fields of ``SamplingParams``.
    """

    id: int
    prompt_token_ids: list[int]
    n: int
    stop: list[str]
    include_stop_str_in_output: bool
    min_tokens: int
    detokenize: bool
    skip_special_tokens: bool
    spaces_between_special_tokens: bool


class Rejected(_Message, frozen=True):
    """The request never reached the engine, or was taken back from it. ``code`` is one of ``REJECTION_CODES``."""

    id: int
    code: str
    message: str


REJECTION_CODES = ("invalid", "unsupported", "not_found", "unavailable", "deadline", "internal")


class Logprob(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One token that could have stood at a position: its natural logarithm of probability, its rank from 1 on."""

    token_id: int
    logprob: float
    rank: int | None
    decoded_token: str | None


class Parsed(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """New text of a chat's sequence, taken apart by vLLM's parsers. ``tool_calls`` is a JSON list of OpenAI's
    tool-call deltas, empty text when there is none."""

    content: str
    reasoning: str
    tool_calls: str


class Delta(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """New tokens of one sequence. ``finish`` indexes ``FINISH_REASONS`` and is set on the last one only.

    ``stop_reason`` is the token id or string that vLLM stopped at, if any. ``logprobs`` has the candidates of each
    new token, the sampled one first, and ``cumulative_logprob`` the sum over all sampled so far; both only when asked
    for. ``parsed`` takes the place of what the stub would make of the ids.
    """

    id: int
    token_ids: list[int]
    finish: int | None = None
    index: int = 0
    stop_reason: int | str | None = None
    logprobs: list[list[Logprob]] | None = None
    cumulative_logprob: float | None = None
    parsed: Parsed | None = None


class Tokens(_Message, frozen=True):
    """All news of one engine step for one stub."""

    deltas: list[Delta]


class Embedded(_Message, frozen=True):
    """The answer to an ``embed``; final."""

    id: int
    embedding: list[float]
    num_prompt_tokens: int


class EngineReady(_Message, frozen=True):
    """The host's answer to ``Hello``, and again after each engine restart.

    ``epoch`` grows with every engine that was started. ``relay_address`` is where the host listens, so that a stub
    with several hosts knows which one speaks. ``tokenizer_path`` is a ``tokenizer.json`` equal to the one vLLM uses.
    """

    version: int
    epoch: int
    relay_address: str
    model_name: str
    max_model_len: int
    replicas: int
    tokenizer_path: str


class EngineLost(_Message, frozen=True):
    """Every request in flight on this host has failed; ``EngineReady`` follows when there is an engine again."""

    epoch: int
    reason: str


FromStub = Hello | Submit | Abort | Stopped
FromHost = Accepted | Rejected | Tokens | Embedded | EngineReady | EngineLost
