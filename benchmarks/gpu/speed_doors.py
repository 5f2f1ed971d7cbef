"""The doors that are compared: where each is, what a request looks like there, and what tells that tokens have come.

A body is made before the clock runs; of an answer only its events are counted, as a client that parses would be the
limit.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Kind = Literal["events", "whole", "grpc"]
"""Server-sent events, one JSON answer, or gRPC's ``ModelStreamInfer``."""


@dataclass(frozen=True)
class Door:
    """``server`` is whose it is, ``body`` makes a request of a prompt and a number of tokens."""

    name: str
    server: str
    kind: Kind
    port: int
    path: str
    body: Callable[[str, int], bytes]


def sampling(tokens: int) -> dict[str, object]:
    """Greedy and exactly so long, everywhere."""
    return {"max_tokens": tokens, "temperature": 0, "ignore_eos": True}


def openai(name: str, server: str, port: int, model: str) -> Door:
    """``/v1/completions`` as a stream."""

    def body(prompt: str, tokens: int) -> bytes:
        return json.dumps({"model": model, "prompt": prompt, "stream": True, **sampling(tokens)}).encode()

    return Door(name, server, "events", port, "/v1/completions", body)


def generate_stream(name: str, server: str, port: int, model: str) -> Door:
    """Triton's ``generate_stream``."""

    def body(prompt: str, tokens: int) -> bytes:
        return json.dumps({"text_input": prompt, "stream": True, **sampling(tokens)}).encode()

    return Door(name, server, "events", port, f"/v2/models/{model}/generate_stream", body)


def infer(name: str, server: str, port: int, model: str, shape: list[int]) -> Door:
    """KServe's ``infer`` with the recipe's contract, whose answers end where the model ends them: nothing there says
    ``ignore_eos``, and random weights never do."""

    def body(prompt: str, tokens: int) -> bytes:
        inputs = [
            {"name": "prompt", "datatype": "BYTES", "shape": shape, "data": [prompt]},
            {"name": "max_tokens", "datatype": "INT32", "shape": shape, "data": [tokens]},
            {"name": "temperature", "datatype": "FP32", "shape": shape, "data": [0.0]},
        ]
        return json.dumps({"inputs": inputs}).encode()

    return Door(name, server, "whole", port, f"/v2/models/{model}/infer", body)


def grpc_stream(name: str, server: str, port: int, model: str) -> Door:
    """Triton's ``ModelStreamInfer``, a call for each request."""

    def body(prompt: str, tokens: int) -> bytes:
        tensors = [
            ("text_input", "BYTES", _bytes(prompt)),
            ("sampling_parameters", "BYTES", _bytes(json.dumps(sampling(tokens)))),
            ("stream", "BOOL", b"\x01"),
        ]
        inputs = b"".join(_field(5, _input(tensor, datatype)) for tensor, datatype, _ in tensors)
        return _field(1, model.encode()) + inputs + b"".join(_field(7, content) for _, _, content in tensors)

    return Door(name, server, "grpc", port, "/inference.GRPCInferenceService/ModelStreamInfer", body)


def _bytes(text: str) -> bytes:
    content = text.encode()
    return struct.pack("<I", len(content)) + content


def _input(name: str, datatype: str) -> bytes:
    """``InferInputTensor`` of shape [1]."""
    return _field(1, name.encode()) + _field(2, datatype.encode()) + _field(3, b"\x01")


def _field(number: int, content: bytes) -> bytes:
    """Protobuf by hand, for the machine has no KServe definitions: a field that has a length."""
    size, left = b"", len(content)
    while left > 0x7F:
        size += bytes([left & 0x7F | 0x80])
        left >>= 7
    return bytes([number << 3 | 2]) + size + bytes([left]) + content


GRPC_ERROR = 0x0A
"""How a message of the stream begins that is an error: ``error_message`` is field 1 of ``ModelStreamInferResponse``."""
