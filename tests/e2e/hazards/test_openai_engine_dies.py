"""The OpenAI door when its engine is lost or has too much to do: everybody is told so at once, nobody hangs."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from served import CERTIFICATES, Served

TOLD_WITHIN_S = 2.0
STOPPED_TOLD_WITHIN_S = 5.0
AGAIN_WITHIN_S = 120.0
INSIDE = 5
"""Requests that the door lets in at ``max_num_seqs`` 4."""
WAITING = 4 * INSIDE
STORY = {"model": "demo", "prompt": "Tell me a story", "max_tokens": 1900, "ignore_eos": True, "temperature": 0}

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One with few places, whose engine may be lost."""
    served = Served.plan(tmp_path_factory.mktemp("t"))
    started = served.serve("demo", "--max-num-seqs", "4")
    assert started.returncode == 0, started.stdout + started.stderr
    yield served
    served.trident("stop", "--force")


def engine_host(served: Served) -> dict[str, Any]:
    return next(child for child in served.state()["children"] if child["name"] == "engine host")


def until_ready(served: Served) -> None:
    begun_s = time.monotonic()
    while not engine_host(served)["is_ready"] or served.state()["phase"] != "ready":
        assert time.monotonic() - begun_s < AGAIN_WITHIN_S
        time.sleep(0.02)  # another process: nothing to wait on


def post(served: Served, timeout_s: float = 30, key: str = "", **parameters: Any) -> httpx.Response:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    url, body = f"{served.openai_url}/completions", {**STORY, **parameters}
    return httpx.post(url, json=body, headers=headers, timeout=timeout_s, verify=CERTIFICATES)


class Request:
    """One in the background; ``ended_s`` is on the monotonic clock."""

    def __init__(self, served: Served, **parameters: Any) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.lines: list[str] = []
        self.ended_s = 0.0
        self.has_begun = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(served, {**STORY, **parameters}), daemon=True)
        self._thread.start()

    def _run(self, served: Served, body: dict[str, Any]) -> None:
        url = f"{served.openai_url}/completions"
        with httpx.stream("POST", url, json=body, timeout=60, verify=CERTIFICATES) as response:
            self.status, self.headers = response.status_code, dict(response.headers)
            for line in response.iter_lines():
                if line:
                    self.lines.append(line)
                    self.has_begun.set()
        self.ended_s = time.monotonic()

    def end(self) -> None:
        self._thread.join(60)
        assert not self._thread.is_alive(), "it hangs"
        assert self.ended_s, "its connection was not closed in order"

    @property
    def errors(self) -> list[dict[str, Any]]:
        events = [json.loads(line.removeprefix("data: ")) for line in self.lines if line != "data: [DONE]"]
        return [event["error"] for event in events if "error" in event]


def is_503(response: httpx.Response) -> bool:
    if response.status_code == 200:
        return False
    assert response.status_code == 503, response.text
    assert response.json()["error"]["code"] == 503 and int(response.headers["retry-after"]) >= 1
    return True


def retried(call: Callable[[], httpx.Response]) -> httpx.Response:
    """Once more when the connection came in the instant in which one server hands over to the other."""
    try:
        return call()
    except httpx.TransportError:
        return call()


@pytest.mark.parametrize(
    ("victim", "number", "told_within_s"),
    [
        ("engine core", signal.SIGKILL, TOLD_WITHIN_S),
        ("engine host", signal.SIGKILL, TOLD_WITHIN_S),
        ("engine core", signal.SIGSTOP, STOPPED_TOLD_WITHIN_S),
    ],
    ids=["killed-engine", "killed-host", "stopped-engine"],
)
def test_everybody_is_told_of_a_loss_until_the_engine_is_back(
    server: Served, victim: str, number: signal.Signals, told_within_s: float
) -> None:
    until_ready(server)
    before = engine_host(server)
    process = before["process"] if victim == "engine host" else before["parts"][victim]
    streams = [Request(server, stream=True) for _ in range(INSIDE - 1)]
    assert all(stream.has_begun.wait(30) for stream in streams)
    wholes = [Request(server) for _ in range(3)]  # one is inside, two wait for a place
    time.sleep(0.2)  # nothing tells that a request has arrived; they last for seconds
    os.kill(process["pid"], number)
    begun_s = time.monotonic()
    for request in [*streams, *wholes]:
        request.end()
        assert request.ended_s - begun_s < told_within_s
        assert [error["code"] for error in request.errors] == [503]
    for stream in streams:
        assert stream.status == 200 and "error" in json.loads(stream.lines[-1].removeprefix("data: "))
    for whole in wholes:
        assert whole.status == 503 and int(whole.headers["retry-after"]) >= 1

    refused = 0
    health = f"http://127.0.0.1:{server.openai_port}/health"
    while is_503(retried(lambda: post(server, max_tokens=2))):
        assert retried(lambda: httpx.get(health, verify=CERTIFICATES)).status_code in (200, 503)
        refused += 1
        assert time.monotonic() - begun_s < AGAIN_WITHIN_S
    assert refused > 5
    until_ready(server)
    assert engine_host(server)["restarts"] == before["restarts"] + 1
    assert server.complete("The capital of France is")["choices"][0]["text"] == " Paris."


def test_overload_is_429_and_a_client_with_little_is_served(server: Served) -> None:
    until_ready(server)
    most = INSIDE + WAITING
    crowd = [Request(server, max_tokens=300) for _ in range(most + 10)]
    deadline_s = time.monotonic() + 30
    while sum(request.ended_s > 0 for request in crowd) < 10:
        assert time.monotonic() < deadline_s
        time.sleep(0.01)  # other threads: any of them may be the one
    modest = post(server, key="modest", max_tokens=2)
    assert modest.status_code == 200, "it has a turn although the queue is full of another's"
    for request in crowd:
        request.end()
    refused = [request for request in crowd if request.status == 429]
    assert {request.status for request in crowd} == {200, 429}
    assert 10 <= len(refused) <= 11, "one more made room"
    for request in refused:
        assert request.errors[0]["type"] == "Too Many Requests" and int(request.headers["retry-after"]) >= 1
