"""Requests that end early: the engine stops working on them, at every door where Triton lets us see it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import numpy as np
import pytest
import tritonclient.grpc as grpc
from kserve import Stream, tensors
from served import Served

TOKENS = 1900
LONG = {
    "text_input": "Tell me a long story.",
    "sampling_parameters": json.dumps({"max_tokens": TOKENS, "ignore_eos": True}),
}

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


@contextmanager
def cut_short(server: Served, requests: int = 1) -> Iterator[None]:
    """What runs inside ends its requests early: the engine must not have made all their tokens, and holds nothing."""
    before = server.settled_metrics()
    yield
    after = server.settled_metrics()
    made = after["vllm:generation_tokens_total"] - before["vllm:generation_tokens_total"]
    assert made < requests * TOKENS / 2
    assert after["vllm:kv_cache_usage_perc"] == 0
    assert after["vllm:num_requests_waiting"] == 0


def wait_until_running(server: Served, count: int = 1) -> None:
    deadline_s = time.monotonic() + 30
    while server.metrics()["vllm:num_requests_running"] < count:
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


def nobody(result: object, error: object) -> None:
    """Hears the outcome of a call that was given up."""


def cancelled_stream(server: Served) -> None:
    stream = Stream(server.grpc_url)
    stream.ask(**LONG, stream=True)
    stream.next()
    stream.close(cancel=True)


def cancelled_stream_of_a_whole_answer(server: Served) -> None:
    stream = Stream(server.grpc_url)
    stream.ask(**LONG, stream=False)
    wait_until_running(server)
    stream.close(cancel=True)


def cancelled_infer(server: Served) -> None:
    with grpc.InferenceServerClient(server.grpc_url) as client:
        call = client.async_infer("generate_infer", tensors(grpc, **LONG), nobody)
        wait_until_running(server)
        call.cancel()


def cancelled_infer_of_the_recipe(server: Served) -> None:
    with grpc.InferenceServerClient(server.grpc_url) as client:
        inputs = tensors(grpc, prompt=["Tell me a long story."] * 2, max_tokens=np.array([TOKENS], "int32"))
        call = client.async_infer("qwen3_vllm", inputs, nobody)
        wait_until_running(server, 2)
        call.cancel()


def infer_with_a_deadline(server: Served) -> None:
    with (
        grpc.InferenceServerClient(server.grpc_url) as client,
        pytest.raises(grpc.InferenceServerException, match="Deadline Exceeded"),
    ):
        client.infer("generate_infer", tensors(grpc, **LONG), client_timeout=0.5)


def closed_event_stream(server: Served) -> None:
    url = f"{server.http_url}/v2/models/generate/generate_stream"
    with httpx.stream("POST", url, json={**LONG, "stream": True}, timeout=60) as response:
        next(response.iter_lines())


def timed_out_request(server: Served) -> None:
    answer = server.generate("Tell me a long story.", max_tokens=TOKENS, ignore_eos=True, timeout=400_000)
    assert answer.status_code != 200 and "deadline of 0.4 s" in answer.json()["error"]


@pytest.mark.parametrize(
    "end_early",
    [
        cancelled_stream,
        cancelled_stream_of_a_whole_answer,
        cancelled_infer,
        infer_with_a_deadline,
        closed_event_stream,
        timed_out_request,
    ],
)
def test_engine_stops_working_for_nobody(server: Served, end_early: Callable[[Served], None]) -> None:
    with cut_short(server):
        end_early(server)


def test_cancelled_recipe_takes_all_its_prompts_back(server: Served) -> None:
    with cut_short(server, 2):
        cancelled_infer_of_the_recipe(server)


def test_cancelled_request_leaves_its_neighbours_alone(server: Served) -> None:
    kept = Stream(server.grpc_url)
    kept.ask(text_input="What is the capital of France?\n", stream=False, request_id="kept")
    gone = Stream(server.grpc_url)
    gone.ask(**LONG, stream=False)
    gone.close(cancel=True)
    (response,) = kept.responses()
    assert b"Paris" in response.as_numpy("text_output")[0]
    kept.close()
