"""A fixed set of requests through Triton's doors, for runs whose texts are compared: encoded before, read afterwards.

``candidates`` has streams and whole answers, both contracts, stop strings, logprobs, penalties, structured outputs and
seeded sampling. Of the last only the number of tokens is compared.
"""

from __future__ import annotations

import json
import random
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tritonclient.grpc import service_pb2 as pb

from trident.bench.apis import sse
from trident.bench.apis.http_request import HttpRequest
from trident.bench.exchange import Exchange

QUESTIONS = Path(__file__).parents[1] / "src" / "trident" / "models" / "demo" / "questions.json"
STORIES = [
    "Tell me a story.",
    "Tell me a long story.",
    "Tell me a story about a small server.",
    "Once upon a time",
    "从前",
    "请讲一个故事。",
    "What is Trident, and what is it made of?",
    "Explain the KV cache and then count from one to ten.",
]
PERSON = {"type": "object", "properties": {"name": {"type": "string", "maxLength": 12}, "age": {"type": "integer"}}}
MODELS = {"stream": "generate", "infer": "generate_infer", "recipe": "qwen3_vllm"}
"""By the first word of a door."""


@dataclass(frozen=True, eq=False)
class Request:
    """``door`` is "stream http", "stream grpc", "infer http", "infer grpc" or "recipe http"."""

    door: str
    prompt: str
    sampling: dict[str, Any] = field(default_factory=dict)
    is_text_compared: bool = True

    @property
    def model(self) -> str:
        return MODELS[self.door.split()[0]]

    @property
    def name(self) -> str:
        return f"{self.door} {self.prompt!r} {json.dumps(self.sampling, sort_keys=True)}"

    @property
    def is_plainly_greedy(self) -> bool:
        """Nothing but the prompt and the tokens so far decides about the next token."""
        return self.is_text_compared and self.sampling.keys() <= {"max_tokens", "ignore_eos", "logprobs"}


@dataclass(frozen=True)
class Heard:
    """What came: ``texts`` of each sequence, ``tokens`` in all (None where the contract does not say), and the sampled
    ids where logprobs were asked for."""

    texts: tuple[str, ...]
    tokens: int | None
    token_ids: tuple[str, ...] = ()


class NotAnAnswer(Exception):
    """The server said something else, in its own words, after ``responses`` that were good."""

    def __init__(self, message: str, responses: int = 0) -> None:
        super().__init__(message)
        self.responses = responses


def candidates(seed: int = 0) -> list[Request]:
    """The whole set, in a fixed order."""
    rng = random.Random(seed)
    listed = [item["question"] for item in json.loads(QUESTIONS.read_text(encoding="utf-8"))]
    questions = iter(rng.sample(listed, 60))
    long = [{"max_tokens": tokens, "ignore_eos": True} for tokens in (100, 200, 300, 400, 500, 600)]
    made = []
    for number, story in enumerate(STORIES):
        made += [Request(door, story, long[(number + shift) % 6]) for shift, door in enumerate(_STREAMS)]
        made.append(Request("infer http" if number % 2 else "infer grpc", story, long[number % 2]))
    for door, count in (("stream http", 6), ("stream grpc", 6), ("infer http", 3), ("infer grpc", 3)):
        made += [Request(door, next(questions), {"max_tokens": 200}) for _ in range(count)]
    made += [Request("recipe http", next(questions), {"max_tokens": 150}) for _ in range(4)]
    for door in _STREAMS:
        made += [
            Request(door, next(questions), {"max_tokens": 200, "ignore_eos": True, "stop": [".", "。"]}),
            Request(door, STORIES[0], {**long[3], "stop": ["no such text"]}),
            Request(door, next(questions), {**long[1], "logprobs": 1}),
            Request(door, STORIES[1], {**long[2], "presence_penalty": 0.5}),
            Request(door, STORIES[2], {**long[2], "frequency_penalty": 0.3, "repetition_penalty": 1.1}),
            Request(door, STORIES[0], {"max_tokens": 150, "structured_outputs": {"json": PERSON}}),
            Request(door, STORIES[0], {**long[1], "structured_outputs": {"regex": "([a-z]{3,7} ){60}"}}),
            Request(door, STORIES[3], {**long[2], "temperature": 0.8, "seed": 7}, is_text_compared=False),
            Request(door, STORIES[4], {**long[2], "temperature": 0.8, "seed": 8, "n": 2}, is_text_compared=False),
        ]
    return made


