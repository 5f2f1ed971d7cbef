"""The live page of a real server: its numbers, its requests in flight, a chat, and what it costs."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from served import CERTIFICATES, Served, free_ports, questions

pytestmark = pytest.mark.e2e
TOOL = runpy.run_path(str(Path(__file__).parents[3] / "tools" / "chromium.py"))
IS_MISSING = TOOL["missing"]() is not None and os.environ.get("CI") != "true"
needs_browser = pytest.mark.skipif(IS_MISSING, reason=str(TOOL["missing"]()))
WAIT_S = 40.0
MOST_MEMORY_BYTES = 60 * 2**20
COST_S = 6.0
MOST_CORES = 0.05
"""On a machine that does much else; docs/monitor-page.md has what was measured on a quiet one."""
SHOWN = """
return Object.fromEntries([...document.querySelectorAll('#overview [data-metric]')]
  .map(each => [each.dataset.metric, Number(each.dataset.value)]));
"""
CURVES = "return [...document.querySelectorAll('.chart path')].map(each => each.getAttribute('d')).join();"


@dataclass(frozen=True)
class Monitor:
    url: str
    process: psutil.Process

    def get(self, path: str) -> httpx.Response:
        return httpx.get(self.url + path, timeout=30, verify=CERTIFICATES)

    def sums(self) -> dict[str, float]:
        """Of the families of ``/metrics``."""
        found: dict[str, float] = {}
        for name, value in re.findall(r"^([\w:]+)(?:\{[^}]*\})? (\S+)$", self.get("/metrics").text, re.MULTILINE):
            found[name] = found.get(name, 0.0) + float(value)
        return found


@pytest.fixture(scope="module")
def monitor(server: Served) -> Iterator[Monitor]:
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "trident.monitor", "--run-dir", str(server.run_dir), "--port", str(port)]
    process = subprocess.Popen(command, env=server.environ, stdin=subprocess.DEVNULL)
    try:
        one = Monitor(f"http://127.0.0.1:{port}", psutil.Process(process.pid))
        until(lambda: answers(one))
        yield one
    finally:
        process.terminate()
        assert process.wait(20) == 0


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with TOOL["browser"]("127.0.0.1") as opened:
        opened.look(width=1360, height=900)
        yield opened


def answers(monitor: Monitor) -> bool:
    try:
        return monitor.get("/api/server").status_code == 200
    except httpx.TransportError:
        return False


def until(is_true: Callable[[], Any]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not is_true():
        assert time.monotonic() < deadline, "it does not come"
        time.sleep(0.1)


@contextmanager
def load(server: Served) -> Iterator[None]:
    """Two long requests at each door, again and again."""
    stopped = threading.Event()

    def kserve() -> None:
        while not stopped.is_set():
            server.generate("Once upon a time", max_tokens=300, ignore_eos=True, user="team-a")

    def openai() -> None:
        while not stopped.is_set():
            server.complete("Once upon a time", max_tokens=300, ignore_eos=True)

    threads = [threading.Thread(target=work) for work in (kserve, openai) * 2]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stopped.set()
        for thread in threads:
            thread.join(60)


def test_requests_in_flight_are_told_by_both_doors(server: Served, monitor: Monitor) -> None:
    def told() -> dict[str, Any]:
        return {one["id"]: one for one in monitor.get("/api/requests").json()["requests"]}

    with load(server):
        until(lambda: len([one for one in told().values() if one["state"] == "decoding"]) == 4)
        before = told()
        time.sleep(0.5)
        now = told()
        doors = {one["door"] for one in now.values()}
        assert doors == {"KServe generate", "OpenAI completions"}
        assert "team-a" in {one["client"] for one in now.values()}
        both = set(before) & set(now)
        assert both, "an answer takes longer than half a second"
        for id in both:
            assert now[id]["output_tokens"] > before[id]["output_tokens"]
            assert now[id]["age_s"] > before[id]["age_s"]
            assert now[id]["max_tokens"] == 300
            assert "prompt" not in now[id]
        assert monitor.get("/api/requests?prompts=1").status_code == 403
    until(lambda: not told())


@needs_browser
def test_page_shows_what_metrics_say_moves_under_load_and_stays_small(
    server: Served, monitor: Monitor, browser: Any
) -> None:
    browser.console(), browser.asked_for()
    browser.open(f"{monitor.url}/")
    until(lambda: browser.run("return document.querySelectorAll('#children .child').length") >= 3)
    with load(server):
        until(lambda: browser.run("return document.querySelectorAll('#requests-few tbody tr').length") >= 4)
        curves, used = browser.run(CURVES), monitor.process.cpu_times()
        time.sleep(COST_S)
        now = monitor.process.cpu_times()
        assert (now.user + now.system - used.user - used.system) / COST_S < MOST_CORES
        assert monitor.process.memory_info().rss < MOST_MEMORY_BYTES
        assert browser.run(CURVES) != curves
        assert browser.run("return document.querySelector('#tile-output .value').textContent") != "0/s"
    server.settled_metrics()
    told = monitor.sums()
    shown: dict[str, float] = {}

    def agrees() -> bool:  # the last sample's tokens may be shown with what ran a second before
        shown.update(browser.run(SHOWN))
        return shown == {name: pytest.approx(told[name]) for name in shown}

    until(agrees)
    assert len(shown) >= 10
    assert browser.console() == []
    assert {url for url in browser.asked_for() if url.startswith("http") and not url.startswith(monitor.url)} == set()


@needs_browser
def test_playground_streams_a_chat(monitor: Monitor, browser: Any) -> None:
    question = next(item for item in questions() if "capital of France" in item["question"])
    browser.open(f"{monitor.url}/#playground")
    until(lambda: browser.run("return document.getElementById('chat-model').value"))
    browser.run("document.getElementById('chat-temperature').value = '0'; return 1")
    browser.run(
        f"document.getElementById('chat-text').value = {question['question']!r};"
        "document.getElementById('chat-form').requestSubmit(); return 1"
    )
    until(lambda: browser.run("return document.querySelector('.turn.assistant .meta')?.textContent"))
    assert "Paris" in browser.run("return document.querySelector('.turn.assistant .text').textContent")
    assert browser.console() == []
