"""A model that makes no text: the demo as a pooling model, asked for embeddings through every door."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from kserve import Stream
from served import Served

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

TEXT = "What is the capital of France?"
DIMENSIONS = 192


@pytest.fixture(scope="module")
def pooling(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    served = Served.plan(tmp_path_factory.mktemp("e"))
    started = served.serve("demo", "--runner", "pooling", "--hf-overrides", '{"is_matryoshka": true}')
    assert started.returncode == 0, started.stdout + started.stderr
    yield served
    stopped = served.trident("stop")
    assert stopped.returncode == 0, stopped.stdout + stopped.stderr


def test_server_was_asked_for_embeddings_before_it_was_ready(pooling: Served) -> None:
    doors = pooling.state()["doors"]
    assert [door["name"] for door in doors] == ["KServe HTTP generate", "KServe gRPC stream", "OpenAI embeddings"]
    assert all(door["ok"] for door in doors)


def ask(served: Served, request: Any, **inputs: Any) -> httpx.Response:
    body = {"embedding_request": request if isinstance(request, str) else json.dumps(request), **inputs}
    return httpx.post(f"{served.http_url}/v2/models/generate/generate", json=body, timeout=60)


def embedding(served: Served, request: Any) -> list[float]:
    return json.loads(ask(served, request).json()["text_output"])  # type: ignore[no-any-return]


def at_openai(served: Served, **wanted: Any) -> list[float]:
    answer = httpx.post(f"{served.openai_url}/embeddings", json={"model": "demo", **wanted}, timeout=60)
    return answer.json()["data"][0]["embedding"]  # type: ignore[no-any-return]


@pytest.mark.parametrize("given", [TEXT, [5, 6, 7, 8]], ids=["text", "ids"])
def test_embedding_is_the_same_at_every_door(pooling: Served, given: Any) -> None:
    vector = embedding(pooling, {"input": given})
    assert len(vector) == DIMENSIONS
    assert sum(value * value for value in vector) == pytest.approx(1, abs=0.01)
    assert at_openai(pooling, input=given) == pytest.approx(vector, abs=1e-3)
    stream = Stream(pooling.grpc_url)
    stream.ask(embedding_request=json.dumps({"input": given}))
    (answer,) = stream.responses()
    assert json.loads(answer.as_numpy("text_output")[0]) == pytest.approx(vector, abs=1e-3)
    stream.close()


def test_dimensions_are_as_asked_for(pooling: Served) -> None:
    expected = at_openai(pooling, input=TEXT, dimensions=8)
    for dimensions in (8, [8]):  # Triton's OpenAI front-end writes a list
        vector = embedding(pooling, {"input": TEXT, "pooling_params": {"dimensions": dimensions}})
        assert vector == pytest.approx(expected, abs=1e-3)


def test_tokens_are_counted(pooling: Served) -> None:
    answer = ask(pooling, {"input": [5, 6, 7]}, return_num_input_tokens=True, return_num_output_tokens=True).json()
    assert (answer["num_input_tokens"], answer["num_output_tokens"]) == (3, 0)


def test_many_at_once_keep_their_order_and_are_counted(pooling: Served) -> None:
    before = pooling.settled_metrics()["vllm:request_success_total"]
    texts = [f"sentence number {number}" for number in range(16)]
    alone = [embedding(pooling, {"input": text}) for text in texts]
    with ThreadPoolExecutor(16) as pool:
        together = list(pool.map(lambda text: embedding(pooling, {"input": text}), texts))
    for one, other in zip(alone, together, strict=True):
        assert one == pytest.approx(other, abs=2e-2)  # bfloat16 in a batch of another size
    after = pooling.settled_metrics()
    assert after["vllm:request_success_total"] - before == 32


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        ("nonsense", "'embedding_request' must be a JSON object"),
        ({}, "missing required field `input`"),
        ({"input": 5}, "Expected `str | array`, got `int`"),
        ({"input": ""}, "cannot be empty"),
        ({"input": []}, "cannot be empty"),
        ({"input": ["a", "b"]}, "Expected `int`, got `str`"),
        ({"input": [-1]}, "Token id -1 is out of vocabulary"),
        ({"input": [99999]}, "Token id 99999 is out of vocabulary"),
        ({"input": "word " * 3000}, "maximum context length is 2048"),
        ({"input": "a", "model": "b"}, "unknown field `model`"),
        ({"input": "a", "pooling_params": {"task": "classify"}}, "unknown field `task`"),
        ({"input": "a", "pooling_params": {"dimensions": "x"}}, "`$.pooling_params.dimensions`"),
        ({"input": "a", "pooling_params": {"dimensions": 500}}, "dimensions in range [1, 192], got 500"),
    ],
    ids=lambda value: json.dumps(value)[:30],
)
def test_bad_embedding_request_is_named(pooling: Served, request_: Any, why: str) -> None:
    answer = ask(pooling, request_)
    assert answer.status_code == 400
    assert why in answer.json()["error"]


def test_text_cannot_be_had_of_it(pooling: Served) -> None:
    why = "Model demo does not support 'generate' request; it does embed, token_embed"
    assert why in pooling.generate("Hello").json()["error"]
    assert why in pooling.infer(["Hello"]).json()["error"]
    chat = json.dumps([{"role": "user", "content": "Hello"}])
    answer = httpx.post(f"{pooling.http_url}/v2/models/generate/generate", json={"messages": chat}, timeout=60)
    assert why in answer.json()["error"]
