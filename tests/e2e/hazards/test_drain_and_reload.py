"""Nothing in flight is lost by a stop or a reload, as long as there is time; then it ends with an error.

One server lives through all of it in the order of the tests: reloads, then its stop. A second one shows the end of the
time.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from served import CERTIFICATES, Served

STORY = {"max_tokens": 1500, "ignore_eos": True, "temperature": 0}
PROMPT = "Tell me a story"
RELOAD_TIMEOUT_S = 120
QUICK_S = 8.0
"""2.9 s on a quiet machine. A tritonserver that is left alone waits 20 s for an idle client."""

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server that these tests reload and stop."""
    served = Served.plan(tmp_path_factory.mktemp("t"))
    started = served.serve("demo", "--max-num-seqs", "16", "--drain-s", "40")
    assert started.returncode == 0, started.stdout + started.stderr
    yield served
    served.trident("stop", "--force")


class Story:
    """A long stream in the background, through Triton or the OpenAI server; ``broken`` is how it ended without one."""

    def __init__(self, served: Served, *, is_openai: bool = False) -> None:
        self.events: list[dict[str, Any]] = []
        self.broken: Exception | None = None
        self._begun = threading.Event()
        url = f"{served.http_url}/v2/models/generate/generate_stream"
        body: dict[str, Any] = {"text_input": PROMPT, "stream": True, **STORY}
        if is_openai:
            url, body = f"{served.openai_url}/completions", {"model": "demo", "prompt": PROMPT, "stream": True, **STORY}
        self._thread = threading.Thread(target=self._read, args=(url, body), daemon=True)
        self._thread.start()
        assert self._begun.wait(60)

    def _read(self, url: str, body: dict[str, Any]) -> None:
        try:
            with httpx.stream("POST", url, json=body, timeout=120, verify=CERTIFICATES) as response:
                for line in response.iter_lines():
                    if line and line != "data: [DONE]":
                        self.events.append(json.loads(line.removeprefix("data: ")))
                        self._begun.set()
        except httpx.HTTPError as error:
            self.broken = error

    def end(self) -> list[dict[str, Any]]:
        self._thread.join(60)
        assert not self._thread.is_alive(), "the stream does not end"
        assert self.broken is None
        return self.events


class Asking:
    """Clients that ask again and again, at both doors, over kept connections and new ones."""

    def __init__(self, served: Served) -> None:
        self.answers = 0
        self.failures: list[str] = []
        self._stop = threading.Event()
        asks = (self._generate, self._complete)
        self._threads = [
            threading.Thread(target=self._ask, args=(ask, served, is_kept)) for ask in asks for is_kept in (True, False)
        ]
        for thread in self._threads:
            thread.start()

    def _ask(self, ask: Callable[[Served, httpx.Client], httpx.Response], served: Served, is_kept: bool) -> None:
        client = httpx.Client(timeout=60, verify=CERTIFICATES)
        while not self._stop.is_set():
            try:
                answer = ask(served, client)
                if answer.status_code != 200 or "Paris" not in answer.text:
                    self.failures.append(f"{answer.status_code}: {answer.text}")
                self.answers += 1
            except httpx.HTTPError as error:
                self.failures.append(f"{ask.__name__}: {error!r}")
            if not is_kept:
                client.close()
                client = httpx.Client(timeout=60, verify=CERTIFICATES)
            self._stop.wait(0.05)
        client.close()

    @staticmethod
    def _generate(served: Served, client: httpx.Client) -> httpx.Response:
        body = {"text_input": "The capital of France is", "max_tokens": 8, "temperature": 0}
        return client.post(f"{served.http_url}/v2/models/generate/generate", json=body)

    @staticmethod
    def _complete(served: Served, client: httpx.Client) -> httpx.Response:
        body = {"model": "demo", "prompt": "The capital of France is", "max_tokens": 8, "temperature": 0}
        return client.post(f"{served.openai_url}/completions", json=body)

    def end(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)


def pids(served: Served) -> dict[str, int]:
    return {child["name"]: child["process"]["pid"] for child in served.state()["children"] if child["process"]}


def until(condition: Callable[[], object], limit_s: float) -> None:
    end_s = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end_s, "it did not come true in time"
        time.sleep(0.02)  # other processes: nothing to wait on


