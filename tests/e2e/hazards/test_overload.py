"""More requests than the engine can answer: each has one end, nobody is locked out, and nothing is left over."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import grpc as grpc_codes
import httpx
import pytest
import tritonclient.grpc as grpc
from kserve import tensors
from served import CERTIFICATES, Served

FLOOD = 100
MAX_QUEUED = 8
HINT = re.compile(r"overloaded: .*; retry after (\d+) s$")

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Room for four sequences and a few that wait."""
    served = Served.plan(tmp_path_factory.mktemp("o"))
    started = served.serve("demo", "--max-num-seqs", "4", "--max-queued-requests", str(MAX_QUEUED))
    assert started.returncode == 0, started.stdout + started.stderr
    yield served
    stopped = served.trident("stop")
    assert stopped.returncode == 0, stopped.stdout + stopped.stderr


def ask(small: Served, client: str, *, tokens: int = 100, **parameters: Any) -> tuple[httpx.Response, float]:
    """The answer, and how long it took."""
    begun_s = time.monotonic()
    answer = small.generate("Tell me a story.", user=client, max_tokens=tokens, ignore_eos=True, **parameters)
    return answer, time.monotonic() - begun_s


def nobody(result: object, error: object) -> None:
    """Hears what comes for a client that goes."""


def admission(small: Served) -> dict[str, float]:
    """Sums over all labels, from the metrics page."""
    text = httpx.get(f"http://127.0.0.1:{small.metrics_port}/metrics", timeout=30, verify=CERTIFICATES).text
    sums: Counter[str] = Counter()
    for name, value in re.findall(r"^trident_admission_(\w+)(?:\{[^}]*\})? (\S+)$", text, re.MULTILINE):
        sums[name] += float(value)
    return sums


def assert_nothing_is_left(small: Served) -> None:
    settled = small.settled_metrics()
    counted = admission(small)
    assert settled["vllm:num_requests_waiting"] == 0 and settled["vllm:kv_cache_usage_perc"] == 0
    assert counted["queued_requests"] == 0 and counted["queued_tokens"] == 0


def test_each_request_of_a_flood_has_one_answer_or_one_refusal_and_others_get_through(small: Served) -> None:
    before = admission(small)
    with ThreadPoolExecutor(FLOOD + 1) as threads:
        flood = [threads.submit(ask, small, "flood") for _ in range(FLOOD)]
        while admission(small)["queued_requests"] < MAX_QUEUED and not all(one.done() for one in flood):
            time.sleep(0.02)
        polite = [ask(small, "polite", tokens=8)[0] for _ in range(3)]
        assert any(not one.done() for one in flood), "the flood was over before anybody else came"
        answers = [one.result()[0] for one in flood]
    assert [answer.status_code for answer in polite] == [200] * 3, polite[-1].text
    refused = [answer.json()["error"] for answer in answers if answer.status_code != 200]
    answered = [answer for answer in answers if answer.status_code == 200]
    # The engine has 4 sequences and 4 beyond; what a polite request has pushed out counts as refused.
    assert len(answered) >= MAX_QUEUED + 4 and len(refused) >= FLOOD // 2
    assert all(HINT.search(error) for error in refused), refused[0]
    assert all(answer.json()["text_output"] for answer in answered)
    assert admission(small)["refused_total"] - before["refused_total"] == len(refused)
    assert_nothing_is_left(small)


def test_deadlines_hold_and_what_cannot_meet_them_is_refused_early(small: Served) -> None:
    timeout_s = 1.0
    with ThreadPoolExecutor(FLOOD) as threads:
        asked = [threads.submit(ask, small, str(i % 5), timeout=int(timeout_s * 1e6)) for i in range(FLOOD)]
        ended = [one.result() for one in asked]
    errors = [answer.json()["error"] for answer, _ in ended if answer.status_code != 200]
    assert all(HINT.search(error) or "deadline of 1 s" in error for error in errors), errors
    # The rest is the way through Triton of a hundred requests at once, on a busy machine.
    assert max(took_s for _, took_s in ended) < timeout_s + 3
    assert_nothing_is_left(small)


def test_refusal_is_unavailable_where_triton_tells_codes(small: Served) -> None:
    parameters = json.dumps({"max_tokens": 200, "ignore_eos": True})
    inputs = tensors(grpc, text_input="Tell me a story.", sampling_parameters=parameters)
    errors: list[grpc.InferenceServerException] = []

    def infer() -> None:
        try:
            client.infer("generate_infer", inputs)
        except grpc.InferenceServerException as error:
            errors.append(error)

    with grpc.InferenceServerClient(small.grpc_url) as client, ThreadPoolExecutor(40) as threads:
        calls: list[Future[None]] = [threads.submit(infer) for _ in range(40)]
        for call in calls:
            call.result()
    assert errors and {error.status() for error in errors} == {str(grpc_codes.StatusCode.UNAVAILABLE)}
    assert all(HINT.search(error.message()) for error in errors)
    assert_nothing_is_left(small)


def test_requests_that_wait_leave_with_their_clients(small: Served) -> None:
    long = {
        "text_input": "Tell me a story.",
        "stream": True,
        "sampling_parameters": json.dumps({"max_tokens": 1900, "ignore_eos": True}),
    }
    clients = [grpc.InferenceServerClient(small.grpc_url) for _ in range(12)]
    for client in clients:
        client.start_stream(nobody)
        client.async_stream_infer("generate", tensors(grpc, **long))
    deadline_s = time.monotonic() + 20
    while admission(small)["queued_requests"] < 4:
        assert time.monotonic() < deadline_s
        time.sleep(0.02)
    for client in clients:
        client.stop_stream(cancel_requests=True)
        client.close()
    answer, _ = ask(small, "next", tokens=2)
    assert answer.status_code == 200, answer.text
    assert_nothing_is_left(small)
