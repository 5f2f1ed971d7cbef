"""A model whose engine is deaf or gone is not ready, and is ready again without a restart of Triton."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import tritonclient.grpc as grpc
from served import Served

NOT_READY_WITHIN_S = 2.0
AGAIN_WITHIN_S = 120.0
MODELS = ("generate", "generate_infer", "qwen3_vllm")

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def alone(
    tmp_path_factory: pytest.TempPathFactory,
    engine_is_started_whole: None,  # noqa: ARG001 - it comes first
) -> Iterator[Served]:
    """A server whose engine these tests may stop and kill."""
    yield from serving(tmp_path_factory, "none")


@pytest.fixture
def controlled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One whose models clients may load and unload."""
    yield from serving(tmp_path_factory, "explicit")


def serving(tmp_path_factory: pytest.TempPathFactory, mode: str) -> Iterator[Served]:
    served = Served.plan(tmp_path_factory.mktemp("t"))
    started = served.serve("demo", "--model-control-mode", mode)
    assert started.returncode == 0, started.stdout + started.stderr
    yield served
    served.trident("stop", "--force")


def child(served: Served, name: str) -> dict[str, Any]:
    return next(child for child in served.state()["children"] if child["name"] == name)


def engine_core(served: Served) -> int:
    return int(child(served, "engine host")["parts"]["engine core"]["pid"])


def is_ready(served: Served, model: str) -> bool:
    """As HTTP and gRPC say it; they have to agree."""
    over_http = httpx.get(f"{served.http_url}/v2/models/{model}/ready").status_code == 200
    with grpc.InferenceServerClient(served.grpc_url) as client:
        return over_http and bool(client.is_model_ready(model))


def is_unready(served: Served, model: str) -> bool:
    if httpx.get(f"{served.http_url}/v2/models/{model}/ready").status_code == 200:
        return False
    with grpc.InferenceServerClient(served.grpc_url) as client:
        return not client.is_model_ready(model)


def states(served: Served) -> dict[str, tuple[str | None, str]]:
    """State and reason by the repository's index; a model that is about to be withdrawn may be missing."""
    index = httpx.post(f"{served.http_url}/v2/repository/index").json()
    return {model["name"]: (model.get("state"), model.get("reason", "")) for model in index}


def until(condition: Callable[[], object], limit_s: float) -> float:
    """After how many seconds it came true."""
    begun_s = time.monotonic()
    while not condition():
        assert time.monotonic() - begun_s < limit_s, "it did not come true in time"
        time.sleep(0.02)  # other processes: nothing to wait on
    return time.monotonic() - begun_s


def until_serving_again(served: Served) -> None:
    until(lambda: served.state()["phase"] == "ready", AGAIN_WITHIN_S)
    assert all(is_ready(served, model) for model in MODELS)
    assert served.generate("The capital of France is").json()["text_output"] == " Paris."
    assert served.infer(["The capital of France is"]).status_code == 200


class Story:
    """A long stream in the background."""

    def __init__(self, served: Served) -> None:
        self.events: list[dict[str, Any]] = []
        self._begun = threading.Event()
        self._thread = threading.Thread(target=self._read, args=(served,), daemon=True)
        self._thread.start()
        assert self._begun.wait(60)

    def _read(self, served: Served) -> None:
        url = f"{served.http_url}/v2/models/generate/generate_stream"
        body = {"text_input": "Tell me a story", "stream": True, "max_tokens": 1500, "ignore_eos": True}
        with httpx.stream("POST", url, json=body, timeout=120) as response:
            for line in response.iter_lines():
                if line:
                    self.events.append(httpx.Response(200, text=line.removeprefix("data: ")).json())
                    self._begun.set()

    def end(self) -> list[dict[str, Any]]:
        self._thread.join(120)
        assert not self._thread.is_alive(), "the stream does not end"
        return self.events


def test_clients_may_not_load_and_unload_but_see_the_index(alone: Served) -> None:
    for verb in ("load", "unload"):
        assert httpx.post(f"{alone.http_url}/v2/repository/models/generate/{verb}").status_code >= 400
    assert states(alone) == {model: ("READY", "") for model in MODELS}


def test_stopped_engine_makes_its_models_unready_and_comes_back(alone: Served) -> None:
    triton, core = child(alone, "tritonserver")["process"], engine_core(alone)
    story = Story(alone)
    os.kill(core, signal.SIGSTOP)
    try:
        until(lambda: all(is_unready(alone, model) for model in MODELS), NOT_READY_WITHIN_S)
        phase = child(alone, "engine host")["phase"]
    finally:
        os.kill(core, signal.SIGCONT)
    assert phase == "degraded: the engine's process is stopped"
    until_serving_again(alone)
    events = story.end()
    assert "error" not in events[-1], "what was in flight lives on in the stub that the model had"
    assert child(alone, "tritonserver")["process"] == triton
    assert (child(alone, "engine host")["restarts"], engine_core(alone)) == (0, core)


def test_killed_engine_makes_its_models_unready_and_is_started_again(alone: Served) -> None:
    triton, core = child(alone, "tritonserver")["process"], engine_core(alone)
    story = Story(alone)
    os.kill(core, signal.SIGKILL)
    until(lambda: all(is_unready(alone, model) for model in MODELS), NOT_READY_WITHIN_S)
    refused = alone.generate("The capital of France is")
    assert refused.status_code >= 400 and "generate" in refused.json()["error"]
    assert alone.trident("status").returncode == 1
    metrics = httpx.get(f"http://127.0.0.1:{alone.metrics_port}/metrics").text
    assert "\nnv_pinned_memory_pool_total_bytes" in metrics and "vllm:e2e_request_latency_seconds_count" in metrics
    assert "vllm:num_requests_running" not in metrics, "there is no engine that could run any"
    until(lambda: states(alone).get("generate", ("", ""))[0] == "UNAVAILABLE", 10)
    assert "its engine is lost" in states(alone)["generate"][1]
    assert httpx.get(f"{alone.http_url}/v2/health/ready").status_code == 400
    until_serving_again(alone)
    assert "error" not in story.end()[-1], "the next engine went on with it"
    assert child(alone, "tritonserver")["process"] == triton
    assert child(alone, "engine host")["restarts"] == 1 and engine_core(alone) != core


def test_engine_that_stays_stopped_is_replaced(alone: Served) -> None:
    core, restarts = engine_core(alone), child(alone, "engine host")["restarts"]
    os.kill(core, signal.SIGSTOP)
    until(lambda: child(alone, "engine host")["restarts"] == restarts + 1, 10)


def test_explicit_mode_unloads_and_loads_what_was_ready(controlled: Served) -> None:
    core = engine_core(controlled)
    control = f"{controlled.http_url}/v2/repository/models"
    assert httpx.post(f"{control}/qwen3_vllm/unload").status_code == 200
    os.kill(core, signal.SIGSTOP)
    try:
        until(lambda: is_unready(controlled, "generate") and is_unready(controlled, "generate_infer"), 2)
    finally:
        os.kill(core, signal.SIGCONT)
    until(lambda: is_ready(controlled, "generate") and is_ready(controlled, "generate_infer"), AGAIN_WITHIN_S)
    assert states(controlled)["qwen3_vllm"][0] in ("UNLOADING", "UNAVAILABLE"), "that one the user has unloaded"
    assert controlled.generate("The capital of France is").json()["text_output"] == " Paris."
    assert httpx.post(f"{control}/qwen3_vllm/load", timeout=60).status_code == 200
    assert is_ready(controlled, "qwen3_vllm")