def test_bad_argument_changes_nothing_and_is_named(alone: Served) -> None:
    before = pids(alone)
    for arguments, named in (
        (("--max-num-seqs", "many"), "it should be a whole number"),
        (("--no-such-argument", "1"), "--no-such-argument"),
        (("--grpc-port", "1234"), "listen.grpc_port"),
        (("/no/such/folder",), "/no/such/folder"),
    ):
        refused = alone.trident("reload", *arguments)
        assert refused.returncode == 3 and named in refused.stderr
        assert "why:" in refused.stderr and "next:" in refused.stderr
    assert pids(alone) == before


def test_reload_side_by_side_loses_nothing(alone: Served) -> None:
    before, asking = pids(alone), Asking(alone)
    try:
        told: list[Any] = []
        command = ("reload", "--max-num-seqs", "8")
        reloading = threading.Thread(target=lambda: told.append(alone.trident(*command, timeout_s=RELOAD_TIMEOUT_S)))
        reloading.start()
        until(lambda: "goes over" in alone.state()["note"], RELOAD_TIMEOUT_S)
        stories = [Story(alone), Story(alone, is_openai=True)]
        reloading.join(RELOAD_TIMEOUT_S)
        ends = [story.end() for story in stories]
    finally:
        asking.end()
    assert told[0].returncode == 0, told[0].stderr
    assert "side by side: the old engine serves until the new one is ready" in told[0].stdout.splitlines()[1]
    assert asking.failures == [] and asking.answers > 20
    assert not any("error" in event for events in ends for event in events)
    after = pids(alone)
    assert after["tritonserver"] == before["tritonserver"] and after["engine host"] != before["engine host"]
    assert "max_num_seqs: 16 → 8" in told[0].stdout
    assert json.loads((alone.run_dir / "config.json").read_text())["engine"] == {"max_num_seqs": 8}


def test_engine_that_cannot_start_leaves_the_old_one_serving(alone: Served) -> None:
    before, asking = pids(alone), Asking(alone)
    try:
        refused = alone.trident("reload", "--kv-cache-memory-bytes", "1000", timeout_s=RELOAD_TIMEOUT_S)
    finally:
        asking.end()
    assert refused.returncode == 3 and "No available memory for the cache blocks" in refused.stderr
    assert asking.failures == []
    assert pids(alone) == before and alone.state()["phase"] == "ready"


def test_stop_lets_streams_finish_and_refuses_new_requests(alone: Served) -> None:
    stories = [Story(alone), Story(alone, is_openai=True)]
    stopped: list[Any] = []
    stopping = threading.Thread(target=lambda: stopped.append(alone.trident("stop")))
    stopping.start()
    until(lambda: alone.state()["phase"] == "draining", 10)
    refused = httpx.post(f"{alone.openai_url}/completions", json={"model": "demo", "prompt": "x"}, verify=CERTIFICATES)
    assert refused.status_code == 503 and refused.headers["retry-after"]
    assert httpx.get(f"{alone.openai_url[:-3]}/health", verify=CERTIFICATES).status_code == 503
    assert alone.generate("The capital of France is").status_code >= 400
    kserve, openai = (story.end() for story in stories)
    assert not any("error" in event for event in (*kserve, *openai))
    assert openai[-1]["choices"][0]["finish_reason"] == "length"
    stopping.join(60)
    assert stopped[0].returncode == 0 and "gets up to 40 s to finish" in stopped[0].stdout


def test_what_is_not_finished_in_time_ends_with_an_error_and_idle_clients_hold_nobody(alone: Served) -> None:
    assert alone.state()["phase"] == "stopped", "the test before has stopped it"
    started = alone.serve("demo", "--drain-s", "0.3")
    assert started.returncode == 0, started.stderr
    with httpx.Client(verify=CERTIFICATES) as idle:
        assert idle.get(f"{alone.http_url}/v2/health/ready").status_code == 200
        assert idle.get(f"{alone.openai_url}/models").status_code == 200
        stories = [Story(alone), Story(alone, is_openai=True)]
        begun_s = time.monotonic()
        stopped = alone.trident("stop")
        took_s = time.monotonic() - begun_s
    assert stopped.returncode == 0, stopped.stderr
    kserve, openai = (story.end()[-1] for story in stories)
    assert "was not finished in time" in kserve["error"]
    assert "was not finished in time" in openai["error"]["message"]
    assert took_s < 0.3 + QUICK_S
