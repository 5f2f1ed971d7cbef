"""An engine dies, is told to end, or stands still: every request that came through Triton ends as on a quiet day."""

from __future__ import annotations

import json
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import numpy as np
import pytest
import tritonclient.grpc as grpc
from chat_doors import kserve_body
from kserve import Stream, tensors
from served import CERTIFICATES, REQUEST_TIMEOUT_S, Served

PROMPT = "Tell me a story"
LONG = {"temperature": 0, "ignore_eos": True}
ASKED = [{"role": "user", "content": PROMPT}]
THINKING = {
    "messages": [*ASKED, {"role": "assistant", "content": "<think>\nLet me"}],
    "continue_final_message": True,
    "add_generation_prompt": False,
    "chat_template_kwargs": {"enable_thinking": True},
    "thinking_token_budget": 200,
    "max_tokens": 400,
    **LONG,
}
NUMBERS = {
    "messages": ASKED,
    "chat_template_kwargs": {"enable_thinking": False},
    "structured_outputs": {"regex": r"(\d{4} ){60}end"},
    "max_tokens": 400,
    "temperature": 0,
}
NOT_SAYING = {"max_tokens": 400, "stop": ["xyzzy"], "bad_words": [" the waves", " log"], **LONG}
READY_AGAIN_S = 60

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server whose engine these tests may stop and kill."""
    served = Served.plan(tmp_path_factory.mktemp("t"))
    started = served.serve("demo", "--reasoning-parser", "qwen3")
    assert started.returncode == 0, started.stdout + started.stderr
    yield served
    served.trident("stop", "--force")


class Requests:
    """All kinds at once, each in a thread; ``outcomes`` are there when all have ended."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self._events = 0
        self._outcomes: dict[str, Any] = {}
        kinds: dict[str, Callable[[], Any]] = {
            "greedy": lambda: self._streamed(max_tokens=400, **LONG),
            "counted": lambda: self._streamed(max_tokens=300, return_num_output_tokens=True, **LONG),
            "several": lambda: self._streamed(max_tokens=200, n=2, ignore_eos=True, seed=5),
            "seeded": lambda: self._streamed(max_tokens=400, ignore_eos=True, seed=42, top_k=20, temperature=0.9),
            "penalised": lambda: self._streamed(
                max_tokens=400, presence_penalty=0.7, frequency_penalty=0.4, repetition_penalty=1.1, **LONG
            ),
            "at least": lambda: self._streamed(max_tokens=400, min_tokens=300, temperature=0),
            "by grammar": lambda: self._chat(NUMBERS),
            "not saying": lambda: self._streamed(sampling_parameters=json.dumps(NOT_SAYING)),
            "with logprobs": self._summed,
            "thinking": lambda: self._chat(THINKING),
            "in one piece": lambda: self._posted("generate", {"text_input": PROMPT, "max_tokens": 400, **LONG}),
            "over gRPC": self._over_grpc,
            "recipe": self._recipe,
        }
        self._threads = [threading.Thread(target=self._keep, args=item, daemon=True) for item in kinds.items()]
        for thread in self._threads:
            thread.start()

    def until_streaming(self) -> None:
        """Returns when there are many answers, and most have only begun."""
        deadline_s = time.monotonic() + 60
        while self._events < 100:
            assert time.monotonic() < deadline_s
            time.sleep(0.005)  # other threads' sockets: nothing to wait on

    def outcomes(self) -> dict[str, Any]:
        for thread in self._threads:
            thread.join(REQUEST_TIMEOUT_S)
            assert not thread.is_alive(), f"no end; ended are {sorted(self._outcomes)}"
        return self._outcomes

    def _keep(self, name: str, ask: Callable[[], Any]) -> None:
        try:
            self._outcomes[name] = ask()
        except Exception as error:  # noqa: BLE001 - compared like any other outcome
            self._outcomes[name] = repr(error)

    def _posted(self, kind: str, body: dict[str, Any]) -> list[dict[str, Any]]:
        events = []
        url = f"{self._served.http_url}/v2/models/generate/{kind}"
        with httpx.stream("POST", url, json=body, timeout=REQUEST_TIMEOUT_S, verify=CERTIFICATES) as response:
            for line in response.iter_lines():
                if line:
                    self._events += 1
                    events.append(json.loads(line.removeprefix("data: ")))
        return _joined(events)

    def _streamed(self, **parameters: Any) -> Any:
        return self._posted("generate_stream", {"text_input": PROMPT, "stream": True, **parameters})

    def _chat(self, body: dict[str, Any]) -> Any:
        return self._posted("generate_stream", {**kserve_body(body), "stream": True})

    def _summed(self) -> Any:
        flags = {"return_cumulative_logprob": True, "return_logprobs": True}
        outcome = self._streamed(max_tokens=300, logprobs=1, **flags, **LONG)
        # Tokens that are computed together differ in their last digits from those computed one by one.
        return {**outcome, "logprobs": len(outcome["logprobs"]), "cumulative_logprob": None}

    def _over_grpc(self) -> Any:
        stream = Stream(self._served.grpc_url)
        try:
            sampling = json.dumps({"max_tokens": 400, **LONG})
            stream.ask(text_input=PROMPT, sampling_parameters=sampling, stream=True)
            return b"".join(response.as_numpy("text_output")[0] for response in stream.responses())
        finally:
            stream.close()

    def _recipe(self) -> Any:
        with grpc.InferenceServerClient(self._served.grpc_url) as client:
            given = tensors(
                grpc,
                prompt=[PROMPT, "What is the capital of France?"],
                max_tokens=np.array([300], "int32"),
                temperature=np.array([0], "float32"),
            )
            return (
                client.infer("qwen3_vllm", given, client_timeout=REQUEST_TIMEOUT_S).as_numpy("generated_text").tolist()
            )


