"""Each API's own bytes: what a request says, what an answer means."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tritonclient.grpc import service_pb2 as pb

from trident.bench.apis.choice import api_and_channel
from trident.bench.apis.kserve_grpc import KserveGrpc, KserveGrpcStream
from trident.bench.apis.kserve_http import KserveHttp
from trident.bench.apis.openai import OpenAiChat, OpenAiCompletions
from trident.bench.apis.triton import TritonGenerate, TritonGenerateStream
from trident.bench.exchange import Answer, Ask, Exchange, Failure
from trident.bench.plan import Target, Workload

ASK = Ask(
    [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes?"}, {"role": "user", "content": "2"}], 7
)


def target(api: str, **more: Any) -> Target:
    return Target(**{"api": api, "url": "http://host:1/path", "model": "m", "contract": "vllm", **more})


def ended(*pieces: bytes, status: int = 200) -> Exchange:
    exchange = Exchange(0)
    exchange.pieces = list(pieces)
    exchange.stamps_ns = [10 * (number + 1) for number in range(len(pieces))]
    exchange.end_ns = 999
    exchange.status = status
    return exchange


def event(content: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(content).encode() + b"\n\n"


def body(wire: bytes) -> dict[str, Any]:
    head, _, content = wire.partition(b"\r\n\r\n")
    assert f"Content-Length: {len(content)}".encode() in head
    assert head.startswith(b"POST /path HTTP/1.1\r\nHost: host:1\r\n")
    return json.loads(content)  # type: ignore[no-any-return]


def test_openai_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    wire = OpenAiChat(target("openai-chat"), Workload()).encode(ASK)
    assert b"Authorization: Bearer secret\r\n" in wire
    assert body(wire) == {
        "model": "m",
        "stream": True,
        "temperature": 0.0,
        "stream_options": {"include_usage": True},
        "ignore_eos": True,
        "messages": ASK.messages,
        "max_completion_tokens": 7,
    }
    plain = OpenAiCompletions(target("openai-completions"), Workload(ignore_eos=False)).encode(ASK)
    assert body(plain)["prompt"] == "Hi\n\nYes?\n\n2"
    assert "ignore_eos" not in body(plain)


def test_chat_stream_counts_every_event_with_choices() -> None:
    answer = OpenAiChat(target("openai-chat"), Workload()).read(
        ended(
            event({"choices": [{"delta": {"role": "assistant", "content": ""}}]}),
            event({"choices": [{"delta": {"content": "a"}}]}) + event({"choices": [{"delta": {"content": "b"}}]}),
            event({"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 2}}) + b"data: [DONE]\n\n",
        )
    )
    assert answer == Answer(arrivals_ns=[10, 20, 20], input_tokens=5, output_tokens=2, text="ab")


def test_usage_inside_token_events_is_the_last_one() -> None:
    def token(number: int) -> bytes:
        usage = {"prompt_tokens": 5, "completion_tokens": number}
        content = {"id": "x", "choices": [{"text": "a"}], "usage": usage}
        return b"data: " + json.dumps(content, separators=(",", ":")).encode() + b"\n\n"

    api = OpenAiCompletions(target("openai-completions"), Workload())
    answer = api.read(ended(token(1), token(2), token(3), b"data: [DONE]\n\n"))
    assert (answer.arrivals_ns, answer.input_tokens, answer.output_tokens) == ([10, 20, 30], 5, 3)


def test_text_is_kept_where_the_next_turn_needs_it() -> None:
    pieces = [b'data: {"choices":[{"delta":{"content":"%s"}}]}\n\n' % text for text in (b"a", b"b", b"c")]
    api = OpenAiChat(target("openai-chat"), Workload(kind="conversations", turns=2))
    assert api.read(ended(*pieces)).text == "abc"


def test_completion_stream_without_usage_has_no_counts() -> None:
    answer = OpenAiCompletions(target("openai-completions"), Workload()).read(
        ended(event({"choices": [{"text": "a"}]}))
    )
    assert answer == Answer(arrivals_ns=[10], text="a")


@pytest.mark.parametrize("api", ["openai-chat", "openai-completions", "triton-generate-stream", "triton-generate"])
def test_error_inside_an_answer_is_the_servers(api: str) -> None:
    reader, _ = api_and_channel(target(api), Workload())
    content = {"error": {"message": "engine is gone"}} if api.startswith("openai") else {"error": "engine is gone"}
    piece = json.dumps(content).encode() if api == "triton-generate" else event(content)
    assert reader.read(ended(piece)).failure == Failure("server_error", "engine is gone")


@pytest.mark.parametrize("api", ["openai-chat", "triton-generate-stream", "triton-generate", "kserve-http"])
def test_refusal_and_nonsense_are_told_apart(api: str) -> None:
    reader, _ = api_and_channel(target(api), Workload())
    assert reader.read(ended(b'{"error": "too long"}', status=400)).failure == Failure("http_400", "too long")
    nonsense = reader.read(ended(b"data: {]\n\n" if "stream" in api or "chat" in api else b"{]"))
    assert nonsense.failure is not None
    assert nonsense.failure.kind == "protocol"
    lost = Exchange(0)
    lost.failure = Failure("disconnected", "gone")
    assert reader.read(lost).failure == lost.failure


def test_triton_requests() -> None:
    wire = TritonGenerateStream(target("triton-generate-stream"), Workload()).encode(ASK)
    sampling = {"max_tokens": 7, "temperature": 0.0, "ignore_eos": True}
    assert body(wire) == {
        "text_input": ASK.prompt,
        "stream": True,
        "sampling_parameters": json.dumps(sampling, separators=(",", ":")),
        "return_num_input_tokens": True,
        "return_num_output_tokens": True,
    }
    whole = TritonGenerate(target("triton-generate", asks_token_counts=False), Workload()).encode(ASK)
    assert body(whole)["exclude_input_in_output"] is True
    assert "return_num_input_tokens" not in body(whole)
    recipe = TritonGenerate(target("triton-generate", contract="recipe"), Workload()).encode(ASK)
    assert body(recipe) == {"prompt": ASK.prompt, "max_tokens": 7, "temperature": 0.0}


def test_triton_stream_adds_up_the_counts_of_its_responses() -> None:
    answer = TritonGenerateStream(target("triton-generate-stream"), Workload()).read(
        ended(
            event({"text_output": "a", "num_output_tokens": 1, "num_input_tokens": 9}),
            event({"text_output": ["b"], "num_output_tokens": [2], "num_input_tokens": 9}),
            event({"text_output": "", "num_output_tokens": 0, "num_input_tokens": 9}),
        )
    )
    assert answer == Answer(arrivals_ns=[10, 20], input_tokens=9, output_tokens=3, text="ab")


def test_triton_answer_in_one_piece() -> None:
    content = json.dumps({"text_output": "ab", "num_output_tokens": 2, "num_input_tokens": 9}).encode()
    answer = TritonGenerate(target("triton-generate"), Workload()).read(ended(content[:9], content[9:]))
    expected = Answer(arrivals_ns=[999], is_streamed=False, input_tokens=9, output_tokens=2, text="ab")
    assert answer == expected


def test_kserve_http_in_both_contracts() -> None:
    recipe = body(KserveHttp(target("kserve-http", contract="recipe"), Workload()).encode(ASK))["inputs"]
    assert [(one["name"], one["datatype"], one["data"]) for one in recipe] == [
        ("prompt", "BYTES", [ASK.prompt]),
        ("max_tokens", "INT32", [7]),
        ("temperature", "FP32", [0.0]),
    ]
    api = KserveHttp(target("kserve-http"), Workload())
    names = [one["name"] for one in body(api.encode(ASK))["inputs"]]
    assert names[:3] == ["text_input", "exclude_input_in_output", "sampling_parameters"]
    outputs = [
        {"name": "text_output", "data": ["ab"]},
        {"name": "num_output_tokens", "data": [2]},
        {"name": "num_input_tokens", "data": [9]},
    ]
    answer = api.read(ended(json.dumps({"outputs": outputs}).encode()))
    assert answer == Answer(arrivals_ns=[999], is_streamed=False, input_tokens=9, output_tokens=2, text="ab")


def grpc_response(text: str, output_tokens: int) -> pb.ModelInferResponse:
    response = pb.ModelInferResponse()
    for name, datatype in (("text_output", "BYTES"), ("num_input_tokens", "UINT32"), ("num_output_tokens", "UINT32")):
        response.outputs.add(name=name, datatype=datatype, shape=[1])
    content = text.encode()
    response.raw_output_contents.extend([len(content).to_bytes(4, "little") + content])
    response.raw_output_contents.extend(number.to_bytes(4, "little") for number in (9, output_tokens))
    return response


def test_grpc_infer() -> None:
    api = KserveGrpc(target("kserve-grpc"), Workload())
    request = pb.ModelInferRequest.FromString(api.encode(ASK))
    assert request.model_name == "m"
    names = [tensor.name for tensor in request.inputs]
    assert names[:3] == ["text_input", "sampling_parameters", "exclude_input_in_output"]
    assert len(request.raw_input_contents) == len(names) == 5
    answer = api.read(ended(grpc_response("é", 2).SerializeToString()))
    assert answer == Answer(arrivals_ns=[999], is_streamed=False, input_tokens=9, output_tokens=2, text="é")
    assert api.read(ended(b"\xff\xff")).failure is not None


def test_grpc_stream() -> None:
    api = KserveGrpcStream(target("kserve-grpc-stream"), Workload())
    request = pb.ModelInferRequest.FromString(api.encode(ASK))
    assert "stream" in [tensor.name for tensor in request.inputs]
    pieces = [
        pb.ModelStreamInferResponse(infer_response=grpc_response(text, len(text))).SerializeToString()
        for text in ("a", "bc", "")
    ]
    answer = api.read(ended(*pieces))
    assert answer == Answer(arrivals_ns=[10, 20], input_tokens=9, output_tokens=3, text="abc")
    failed = api.read(ended(pb.ModelStreamInferResponse(error_message="no").SerializeToString()))
    assert failed.failure == Failure("server_error", "no")
