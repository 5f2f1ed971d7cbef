"""What is learnt about a server before it is loaded: which model, which tensors, whether it counts tokens, how long
its words are.

One small request goes the same way as the thousands that follow: what cannot work fails here, with the server's words.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from trident.bench import metadata
from trident.bench.apis.choice import api_and_channel
from trident.bench.exchange import Answer, Ask, Exchange
from trident.bench.metadata import Unreachable
from trident.bench.plan import Api, Contract, Target, TextModel, Workload
from trident.bench.text import WORDS
from trident.errors import NotRunning, RequestFailed

PROBE_TIMEOUT_S = 120.0
SHORT_PROBE_WORDS = 8
LONG_PROBES_WORDS = (len(WORDS), len(WORDS) // 4)
"""All words, so that their average length is exact; fewer where the model's context is too short for them."""


class Found(NamedTuple):
    """A server that answers."""

    target: Target
    text: TextModel
    notes: list[str]


async def look(api: Api, url: str, model: str | None, workload: Workload) -> Found:
    """Raises NotRunning where nobody listens, RequestFailed with the server's words where it refuses."""
    try:
        target = await (_openai_target if api.startswith("openai") else _triton_target)(api, url, model)
    except Unreachable as error:
        raise NotRunning(
            f"No server answers at {url}", str(error), "check --url, or start one: trident serve"
        ) from error
    notes: list[str] = []
    short = await _probe(target, workload, SHORT_PROBE_WORDS)
    if short.failure is not None:
        raise RequestFailed(
            f"The server refused a first small request at {target.url}",
            f"{short.failure.kind}: {short.failure.message}" if short.failure.message else short.failure.kind,
            "change --api or --model; with HTTP 401 set OPENAI_API_KEY",
        )
    if short.output_tokens is None:
        notes.append("the server counts no tokens at this API: counts are estimates")
    return Found(target, await _text_model(target, workload, short), notes)


async def _openai_target(api: Api, url: str, model: str | None) -> Target:
    base = url.rstrip("/").removesuffix("/v1")
    listed = (await metadata.get(f"{base}/v1/models", metadata.Listed)).data
    path = "/v1/chat/completions" if api == "openai-chat" else "/v1/completions"
    chosen = _chosen(model, [entry.id for entry in listed], "OpenAI models")
    return Target(api=api, url=base + path, model=chosen, server=listed[0].owned_by)


async def _triton_target(api: Api, url: str, model: str | None) -> Target:
    server = metadata.Grpc(url) if api.startswith("kserve-grpc") else metadata.Http(url)
    async with server:
        ready = await server.models()
        names = [model] if model else sorted(ready)
        fitting: list[Target] = []
        for name in names:
            if name not in ready:
                raise RequestFailed(
                    f"The server has no model {name}",
                    f"ready are: {', '.join(sorted(ready))}",
                    "give --model one of these",
                )
            described = await server.describe(name)
            target = _fitting(api, url, name, described)
            if target is not None:
                fitting.append(target)
    if not fitting:
        raise RequestFailed(
            f"No model of this server can be asked by {api}",
            f"looked at: {', '.join(names) or 'none, the server has no model that is ready'}",
            "give --model a model with text_input or prompt that fits the API (infer: not decoupled), or another --api",
        )
    return min(fitting, key=lambda target: target.contract != "vllm")


def _fitting(api: Api, url: str, name: str, model: metadata.Model) -> Target | None:
    """None where the model has other tensors, or answers ``infer`` never (decoupled) or streams never."""
    contract: Contract | None = (
        "vllm" if "text_input" in model.inputs else "recipe" if "prompt" in model.inputs else None
    )
    if contract is None or (model.is_decoupled and api in ("kserve-http", "kserve-grpc")):
        return None
    if contract == "recipe" and api in ("triton-generate-stream", "kserve-grpc-stream"):
        return None
    path = {
        "triton-generate": f"/v2/models/{name}/generate",
        "triton-generate-stream": f"/v2/models/{name}/generate_stream",
        "kserve-http": f"/v2/models/{name}/infer",
    }
    address = metadata.http_base(url) + path[api] if api in path else metadata.grpc_address(url)
    counts = "return_num_output_tokens" in model.inputs and "return_num_input_tokens" in model.inputs
    return Target(api=api, url=address, model=name, contract=contract, asks_token_counts=counts, server=model.server)


def _chosen(asked: str | None, names: Sequence[str], what: str) -> str:
    if asked is None and names:
        return names[0]
    if asked in names:
        return str(asked)
    raise RequestFailed(
        f"The server has no model {asked}" if asked else "The server has no model",
        f"{what}: {', '.join(names) or 'none'}",
        "give --model one of these",
    )


async def _text_model(target: Target, workload: Workload, short: Answer) -> TextModel:
    """A line through two prompts that the server has counted: its chat template is what remains at no words."""
    given = workload.text
    if given.source == "tokenizer" or short.input_tokens is None:
        return given
    for words in LONG_PROBES_WORDS:
        long = await _probe(target, workload, words)
        if long.failure is None and long.input_tokens is not None and long.input_tokens > short.input_tokens:
            per_word = (long.input_tokens - short.input_tokens) / (words - SHORT_PROBE_WORDS)
            overhead = max(0.0, long.input_tokens - per_word * words)
            return msgspec.structs.replace(given, source="server", tokens_per_word=per_word, overhead_tokens=overhead)
    return given


async def _probe(target: Target, workload: Workload, words: int) -> Answer:
    content = " ".join(WORDS[index % len(WORDS)] for index in range(-words, 0))
    api, channel = api_and_channel(target, workload)
    exchange = Exchange(0)
    try:
        await channel.exchange(api.encode(Ask([{"role": "user", "content": content}], 2)), exchange, PROBE_TIMEOUT_S)
    finally:
        await channel.close()
    return api.read(exchange)