def _joined(events: list[dict[str, Any]]) -> Any:
    """What all events of an answer say together: how often a stub sends depends on the moment."""
    if any("error" in event for event in events):
        return events[-1]
    whole: dict[str, Any] = {}
    for event in events:
        for name in event.keys() - {"model_name", "model_version", "num_input_tokens", "finish_reason"}:
            value = event[name]
            if name == "logprobs":
                whole[name] = whole.get(name, []) + json.loads(value)
            elif isinstance(value, list):
                whole[name] = [
                    a + b for a, b in zip(whole.get(name, [type(value[0])()] * len(value)), value, strict=True)
                ]
            elif name != "cumulative_logprob":
                whole[name] = whole.get(name, type(value)()) + value
    return {**whole, "finish_reason": events[-1].get("finish_reason")}


@pytest.fixture(scope="module")
def quiet(alone: Served) -> dict[str, Any]:
    """The outcomes when nothing happens."""
    return Requests(alone).outcomes()


def core(alone: Served) -> int:
    return int(engine_host(alone)["parts"]["engine core"]["pid"])


def host(alone: Served) -> int:
    return int(engine_host(alone)["process"]["pid"])


def engine_host(alone: Served) -> dict[str, Any]:
    return next(child for child in alone.state()["children"] if child["name"] == "engine host")


@pytest.mark.parametrize(
    ("victim", "number"),
    [(core, signal.SIGKILL), (host, signal.SIGKILL), (core, signal.SIGSTOP), (core, signal.SIGTERM)],
    ids=["engine killed", "host killed", "engine stopped", "engine told to end"],
)
def test_every_request_ends_as_on_a_quiet_day(
    alone: Served, quiet: dict[str, Any], victim: Callable[[Served], int], number: int
) -> None:
    assert not any("rror" in str(outcome)[:200] for outcome in quiet.values()), quiet
    assert re.fullmatch(r"(\d{4} ){60}end", quiet["by grammar"]["text_output"]) and quiet["thinking"]["reasoning"]
    restarts = engine_host(alone)["restarts"]
    requests = Requests(alone)
    requests.until_streaming()
    os.kill(victim(alone), number)
    outcomes = requests.outcomes()
    deadline_s = time.monotonic() + READY_AGAIN_S
    while alone.state()["phase"] != "ready":
        assert time.monotonic() < deadline_s
        time.sleep(0.1)  # another process: nothing to wait on
    assert outcomes == quiet
    assert engine_host(alone)["restarts"] == restarts + 1
    metrics = alone.settled_metrics()
    assert metrics["vllm:kv_cache_usage_perc"] == 0 and metrics["vllm:num_requests_waiting"] == 0
