"""Messages between stub and engine host.

Every ``Submit`` ends in exactly one final message: a ``Rejected``, an ``Embedded``, one ``Delta`` with a finish reason
for each of its ``n`` sequences, or the loss of its host (``EngineLost``, or the end of the connection), after which the
stub submits what is unfinished again, under another id. Messages are msgpack arrays: fields are positional,
so new ones are appended with a default and anything else raises ``VERSION``.
"""

from __future__ import annotations

from typing import Any

import msgspec

VERSION = 3

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


class Delivered(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The output tokens of one sequence that a stub has had from an engine that is lost. ``steps`` are the numbers of
    tokens that came together; only a chat's parser wants to know them."""

    token_ids: list[int]
    steps: list[int] = []


class Submit(_Message, frozen=True):
    """One request. Exactly one of ``prompt``, ``prompt_token_ids``, ``chat`` and ``embed`` is set.

    ``id`` is unique within the stub; ``request_id`` is the client's own and goes into vLLM's id. ``sampling`` holds
    fields of vLLM's ``SamplingParams`` by name. ``deadline_s`` counts from arrival at the host. ``resume_from`` makes
    it go on where a lost engine has left it: for each of its ``n`` sequences the tokens that were delivered, which are
    not sent again, or None where it has been finished. ``images`` are base64 as the client sent them, for a ``prompt``.
    ``chat`` holds fields of vLLM's ``ChatCompletionRequest`` by name; those that have no input of their own come in
    ``sampling``. ``embed`` is {"input": text or token ids, "pooling_params": fields of vLLM's ``PoolingParams``}.
    ``logprobs``: deltas carry logprobs and their sum. ``client`` is who asks, as far as the client says: an overloaded
    host is fair to them. ``refused`` counts the requests that the stub has refused by itself since its last message of
    this kind, as ``Rejected.holds_s`` lets it. ``trace`` is W3C's trace context by header, where the server traces.
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
    resume_from: list[Delivered | None] = []
    images: list[str] = []
    chat: dict[str, Any] | None = None
    embed: dict[str, Any] | None = None
    logprobs: bool = False
    client: str = ""
    refused: int = 0
    trace: dict[str, str] = {}


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
    """The request never reached the engine, or was taken back from it. ``code`` is one of ``REJECTION_CODES``.
    ``retry_after_s`` is set where the same request is worth another try. After "expelled" no other engine is tried. For
    ``holds_s`` from now on every request of the same client that is no more urgent would be told the same."""

    id: int
    code: str
    message: str
    retry_after_s: float | None = None
    holds_s: float = 0.0


REJECTION_CODES = (
    *("invalid", "unsupported", "not_found", "unavailable", "expelled", "deadline", "internal", "overloaded"),
)


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
    Engines of equal ``fingerprint`` serve the same model with the same tokens: one can go on where the other was lost.
    """

    version: int
    epoch: int
    relay_address: str
    model_name: str
    max_model_len: int
    replicas: int
    tokenizer_path: str
    fingerprint: str = ""


class EngineLost(_Message, frozen=True):
    """No more comes of the requests in flight on this host; ``EngineReady`` follows when there is an engine again."""

    epoch: int
    reason: str


FromStub = Hello | Submit | Abort | Stopped
FromHost = Accepted | Rejected | Tokens | Embedded | EngineReady | EngineLost
