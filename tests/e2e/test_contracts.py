"""The two contracts and the OpenAI API give the same answer from one engine."""

from __future__ import annotations

import json
from typing import Any

import httpx
import psutil
import pytest
import tritonclient.grpc as grpc
import tritonclient.http
from served import Served

QUESTION, ANSWER = "What is the capital of France?\n", "The capital of France is Paris."
CHINESE, CHINESE_ANSWER = "什么是分页注意力？\n", "分页注意力把KV缓存分成小块，像虚拟内存的页一样管理。"

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


@pytest.mark.parametrize(("question", "answer"), [(QUESTION, ANSWER), (CHINESE, CHINESE_ANSWER)], ids=["en", "zh"])
def test_every_door_gives_the_same_answer(server: Served, question: str, answer: str) -> None:
    assert server.generate(question, max_tokens=128).json()["text_output"] == answer
    assert "".join(event["text_output"] for event in server.stream(question, max_tokens=128)) == answer
    recipe = server.infer([question], max_tokens=("INT32", 128), temperature=("FP32", 0.0))
    assert recipe.json()["outputs"][0]["data"] == [answer]
    assert server.complete(question, max_tokens=128)["choices"][0]["text"] == answer
    chat = {
        "model": "demo",
        "messages": [{"role": "user", "content": question.strip()}],
        "temperature": 0,
        "max_tokens": 128,
    }
    message = httpx.post(f"{server.openai_url}/chat/completions", json=chat, timeout=60).json()["choices"][0]["message"]
    assert message["content"] == answer


def test_one_engine_stands_behind_all_doors(server: Served) -> None:
    supervisor = psutil.Process(server.state()["process"]["pid"])
    names = [" ".join(process.cmdline()) for process in supervisor.children(recursive=True)]
    assert sum("EngineCore" in name for name in names) == 1
    # Two for each contract, and one for plain infer.
    assert sum("triton_python_backend_stub" in name for name in names) == 5


def test_openai_stream_ends_with_done(server: Served) -> None:
    chat = {"model": "demo", "stream": True, "temperature": 0, "messages": [{"role": "user", "content": QUESTION}]}
    text = httpx.post(f"{server.openai_url}/chat/completions", json=chat, timeout=60).text
    events = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    assert events[-1] == "[DONE]"
    deltas = [json.loads(event)["choices"][0]["delta"].get("content") or "" for event in events[:-1]]
    assert "".join(deltas).strip() == ANSWER


@pytest.mark.parametrize("seed", range(6))
def test_seeded_sampling_is_the_same_through_both_front_ends(server: Served, seed: int) -> None:
    sampling = {"temperature": 1.5, "seed": seed, "max_tokens": 48, "ignore_eos": True, "repetition_penalty": 1.1}
    prompt = "Tell me a long story about Trident. 请讲一个故事。"
    expected = server.complete(prompt, **sampling)["choices"][0]["text"]
    assert server.generate(prompt, **sampling).json()["text_output"] == expected
    assert "".join(event["text_output"] for event in server.stream(prompt, **sampling)) == expected


def test_prompt_stands_in_front_unless_it_is_excluded(server: Served) -> None:
    assert server.generate(QUESTION, exclude_input_in_output=False).json()["text_output"] == QUESTION + ANSWER
    assert server.generate(QUESTION).json()["text_output"] == ANSWER


def test_stop_strings_cut_the_text(server: Served) -> None:
    sampling = json.dumps({"stop": [" is"], "max_tokens": 64, "temperature": 0})
    assert server.generate(QUESTION, sampling_parameters=sampling).json()["text_output"] == "The capital of France"
    streamed = server.stream(QUESTION, sampling_parameters=sampling)
    assert "".join(event["text_output"] for event in streamed) == "The capital of France"


def test_sampling_parameters_tensor_replaces_request_parameters(server: Served) -> None:
    tensor = json.dumps({"max_tokens": 2, "temperature": 0})
    assert server.generate(QUESTION, max_tokens=64, sampling_parameters=tensor).json()["text_output"] == "The capital"


def test_several_sequences_come_in_one_answer(server: Served) -> None:
    sampling = json.dumps({"n": 3, "temperature": 1.2, "seed": 1, "max_tokens": 12, "ignore_eos": True})
    whole = server.generate(QUESTION, sampling_parameters=sampling).json()["text_output"]
    assert len(whole) == 3
    expected = server.complete(QUESTION, n=3, temperature=1.2, seed=1, max_tokens=12, ignore_eos=True)
    assert whole == [choice["text"] for choice in expected["choices"]]
    events = server.stream(QUESTION, sampling_parameters=sampling)
    assert ["".join(event["text_output"][i] for event in events) for i in range(3)] == whole


