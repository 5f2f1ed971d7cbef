"""Requests for long answers as bytes, for clients that do with their connections what no library would."""

from __future__ import annotations

import json
import struct
from typing import Any

import grpc
from tritonclient.grpc import service_pb2 as pb

STORY = "Tell me a long story."
GENERATE_STREAM = "/v2/models/generate/generate_stream"
_SERVICE = "/inference.GRPCInferenceService/"


def http(path: str, **fields: Any) -> bytes:
    """A POST of JSON."""
    body = json.dumps(fields).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def generate_stream(tokens: int) -> bytes:
    """Over HTTP."""
    sampling = {"max_tokens": tokens, "ignore_eos": True, "temperature": 0}
    return http(GENERATE_STREAM, text_input=STORY, stream=True, **sampling)


def completions(model: str, tokens: int) -> bytes:
    """A stream of the OpenAI server."""
    sampling = {"max_tokens": tokens, "ignore_eos": True, "temperature": 0}
    return http("/v1/completions", model=model, prompt=STORY, stream=True, **sampling)


def tensors(model: str, tokens: int, *, stream: bool) -> bytes:
    """A ``ModelInferRequest`` of the generate contract."""
    sampling = json.dumps({"max_tokens": tokens, "ignore_eos": True, "temperature": 0})
    request = pb.ModelInferRequest(model_name=model)
    for name, text in (("text_input", STORY), ("sampling_parameters", sampling)):
        request.inputs.add(name=name, datatype="BYTES", shape=[1])
        request.raw_input_contents.append(struct.pack("<I", len(text.encode())) + text.encode())
    request.inputs.add(name="stream", datatype="BOOL", shape=[1])
    request.raw_input_contents.append(bytes([stream]))
    return bytes(request.SerializeToString())


def channel(url: str) -> grpc.Channel:
    """A connection of its own, which takes from the socket no more than its reader wants."""
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 0)]
    return grpc.insecure_channel(url, options=options)


def stream_infer(channel: grpc.Channel, tokens: int) -> Any:
    """An iterator of responses' bytes, cancellable; nothing is fetched before it is asked for."""
    return channel.stream_stream(_SERVICE + "ModelStreamInfer")(iter([tensors("generate", tokens, stream=True)]))


def infer(channel: grpc.Channel, tokens: int) -> Any:
    """A future of the one response, cancellable."""
    return channel.unary_unary(_SERVICE + "ModelInfer").future(tensors("generate_infer", tokens, stream=False))
