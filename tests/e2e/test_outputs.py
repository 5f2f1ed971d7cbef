"""The outputs that clients of Triton's vLLM backend may ask for, at every door where they exist."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
import tritonclient.grpc as grpc
import tritonclient.http
from kserve import Stream, tensors
from served import Served

QUESTION, ANSWER = "What is the capital of France?\n", "The capital of France is Paris."
RETURNS = ("finish_reason", "cumulative_logprob", "logprobs", "num_input_tokens", "num_output_tokens")
ALL = {f"return_{name}": True for name in RETURNS}
SAMPLING = {"temperature": 0, "max_tokens": 64, "logprobs": 2}

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


@pytest.fixture
def stream(server: Served) -> Iterator[Stream]:
    opened = Stream(server.grpc_url)
    yield opened
    opened.close()


def of_openai(server: Served) -> tuple[dict[str, Any], dict[str, Any]]:
    """vLLM's own server on the same request: its choice and its usage."""
    answer = server.complete(QUESTION, logprobs=2, max_tokens=64)
    return answer["choices"][0], answer["usage"]


def test_nothing_more_is_sent_than_was_asked_for(server: Served, stream: Stream) -> None:
    assert set(server.generate(QUESTION).json()) == {"model_name", "model_version", "text_output"}
    for name in RETURNS:
        answer = server.generate(QUESTION, **{f"return_{name}": True}).json()
        assert set(answer) == {"model_name", "model_version", "text_output", name}
    stream.ask(text_input=QUESTION, stream=True, return_finish_reason=False)
    for response in stream.responses():
        assert [output.name for output in response.get_response().outputs] == ["text_output"]


def test_whole_answer_carries_what_was_asked_for(server: Served) -> None:
    choice, usage = of_openai(server)
    answer = server.generate(QUESTION, sampling_parameters=json.dumps(SAMPLING), **ALL).json()
    assert answer["text_output"] == ANSWER
    assert answer["finish_reason"] == choice["finish_reason"] == "stop"
    assert answer["num_input_tokens"] == usage["prompt_tokens"]
    assert answer["num_output_tokens"] == usage["completion_tokens"]
    positions = json.loads(answer["logprobs"])
    assert len(positions) == usage["completion_tokens"]
    sampled = [next(iter(position.values())) for position in positions]
    assert all(set(entry) == {"logprob", "rank", "decoded_token"} for entry in sampled)
    assert "".join(entry["decoded_token"] for entry in sampled[:-1]) == ANSWER
    expected = choice["logprobs"]["token_logprobs"]
    # Batches of other sizes are summed in another order.
    assert [entry["logprob"] for entry in sampled] == pytest.approx(expected, abs=0.02)
    assert answer["cumulative_logprob"] == pytest.approx(sum(expected), abs=0.1)
    assert all(1 <= len(position) <= 3 for position in positions)


def test_stream_carries_them_piece_by_piece(server: Served, stream: Stream) -> None:
    choice, usage = of_openai(server)
    stream.ask(text_input=QUESTION, stream=True, sampling_parameters=json.dumps(SAMPLING), **ALL)
    responses = list(stream.responses())

    def column(name: str) -> list[Any]:
        return [response.as_numpy(name) for response in responses]

    assert [array.dtype for array in column("num_input_tokens")] == [np.uint32] * len(responses)
    assert [int(array) for array in column("num_input_tokens")] == [usage["prompt_tokens"]] * len(responses)
    counts = [array.tolist() for array in column("num_output_tokens")]
    assert all(count[0] > 0 for count in counts) and sum(count[0] for count in counts) == usage["completion_tokens"]
    assert [array.tolist() for array in column("finish_reason")] == [[b"None"]] * (len(responses) - 1) + [[b"stop"]]
    positions = [json.loads(array[0]) for array in column("logprobs")]
    assert [len(part) for part in positions] == [count[0] for count in counts]
    sums = [float(array[0]) for array in column("cumulative_logprob")]
    assert sums == sorted(sums, reverse=True)
    assert sums[-1] == pytest.approx(sum(choice["logprobs"]["token_logprobs"]), abs=0.1)


def test_several_sequences_have_arrays_of_their_number(stream: Stream) -> None:
    sampling = {"n": 3, "temperature": 1.2, "seed": 7, "max_tokens": 9, "ignore_eos": True, "logprobs": 1}
    stream.ask(text_input=QUESTION, stream=False, sampling_parameters=json.dumps(sampling), **ALL)
    (response,) = stream.responses()
    assert response.as_numpy("num_output_tokens").tolist() == [9, 9, 9]
    assert response.as_numpy("finish_reason").tolist() == [b"length"] * 3
    assert [len(json.loads(text)) for text in response.as_numpy("logprobs")] == [9, 9, 9]
    assert all(math.isfinite(total) for total in response.as_numpy("cumulative_logprob"))