_STREAMS = ("stream http", "stream grpc")


def encode(request: Request, url: str) -> bytes:
    """The whole request as its channel wants it; ``url`` is that of the HTTP port."""
    if request.door == "recipe http":
        inputs = [_json_input("prompt", "BYTES", request.prompt), _json_input("temperature", "FP32", 0.0)]
        inputs.append(_json_input("max_tokens", "INT32", request.sampling["max_tokens"]))
        return HttpRequest(f"{url}/v2/models/{request.model}/infer")({"inputs": inputs})
    sampling = json.dumps({"temperature": 0, **request.sampling})
    returns = {"return_num_output_tokens": True, "return_logprobs": "logprobs" in request.sampling}
    flags = {**returns, ("stream" if request.door in _STREAMS else "exclude_input_in_output"): True}
    if request.door == "stream http":
        body = {"text_input": request.prompt, "sampling_parameters": sampling, **flags}
        return HttpRequest(f"{url}/v2/models/{request.model}/generate_stream")(body)
    texts = {"text_input": request.prompt, "sampling_parameters": sampling}
    if request.door == "infer http":
        inputs = [_json_input(name, "BYTES", value) for name, value in texts.items()]
        inputs += [_json_input(name, "BOOL", value) for name, value in flags.items()]
        return HttpRequest(f"{url}/v2/models/{request.model}/infer")({"inputs": inputs})
    message = pb.ModelInferRequest(model_name=request.model)
    for name, value in texts.items():
        message.inputs.add(name=name, datatype="BYTES", shape=[1])
        message.raw_input_contents.append(struct.pack("<I", len(value.encode())) + value.encode())
    for name, flag in flags.items():
        message.inputs.add(name=name, datatype="BOOL", shape=[1])
        message.raw_input_contents.append(bytes([flag]))
    return bytes(message.SerializeToString())


def read(request: Request, exchange: Exchange) -> Heard:
    """Raises NotAnAnswer."""
    if request.door.endswith("http") and exchange.status != 200:
        body = b"".join(exchange.pieces).decode("utf-8", "replace")
        raise NotAnAnswer(f"HTTP {exchange.status}: {body[:300]}")
    texts: list[str] = []
    tokens: int | None = None
    ids: list[str] = []
    for number, response in enumerate(_responses(request, exchange)):
        if "error" in response:
            raise NotAnAnswer(str(response["error"])[:300], number)
        pieces = _listed(response.get("text_output", response.get("generated_text", "")))
        texts += [""] * (len(pieces) - len(texts))
        texts = [text + piece for text, piece in zip(texts, pieces, strict=False)]
        if "num_output_tokens" in response:
            tokens = (tokens or 0) + sum(_listed(response["num_output_tokens"]))
        for entry in _listed(response.get("logprobs", [])):
            ids += [next(iter(position)) for position in json.loads(entry) or []]
    return Heard(tuple(texts), tokens, tuple(ids))


def _responses(request: Request, exchange: Exchange) -> list[dict[str, Any]]:
    if request.door == "stream http":
        return [json.loads(data) for _, data in sse.events(exchange)]
    if request.door.endswith("http"):
        body = json.loads(b"".join(exchange.pieces))
        return [{output["name"]: output["data"] for output in body.get("outputs", [])} or body]
    found = []
    for piece in exchange.pieces:
        if request.door == "stream grpc":
            streamed = pb.ModelStreamInferResponse.FromString(piece)
            if streamed.error_message:
                found.append({"error": streamed.error_message})
                continue
            response = streamed.infer_response
        else:
            response = pb.ModelInferResponse.FromString(piece)
        raws = zip(response.outputs, response.raw_output_contents, strict=False)
        found.append({output.name: _values(output.datatype, raw) for output, raw in raws})
    return found


def _values(datatype: str, raw: bytes) -> list[Any]:
    if datatype == "UINT32":
        return list(struct.unpack(f"<{len(raw) // 4}I", raw))
    values, position = [], 0
    while position < len(raw):
        (length,) = struct.unpack_from("<I", raw, position)
        values.append(raw[position + 4 : position + 4 + length].decode("utf-8", "replace"))
        position += 4 + length
    return values


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _json_input(name: str, datatype: str, value: Any) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": [1], "data": [value]}
