"""A trace leads from the client through the front door to the engine, at every door."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import tritonclient.grpc as grpc
from kserve import tensors
from served import CERTIFICATES, Served, free_ports

from trident.config import paths
from trident.runtime.engine_env import engine_env

QUESTION = "What is the capital of France?\n"
CLIENT = "b7ad6b7169203331"
"""The client's own span."""
ARRIVES_S = 30
SLACK_NS = 50_000_000
"""Two processes end their spans one after the other."""

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

Span = dict[str, Any]


class Traced:
    """A server that traces, and what its collector has got."""

    def __init__(self, server: Served, file: Path) -> None:
        self.server = server
        self._file = file
        self._asked = 0

    def header(self) -> tuple[str, str]:
        """The id of a new trace, and its traceparent."""
        self._asked += 1
        trace = f"{self._asked:032x}"
        return trace, f"00-{trace}-{CLIENT}-01"

    def all(self) -> list[Span]:
        """Everything that has come."""
        lines = self._file.read_text(encoding="utf-8").splitlines() if self._file.exists() else []
        return [json.loads(line) for line in lines]

    def spans(self, trace: str, wanted: int) -> dict[str, Span]:
        """By name, once ``wanted`` have come. Raises AssertionError when they do not."""
        deadline_s = time.monotonic() + ARRIVES_S
        found: list[Span] = []
        while time.monotonic() < deadline_s:
            found = [span for span in self.all() if span["trace"] == trace]
            if len(found) >= wanted:
                return {span["name"]: span for span in found}
            time.sleep(0.2)
        raise AssertionError(f"{len(found)} of {wanted} spans: {found}")

    def asked(self, ask: Callable[[Served, str], None], wanted: int) -> dict[str, Span]:
        """The spans of a request; of a second one when the first has left none: exporters drop what they cannot send in
        time on a busy machine."""
        trace, traceparent = self.header()
        ask(self.server, traceparent)
        try:
            return self.spans(trace, wanted)
        except AssertionError:
            if any(span["trace"] == trace for span in self.all()):
                raise
        trace, traceparent = self.header()
        ask(self.server, traceparent)
        return self.spans(trace, wanted)


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traced]:
    folder = tmp_path_factory.mktemp("o")
    file, (port,) = folder / "spans.jsonl", free_ports(1)
    script = Path(__file__).with_name("otlp_receiver.py")
    env = engine_env("cpu", paths.data_dir())
    assert env is not None
    collector = subprocess.Popen([str(env.python), str(script), str(port), str(file)], stdin=subprocess.DEVNULL)
    server = Served.plan(folder / "s")
    endpoint = f"http://127.0.0.1:{port}/v1/traces"
    try:
        with pytest.MonkeyPatch.context() as patched:
            patched.setenv("OTEL_BSP_SCHEDULE_DELAY", "300")  # milliseconds; 5 s by default
            started = server.serve("demo", "--otlp-traces-endpoint", endpoint)
        assert started.returncode == 0, started.stdout + started.stderr
        yield Traced(server, file)
        stopped = server.trident("stop")
        assert stopped.returncode == 0, stopped.stdout + stopped.stderr
    finally:
        collector.kill()
        collector.wait(timeout=10)


def post(url: str, body: dict[str, Any], traceparent: str) -> httpx.Response:
    headers = {"traceparent": traceparent}
    answer = httpx.post(url, json=body, headers=headers, timeout=60, verify=CERTIFICATES)
    assert answer.status_code == 200, answer.text
    return answer


def generate(server: Served, traceparent: str) -> None:
    body = {"text_input": QUESTION, "temperature": 0, "max_tokens": 5, "ignore_eos": True}
    post(f"{server.http_url}/v2/models/generate/generate", body, traceparent)


def stream(server: Served, traceparent: str) -> None:
    body = {"text_input": QUESTION, "temperature": 0, "max_tokens": 5, "ignore_eos": True, "stream": True}
    post(f"{server.http_url}/v2/models/generate/generate_stream", body, traceparent)