def test_chinese_and_emoji_never_arrive_broken(server: Served) -> None:
    for question in ("请讲一个关于Trident的长故事。\n", "怎么启动Trident？\n", "背一首唐诗。\n"):
        events = server.stream(question, max_tokens=400)
        assert not any("�" in event["text_output"] for event in events)
        expected = server.complete(question, max_tokens=400)["choices"][0]["text"]
        assert "".join(event["text_output"] for event in events) == expected


@pytest.mark.parametrize("shape", [[1], [3]], ids=["one", "several"])
def test_recipe_client_over_http(server: Served, shape: list[int]) -> None:
    import numpy as np

    client = tritonclient.http.InferenceServerClient(f"127.0.0.1:{server.http_port}")
    prompt = tritonclient.http.InferInput("prompt", shape, "BYTES")
    prompt.set_data_from_numpy(np.array([QUESTION.encode()] * shape[0], dtype=object))
    length = tritonclient.http.InferInput("max_tokens", [1], "INT32")
    length.set_data_from_numpy(np.array([32], dtype=np.int32))
    heat = tritonclient.http.InferInput("temperature", [1], "FP32")
    heat.set_data_from_numpy(np.array([0.0], dtype=np.float32))
    result = client.infer("qwen3_vllm", [prompt, length, heat])
    assert [text.decode() for text in result.as_numpy("generated_text")] == [ANSWER] * shape[0]
    client.close()


def test_recipe_defaults_apply_without_optional_inputs(server: Served) -> None:
    answer = server.infer(["The capital of France is"])
    assert answer.status_code == 200
    assert "Paris" in answer.json()["outputs"][0]["data"][0]


def test_grpc_streams_of_both_kinds(server: Served) -> None:
    import queue

    import numpy as np

    arrived: queue.Queue[tuple[Any, Any]] = queue.Queue()
    with grpc.InferenceServerClient(server.grpc_url) as client:
        client.start_stream(lambda result, error: arrived.put((result, error)))
        for number, stream in enumerate((True, False)):
            text = grpc.InferInput("text_input", [1], "BYTES")
            text.set_data_from_numpy(np.array([QUESTION.encode()], dtype=object))
            wanted = grpc.InferInput("stream", [1], "BOOL")
            wanted.set_data_from_numpy(np.array([stream]))
            sampling = grpc.InferInput("sampling_parameters", [1], "BYTES")
            sampling.set_data_from_numpy(np.array([b'{"temperature": 0, "max_tokens": 32}'], dtype=object))
            client.async_stream_infer("generate", [text, wanted, sampling], request_id=str(number))
        texts, final = {"0": "", "1": ""}, set()
        while len(final) < 2:
            result, error = arrived.get(timeout=60)
            assert error is None, error
            response = result.get_response()
            if response.outputs:
                texts[response.id] += result.as_numpy("text_output")[0].decode()
            if response.parameters["triton_final_response"].bool_param:
                final.add(response.id)
        client.stop_stream()
    assert texts == {"0": ANSWER, "1": QUESTION + ANSWER}


def test_grpc_infer_of_the_recipe(server: Served) -> None:
    import numpy as np

    with grpc.InferenceServerClient(server.grpc_url) as client:
        prompt = grpc.InferInput("prompt", [2], "BYTES")
        prompt.set_data_from_numpy(np.array([QUESTION.encode(), CHINESE.encode()], dtype=object))
        heat = grpc.InferInput("temperature", [1], "FP32")
        heat.set_data_from_numpy(np.array([0.0], dtype=np.float32))
        result = client.infer("qwen3_vllm", [prompt, heat])
    assert [text.decode() for text in result.as_numpy("generated_text")] == [ANSWER, CHINESE_ANSWER]


def test_statistics_count_both_front_ends(server: Served) -> None:
    before = server.settled_metrics()
    for _ in range(3):
        server.generate(QUESTION)
    server.complete(QUESTION)
    server.generate(QUESTION, sampling_parameters=json.dumps({"stop": [" is"], "temperature": 0}))
    after = server.settled_metrics()

    def grown(name: str) -> float:
        return after.get(name, 0) - before.get(name, 0)

    assert grown("vllm:request_success_total") == 5
    assert grown("vllm:time_to_first_token_seconds_count") == 5
    assert grown("vllm:e2e_request_latency_seconds_count") == 5
    assert grown("vllm:generation_tokens_total") > 20
    assert grown("vllm:inter_token_latency_seconds_count") == grown("vllm:generation_tokens_total") - 5
    # Of both front-ends together: every step's tokens are in the histogram, prompts as far as they were computed.
    assert grown("vllm:iteration_tokens_total_sum") >= grown("vllm:generation_tokens_total")
    assert after["vllm:num_requests_running"] == 0
