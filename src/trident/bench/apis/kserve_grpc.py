"""KServe's gRPC ``ModelInfer`` and Triton's ``ModelStreamInfer``, as bytes: encoded before, decoded after.

Triton answers errors of a stream inside the stream (``error_message``); all tensors are raw.
"""

from __future__ import annotations

import struct
from typing import Any

from google.protobuf.message import DecodeError
from tritonclient.grpc import service_pb2 as pb

from trident.bench.apis.sampling import COUNT_INPUTS, sampling_parameters
from trident.bench.exchange import Answer, Ask, Exchange, Failure
from trident.bench.plan import Target, Workload


class KserveGrpc:
    """``ModelInfer``: one answer."""

    streams = False

    def __init__(self, target: Target, workload: Workload) -> None:
        self._target = target
        self._workload = workload

    def encode(self, ask: Ask) -> bytes:
        """See ``Api``."""
        request = pb.ModelInferRequest(model_name=self._target.model)
        if self._target.contract == "recipe":
            _add(request, "prompt", "BYTES", _text(ask.prompt))
            _add(request, "max_tokens", "INT32", struct.pack("<i", ask.max_tokens))
            _add(request, "temperature", "FP32", struct.pack("<f", self._workload.temperature))
            return bytes(request.SerializeToString())
        _add(request, "text_input", "BYTES", _text(ask.prompt))
        _add(request, "sampling_parameters", "BYTES", _text(sampling_parameters(ask, self._workload)))
        _add(request, *(("stream", "BOOL", b"\x01") if self.streams else ("exclude_input_in_output", "BOOL", b"\x01")))
        if self._target.asks_token_counts:
            for name in COUNT_INPUTS:
                _add(request, name, "BOOL", b"\x01")
        return bytes(request.SerializeToString())

    def read(self, exchange: Exchange) -> Answer:
        """See ``Api``."""
        if exchange.failure is not None:
            return Answer(failure=exchange.failure)
        response = pb.ModelInferResponse()
        try:
            response.ParseFromString(b"".join(exchange.pieces))
        except DecodeError as error:
            return Answer(failure=Failure("protocol", f"the answer is not KServe's: {error}"))
        tensors = _tensors(response)
        if tensors.text is None:
            return Answer(failure=Failure("protocol", "the answer has no text"))
        return Answer(
            arrivals_ns=[exchange.end_ns],
            is_streamed=False,
            input_tokens=tensors.input_tokens,
            output_tokens=tensors.output_tokens,
            text=tensors.text,
        )


class KserveGrpcStream(KserveGrpc):
    """``ModelStreamInfer``: a stream for each request."""

    streams = True

    def read(self, exchange: Exchange) -> Answer:
        """See ``Api``."""
        if exchange.failure is not None:
            return Answer(failure=exchange.failure)
        answer = Answer(arrivals_ns=[])
        texts: list[str] = []
        for at_ns, piece in zip(exchange.stamps_ns, exchange.pieces, strict=True):
            message = pb.ModelStreamInferResponse()
            try:
                message.ParseFromString(piece)
            except DecodeError as error:
                return Answer(failure=Failure("protocol", f"a response is not Triton's: {error}"))
            if message.error_message:
                return Answer(failure=Failure("server_error", message.error_message[:300]))
            tensors = _tensors(message.infer_response)
            if tensors.text is None:
                continue
            if tensors.text or tensors.output_tokens != 0:
                answer.arrivals_ns.append(at_ns)
            if tensors.output_tokens is not None:
                answer.output_tokens = (answer.output_tokens or 0) + tensors.output_tokens
            if tensors.input_tokens is not None:
                answer.input_tokens = tensors.input_tokens
            texts.append(tensors.text)
        answer.text = "".join(texts)
        return answer


class _Tensors:
    text: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None


def _tensors(response: Any) -> _Tensors:
    found = _Tensors()
    for output, raw in zip(response.outputs, response.raw_output_contents, strict=False):
        if output.name in ("text_output", "generated_text"):
            found.text = "".join(_texts(raw))
        elif output.name == "num_input_tokens":
            found.input_tokens = _numbers(raw)[0]
        elif output.name == "num_output_tokens":
            found.output_tokens = sum(_numbers(raw))
    return found


def _add(request: Any, name: str, datatype: str, raw: bytes) -> None:
    request.inputs.add(name=name, datatype=datatype, shape=[1])
    request.raw_input_contents.append(raw)


def _text(text: str) -> bytes:
    content = text.encode()
    return struct.pack("<I", len(content)) + content


def _texts(raw: bytes) -> list[str]:
    texts, position = [], 0
    while position < len(raw):
        (length,) = struct.unpack_from("<I", raw, position)
        texts.append(raw[position + 4 : position + 4 + length].decode("utf-8", "replace"))
        position += 4 + length
    return texts


def _numbers(raw: bytes) -> tuple[int, ...]:
    """UINT32, as Triton's vLLM backend declares its counts."""
    return struct.unpack(f"<{len(raw) // 4}I", raw) or (0,)