def test_logprobs_need_the_sampling_parameter(server: Served, stream: Stream) -> None:
    stream.ask(text_input=QUESTION, stream=False, return_cumulative_logprob=True, return_logprobs=True)
    (response,) = stream.responses()
    assert math.isnan(response.as_numpy("cumulative_logprob")[0])
    assert response.as_numpy("logprobs").tolist() == [b"null"]
    over_http = server.generate(QUESTION, return_cumulative_logprob=True).json()
    assert math.isnan(over_http["cumulative_logprob"])


@pytest.mark.parametrize("binary", [True, False], ids=["binary", "json"])
def test_plain_infer_over_http(server: Served, binary: bool) -> None:
    with tritonclient.http.InferenceServerClient(f"127.0.0.1:{server.http_port}") as client:
        asked = {"text_input": QUESTION, "exclude_input_in_output": True, **ALL}
        inputs = tensors(tritonclient.http, binary=binary, **asked)
        outputs = [
            tritonclient.http.InferRequestedOutput(name, binary_data=binary) for name in ("text_output", *RETURNS)
        ]
        result = client.infer("generate_infer", inputs, outputs=outputs, parameters={"temperature": 0, "logprobs": 1})
        assert result.as_numpy("text_output").tolist() in ([ANSWER.encode()], [ANSWER])
        assert result.as_numpy("num_input_tokens").shape == ()


def test_plain_infer_over_grpc(server: Served) -> None:
    with grpc.InferenceServerClient(server.grpc_url) as client:
        inputs = tensors(grpc, text_input=QUESTION, exclude_input_in_output=True, return_finish_reason=True)
        result = client.infer("generate_infer", inputs, request_id="7", parameters={"temperature": 0})
        assert result.as_numpy("text_output").tolist() == [ANSWER.encode()]
        assert result.as_numpy("finish_reason").tolist() == [b"stop"]
        assert result.get_response().id == "7"
        with pytest.raises(grpc.InferenceServerException, match="one piece"):
            client.infer("generate_infer", tensors(grpc, text_input=QUESTION, stream=True))


def test_plain_infer_reads_inputs_from_shared_memory(server: Served) -> None:
    from tritonclient.utils import serialize_byte_tensor, shared_memory

    content = np.frombuffer(serialize_byte_tensor(np.array([QUESTION.encode()], dtype=object)).item(), np.uint8)
    size = content.nbytes
    region = shared_memory.create_shared_memory_region("question", f"/trident_test_{server.http_port}", size)
    client = tritonclient.http.InferenceServerClient(f"127.0.0.1:{server.http_port}")
    try:
        shared_memory.set_shared_memory_region(region, [content])
        client.register_system_shared_memory("question", f"/trident_test_{server.http_port}", size)
        prompt = tritonclient.http.InferInput("text_input", [1], "BYTES")
        prompt.set_shared_memory("question", size)
        rest = tensors(tritonclient.http, exclude_input_in_output=True)
        result = client.infer("generate_infer", [prompt, *rest], parameters={"temperature": 0})
        assert result.as_numpy("text_output").tolist() == [ANSWER.encode()]
    finally:
        client.unregister_system_shared_memory("question")
        shared_memory.destroy_shared_memory_region(region)
        client.close()


def test_contracts_own_error_has_its_own_words(server: Served) -> None:
    (event,) = server.stream(QUESTION, exclude_input_in_output=False)
    words = "Error generating stream: When streaming, `exclude_input_in_output` = False is not allowed."
    assert event == {"error": words}


def test_request_id_is_in_answer_log_and_error(server: Served) -> None:
    url = f"{server.http_url}/v2/models/generate/generate"
    body = {"id": "ticket-4711", "text_input": QUESTION, "temperature": 0, "exclude_input_in_output": True}
    answer = httpx.post(url, json=body, timeout=60).json()
    assert (answer["id"], answer["text_output"]) == ("ticket-4711", ANSWER)
    refused = httpx.post(url, json={**body, "temperature": -1}, timeout=60)
    assert refused.status_code == 400
    assert refused.json()["error"].startswith("[request id: ticket-4711] ")
    assert "request ticket-4711 ends with an error" in server.log("triton")
