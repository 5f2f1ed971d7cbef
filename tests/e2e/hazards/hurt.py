"""A server whose processes are hurt, and what is seen of it from outside."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx
import psutil
from served import Served

AGAIN_WITHIN_S = 60
_INSTANCE = 8


def child(served: Served, name: str) -> dict[str, Any]:
    return next(child for child in served.state()["children"] if child["name"] == name)


def pid_of(served: Served, name: str) -> int:
    return int(child(served, name)["process"]["pid"])


def stubs_of(served: Served, model: str) -> set[int]:
    """Pids of the stubs that live."""
    found = set()
    for process in psutil.Process(pid_of(served, "tritonserver")).children():
        words = process.cmdline() if process.status() != psutil.STATUS_ZOMBIE else []
        if len(words) > _INSTANCE and words[_INSTANCE].rsplit("_", 2)[0] == model:
            found.add(process.pid)
    return found


def is_ready(served: Served, model: str = "generate") -> bool:
    try:
        return httpx.get(f"{served.http_url}/v2/models/{model}/ready", timeout=1).status_code == 200
    except httpx.HTTPError:
        return False


def until(condition: Callable[[], object], limit_s: float = AGAIN_WITHIN_S) -> float:
    """After how many seconds it came true."""
    begun_s = time.monotonic()
    while not condition():
        assert time.monotonic() - begun_s < limit_s, "it did not come true in time"
        time.sleep(0.02)  # other processes: nothing to wait on
    return time.monotonic() - begun_s


def until_whole(served: Served) -> None:
    until(lambda: served.state()["phase"] == "ready" and is_ready(served))
    assert served.generate("The capital of France is").json()["text_output"] == " Paris."


class Story:
    """A long stream in the background. ``events`` are counted; ``end`` says how it ended."""

    def __init__(self, served: Served, max_tokens: int = 1200) -> None:
        self.events = 0
        self.end = ""
        self._url = f"{served.http_url}/v2/models/generate/generate_stream"
        self._body = {"text_input": "Tell me a story", "stream": True, "max_tokens": max_tokens, "ignore_eos": True}
        self._begun = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        assert self._begun.wait(60)

    def _read(self) -> None:
        last = "{}"
        try:
            with httpx.stream("POST", self._url, json=self._body, timeout=120) as response:
                for line in response.iter_lines():
                    if line:
                        last = line.removeprefix("data: ")
                        self.events += 1
                        self._begun.set()
            self.end = json.loads(last).get("error", "finished")
        except httpx.HTTPError as error:
            self.end = f"closed: {error}"

    def wait(self, limit_s: float = 90) -> str:
        """How it ended."""
        self._thread.join(limit_s)
        assert not self._thread.is_alive(), "the stream hangs"
        return self.end
