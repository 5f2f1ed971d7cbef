"""Whatever is asked, the answer names the cause, and the next request works."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from served import Served

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

BAD_SAMPLING: list[tuple[dict[str, Any], str]] = [
    ({"temperature": "hot"}, "sampling parameter 'temperature' must be a number, got \"hot\""),
    ({"best_of": 2}, "unknown sampling parameter 'best_of'; vLLM has given it up, n is what remains"),
    ({"temperature": -1}, "temperature must be non-negative"),
    ({"top_p": 2}, "top_p"),
    ({"max_tokens": 0}, "max_tokens"),
    ({"max_tokens": "many"}, "max_tokens"),
    ({"max_tokens": 1.5}, "max_tokens"),
    ({"seed": 0.02}, "seed"),
    ({"seed": 2**70}, "'seed': an integer is not in -2**63 to 2**64 - 1"),
    ({"seed": "x"}, "seed"),
    ({"seed": 2**64 - 1, "n": 2, "temperature": 1}, "seed must be at most 2**64 - n"),
    ({"n": 0}, "n must be"),
    ({"n": 2, "temperature": 0}, "n must be 1"),
    ({"ignore_eos": "maybe"}, "ignore_eos"),
    ({"min_tokens": 1.5}, "min_tokens"),
    ({"skip_special_tokens": 7}, "skip_special_tokens"),
    ({"logprobs": 9999}, "logprobs"),
    ({"stop_token_ids": [999999]}, "stop_token_ids"),
    ({"stop": [1, 2]}, "stop"),
    ({"logit_bias": {"999999": 1.0}}, "logit_bias"),
    ({"allowed_token_ids": [10**9]}, "allowed_token_ids = [1000000000]"),
    ({"extra_args": "x"}, "extra_args"),
    ({"structured_outputs": {"regex": "[", "json": "{}"}}, "structured_outputs takes one of json, regex, "),
    ({"structured_outputs": {}}, "structural_tag; got none of them"),
    ({"structured_outputs": {"json": "{"}}, "structured_outputs: Invalid JSON"),
    (
        {"structured_outputs": {"json": {"type": "nonsense"}}},
        "structured_outputs: Grammar error: Invalid type",
    ),
    ({"structured_outputs": {"regex": "["}}, "structured_outputs: Grammar error: at 1(8): invalid regex"),
    ({"structured_outputs": {"choice": []}}, "structured_outputs: Choice '[]' cannot be an empty list"),
    ({"structured_outputs": {"choice": [1]}}, "'structured_outputs.choice[0]' must be text, got"),
    ({"structured_outputs": {"grammar": "garbage"}}, "structured_outputs: Invalid grammar"),
    ({"structured_outputs": {"json_object": False}}, "structured_outputs.json_object must be True"),
    ({"structured_outputs": {"regex": "a", "_backend": "x"}}, "'structured_outputs' has no '_backend'"),
    ({"structured_outputs": "nonsense"}, "'structured_outputs' must be a JSON object"),
    ({"structured_outputs": 5}, "'structured_outputs' must be an object, got 5"),
    ({"structured_outputs": {"json": {}, "strict": True}}, "'structured_outputs' has no 'strict'"),
    # Accepted by vLLM and given up by its engine: an error, not an empty answer.
    ({"structured_outputs": {"json": {"$ref": "#"}}}, "structured_outputs: the engine cannot follow it"),
    ({"structured_outputs": {"grammar": "root ::= "}}, "structured_outputs: the engine cannot follow it"),
    ({"min_p": 2}, "min_p must be in [0, 1], got 2"),
    ({"top_k": 1.5}, "'top_k' must be a whole number, got 1.5"),
    ({"repetition_penalty": 0}, "repetition_penalty must be greater than zero"),
    ({"bad_words": "Paris"}, "'bad_words' must be a list, got \"Paris\""),
    ({"bad_words": [""]}, "bad_words cannot contain an empty string"),
    ({"prompt_logprobs": -2}, "prompt_logprobs must be"),
    ({"stop": ""}, "stop cannot contain an empty string"),
    ({"prompt_logprob_token_ids": [1]}, "unknown sampling parameter 'prompt_logprob_token_ids'"),
    ({"max_token": 5}, "did you mean 'max_tokens'"),
    ({"_eos_token_id": 5}, "unknown sampling parameter '_eos_token_id'"),
    ({"lora_name": "none"}, "LoRA"),
    ({"lora_name": 7}, "lora_name must be a string"),
]


@pytest.fixture(autouse=True)
def still_serving(server: Served) -> Any:
    yield
    assert server.generate("The capital of France is").json()["text_output"] == " Paris."
    assert server.complete("The capital of France is")["choices"][0]["text"] == " Paris."


@pytest.mark.parametrize(("sampling", "named"), BAD_SAMPLING, ids=lambda value: json.dumps(value)[:40])
def test_bad_sampling_value_is_named(server: Served, sampling: dict[str, Any], named: str) -> None:
    answer = server.generate("Hello", sampling_parameters=json.dumps(sampling))
    assert answer.status_code == 400
    message = answer.json()["error"]
    assert named in message
    assert "Traceback" not in message and "NoneType" not in message


@pytest.mark.parametrize("content", ["{", "[1]", "3", '"x"', "null"])
def test_sampling_parameters_that_are_no_object_are_refused(server: Served, content: str) -> None:
    answer = server.generate("Hello", sampling_parameters=content)
    assert answer.status_code == 400
    assert "sampling_parameters" in answer.json()["error"]


@pytest.mark.parametrize("depth", [101, 980, 990, 5000])
def test_nesting_that_a_decoder_cannot_follow_is_refused(server: Served, depth: int) -> None:
    answer = server.generate("Hello", sampling_parameters='{"extra_args": {"a": ' + "[" * depth + "]" * depth + "}}")
    assert answer.status_code == 400
    assert "nests deeper than 100 levels" in answer.json()["error"]


@pytest.mark.parametrize(("opened", "closed"), [("[", ""), ("[", "]"), ('{"":', "}")], ids=["cut", "lists", "objects"])
def test_deeply_nested_body_does_not_kill_triton(server: Served, opened: str, closed: str) -> None:
    depth = 1_000_000 // len(opened + closed)
    data = opened * depth + '"a"' * bool(closed) + closed * depth
    body = '{"inputs": [{"name": "prompt", "datatype": "BYTES", "shape": [1], "data": ' + data + "}]}"
    answer = httpx.post(f"{server.http_url}/v2/models/qwen3_vllm/infer", content=body, timeout=60)
    assert answer.status_code in (200, 400, 500)  # Triton flattens lists: what is in them can be a prompt


def test_model_that_makes_text_has_no_embeddings(server: Served) -> None:
    body = {"embedding_request": '{"input": "Hello"}'}
    answer = httpx.post(f"{server.http_url}/v2/models/generate/generate", json=body, timeout=30)
    assert answer.status_code >= 400
    assert "Model demo does not support 'embed' request; it does generate" in answer.json()["error"]


def test_model_without_eyes_takes_no_images(server: Served) -> None:
    answer = server.generate("Hello", image=["aGVsbG8="])
    assert answer.status_code == 400
    assert "input 'image': model demo takes no images; leave it out" in answer.json()["error"]


def test_empty_prompt_is_refused(server: Served) -> None:
    answer = server.generate("")
    assert answer.status_code == 400
    assert "empty" in answer.json()["error"]


@pytest.mark.parametrize("words", [3000, 60000])
def test_prompt_beyond_the_context_is_refused(server: Served, words: int) -> None:
    answer = server.generate("word " * words)
    assert answer.status_code == 400
    assert "2048" in answer.json()["error"]


def test_stream_with_prompt_in_front_is_refused(server: Served) -> None:
    (event,) = server.stream("Hello", exclude_input_in_output=False)
    assert "exclude_input_in_output" in event["error"]


def test_error_in_a_stream_is_one_event(server: Served) -> None:
    (event,) = server.stream("Hello", temperature=-1)
    assert "temperature must be non-negative" in event["error"]


def test_one_bad_prompt_of_several_is_named(server: Served) -> None:
    answer = server.infer(["fine", ""])
    assert answer.status_code == 400
    assert answer.json()["error"].partition("] ")[2].startswith("prompt 2 of 2: ")


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"temperature": ("FP32", -1.0)}, "temperature must be non-negative"),
        ({"max_tokens": ("INT32", 0)}, "max_tokens"),
        ({"max_tokens": ("FP32", 3.0)}, "max_tokens"),
        ({"nonsense": ("FP32", 3.0)}, "nonsense"),
    ],
    ids=["range", "zero", "type", "name"],
)
def test_recipe_input_that_is_wrong_is_named(server: Served, values: dict[str, Any], named: str) -> None:
    answer = server.infer(["Hello"], **values)
    assert answer.status_code == 400
    assert named in answer.json()["error"]


def test_wrong_shape_is_named(server: Served) -> None:
    body = {"inputs": [{"name": "prompt", "datatype": "BYTES", "shape": [1, 1], "data": ["x"]}]}
    answer = httpx.post(f"{server.http_url}/v2/models/qwen3_vllm/infer", json=body, timeout=30)
    assert answer.status_code == 400
    assert "unexpected shape for input 'prompt'" in answer.json()["error"]


def test_text_that_is_not_utf8_is_refused(server: Served) -> None:
    import numpy as np
    import tritonclient.http as http

    client = http.InferenceServerClient(f"127.0.0.1:{server.http_port}")
    prompt = http.InferInput("prompt", [1], "BYTES")
    prompt.set_data_from_numpy(np.array([b"\xff\xfe"], dtype=object))
    with pytest.raises(http.InferenceServerException, match="not UTF-8"):
        client.infer("qwen3_vllm", [prompt])
    client.close()


def test_id_on_generate_is_no_sampling_parameter(server: Served) -> None:
    answer = server.generate("The capital of France is", id="42")
    assert answer.json()["text_output"] == " Paris."


def test_request_timeout_is_kept(server: Served) -> None:
    import numpy as np
    import tritonclient.grpc as grpc

    with grpc.InferenceServerClient(server.grpc_url) as client:
        prompt = grpc.InferInput("prompt", [1], "BYTES")
        prompt.set_data_from_numpy(np.array([b"Tell me a long story about Trident."], dtype=object))
        length = grpc.InferInput("max_tokens", [1], "INT32")
        length.set_data_from_numpy(np.array([400], dtype=np.int32))
        with pytest.raises(grpc.InferenceServerException, match=r"deadline of 0\.05 s"):
            client.infer("qwen3_vllm", [prompt, length], timeout=50_000)


def test_timeout_of_generate_is_kept(server: Served) -> None:
    answer = server.generate("Tell me a long story about Trident.", max_tokens=400, timeout=50_000)
    assert answer.status_code >= 400
    assert "deadline of 0.05 s" in answer.json()["error"]


def test_client_that_leaves_its_stream_costs_the_engine_nothing_more(server: Served) -> None:
    body = {"text_input": "Tell me a story", "stream": True, "max_tokens": 1900, "ignore_eos": True}
    url = f"{server.http_url}/v2/models/generate/generate_stream"
    before = server.settled_metrics()["vllm:generation_tokens_total"]
    with httpx.stream("POST", url, json=body, timeout=60) as answer:
        next(answer.iter_lines())
    after = server.settled_metrics()["vllm:generation_tokens_total"]
    assert after - before < 1000