def recipe(server: Served, traceparent: str) -> None:
    inputs = [
        {"name": "prompt", "datatype": "BYTES", "shape": [1], "data": [QUESTION]},
        {"name": "max_tokens", "datatype": "INT32", "shape": [1], "data": [5]},
    ]
    post(f"{server.http_url}/v2/models/qwen3_vllm/infer", {"inputs": inputs}, traceparent)


def grpc_infer(server: Served, traceparent: str) -> None:
    with grpc.InferenceServerClient(server.grpc_url) as client:
        parameters = {"max_tokens": 5, "ignore_eos": True}
        client.infer(
            "generate_infer",
            tensors(grpc, text_input=QUESTION),
            parameters=parameters,
            headers={"traceparent": traceparent},
        )


@pytest.mark.parametrize("ask", [generate, stream, recipe, grpc_infer], ids=lambda ask: ask.__name__)
def test_engine_stands_under_tritons_door_and_the_client(traced: Traced, ask: Callable[[Served, str], None]) -> None:
    found = traced.asked(ask, wanted=4)  # with Triton's "compute", the stub's hand-over
    door, engine = found["InferRequest"], found["llm_request"]
    by_id = {span["id"]: span for span in found.values()}
    assert by_id[by_id[engine["parent"]]["parent"]] is door
    assert door["parent"] == CLIENT and door["service"] == "tritonserver" and engine["service"] == "trident"
    assert door["begin_ns"] <= engine["begin_ns"] and engine["end_ns"] <= door["end_ns"] + SLACK_NS
    attributes = engine["attributes"]
    assert int(attributes["gen_ai.usage.completion_tokens"]) == 5
    assert int(attributes["gen_ai.request.max_tokens"]) == 5
    assert attributes["gen_ai.response.model"] == "demo"
    waits_s = [
        float(attributes[f"gen_ai.latency.time_in_{part}"]) for part in ("queue", "model_prefill", "model_decode")
    ]
    waits_s.append(float(attributes["trident.latency.time_in_front_of_engine"]))
    assert all(0 <= wait_s < 10 for wait_s in waits_s)
    assert sum(waits_s) <= float(attributes["gen_ai.latency.e2e"]) + SLACK_NS / 1e9


def test_engine_stands_under_the_openai_door_and_the_client(traced: Traced) -> None:
    trace, traceparent = traced.header()
    body = {"model": "demo", "prompt": QUESTION, "max_tokens": 5, "ignore_eos": True}
    post(f"{traced.server.openai_url}/completions", body, traceparent)
    found = traced.spans(trace, wanted=2)
    door, engine = found["POST /v1/completions"], found["llm_request"]
    assert door["parent"] == CLIENT and engine["parent"] == door["id"]
    assert door["begin_ns"] <= engine["begin_ns"] and engine["end_ns"] <= door["end_ns"] + SLACK_NS
    assert int(door["attributes"]["http.response.status_code"]) == 200


def test_refusal_at_the_openai_door_is_in_the_trace(traced: Traced) -> None:
    trace, traceparent = traced.header()
    body = {"model": "nobody", "prompt": QUESTION}
    url = f"{traced.server.openai_url}/completions"
    assert httpx.post(url, json=body, headers={"traceparent": traceparent}, verify=CERTIFICATES).status_code == 404
    door = traced.spans(trace, wanted=1)["POST /v1/completions"]
    assert int(door["attributes"]["http.response.status_code"]) == 404


def test_a_request_without_a_trace_begins_one(traced: Traced) -> None:
    before_ns = time.time_ns()
    assert traced.server.generate(QUESTION).status_code == 200
    deadline_s = time.monotonic() + ARRIVES_S
    while time.monotonic() < deadline_s:
        new = [span for span in traced.all() if span["begin_ns"] >= before_ns]
        begun = {span["trace"] for span in new if span["name"] == "InferRequest" and not span["parent"].strip("0")}
        if any(span["name"] == "llm_request" and span["trace"] in begun for span in new):
            return
        time.sleep(0.2)
    raise AssertionError(f"no trace of it: {traced.all()[-4:]}")
