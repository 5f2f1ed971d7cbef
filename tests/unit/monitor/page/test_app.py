from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from pretended import Metrics, Pretended, busy, monitored, prepare, requests

from trident.config.models import Config
from trident.monitor.settings import Settings

KEY = "a-key-of-this-server"
HTTP = httpx.Client(trust_env=False, verify=False)
"""One for all: each would read the system's certificates."""
CHAT = {"model": "demo", "stream": True, "messages": [{"role": "user", "content": "Hello"}]}


class Upstream(BaseHTTPRequestHandler):
    asked: dict[str, Any] = {}  # noqa: RUF012 - what the last request said

    def do_POST(self) -> None:
        Upstream.asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        self.wfile.write(b'data: {"choices":[{"delta":{"content":"Hi"}}]}\n\ndata: [DONE]\n\n')

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def openai_port() -> Iterator[int]:
    server = HTTPServer(("127.0.0.1", 0), Upstream)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **settings: Any) -> Config:
    monkeypatch.setenv("TRIDENT_STATE_DIR", str(tmp_path))
    config = Config.model_validate({"model": "demo", **settings})
    prepare(config)
    return config


@pytest.fixture
def open_monitor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, openai_port: int) -> Iterator[Pretended]:
    config = start(tmp_path, monkeypatch, listen={"openai_port": openai_port})
    metrics = Metrics()
    busy(metrics, 1.0)
    with monitored(config, Settings(refresh_s=0.05), metrics) as one:
        yield one


@pytest.fixture
def closed_monitor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pretended]:
    config = start(tmp_path, monkeypatch, security={"api_key": [KEY]})
    with monitored(config, Settings(refresh_s=0.05, show_prompts=True), Metrics()) as one:
        yield one


def test_page_and_its_files_come_with_a_policy_that_allows_no_other_place(open_monitor: Pretended) -> None:
    page = HTTP.get(f"{open_monitor.url}/")
    assert page.status_code == 200
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    assert "http" not in page.text.replace("http-equiv", "")
    for path in ("/app.js", "/style.css", "/icon.svg"):
        assert HTTP.get(open_monitor.url + path).status_code == 200
    for path in ("/../config.json", "/static/app.js", "/%2e%2e/config.json", "/nothing"):
        assert HTTP.get(open_monitor.url + path).status_code == 404


def test_metrics_are_the_exporters_page(open_monitor: Pretended) -> None:
    answer = HTTP.get(f"{open_monitor.url}/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert answer.content == open_monitor.metrics.text


def test_live_has_numbers_hints_and_what_is_in_flight(open_monitor: Pretended) -> None:
    open_monitor.in_flight[:] = requests(3)
    with HTTP.stream("GET", f"{open_monitor.url}/api/live") as stream:
        told = []
        for line in stream.iter_lines():
            if line:
                told.append(json.loads(line.removeprefix("data: ")))
            if len(told) == 4:
                break
    last = told[-1]
    assert last["number"] > told[0]["number"]
    assert last["totals"]["vllm:generation_tokens_total"] == 620
    assert last["requests"]["total"] == 3
    assert "prompt" not in last["requests"]["requests"][0]
    assert [child["name"] for child in last["children"]] == ["engine host", "tritonserver", "metrics server"]


def test_while_nobody_looks_readings_are_rare_and_nothing_is_asked_of_engines(open_monitor: Pretended) -> None:
    import time

    time.sleep(0.3)
    before = open_monitor.reads
    time.sleep(0.5)
    assert open_monitor.reads <= before + 1, "twenty times a second would be the watched rate"
    assert open_monitor.asked == 0


def test_prompts_are_hidden_unless_the_server_allows_them(open_monitor: Pretended) -> None:
    open_monitor.in_flight[:] = requests(1)
    assert HTTP.get(f"{open_monitor.url}/api/requests").json()["requests"][0].get("prompt") is None
    assert HTTP.get(f"{open_monitor.url}/api/requests?prompts=1").status_code == 403


def test_prompts_are_told_where_they_are_allowed_and_asked_for(closed_monitor: Pretended) -> None:
    closed_monitor.in_flight[:] = requests(1)
    headers = {"x-api-key": KEY}
    told = HTTP.get(f"{closed_monitor.url}/api/requests?prompts=1", headers=headers).json()
    assert told["requests"][0]["prompt"] == "What is the capital of France?"


def test_log_is_followed_from_where_the_reader_was(open_monitor: Pretended) -> None:
    url = f"{open_monitor.url}/api/log?name=engine"
    first = HTTP.get(url).json()
    assert first["lines"][-1] == "ERROR something broke"
    with (open_monitor.run_dir / "logs" / "engine.log").open("a", encoding="utf-8") as file:
        file.write("one more\nhalf a li")
    second = HTTP.get(f"{url}&place={first['place']}").json()
    assert second["lines"] == ["one more"]
    assert HTTP.get(f"{url}&place={second['place']}").json()["lines"] == []
    assert HTTP.get(f"{open_monitor.url}/api/log?name=../config").status_code == 404


def test_configuration_is_shown_without_its_secrets(closed_monitor: Pretended) -> None:
    answer = HTTP.get(f"{closed_monitor.url}/api/server", headers={"authorization": f"Bearer {KEY}"})
    assert KEY not in answer.text
    assert answer.json()["configuration"]["security"]["api_key"] == "•••"


def test_playground_passes_a_chat_on_and_its_stream_back(open_monitor: Pretended) -> None:
    answer = HTTP.post(f"{open_monitor.url}/api/chat", json=CHAT)
    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.text.startswith('data: {"choices"')
    assert Upstream.asked == CHAT


def test_playground_says_which_model_is_not_there(open_monitor: Pretended) -> None:
    answer = HTTP.post(f"{open_monitor.url}/api/chat", json={**CHAT, "model": "other"})
    assert answer.status_code == 404
    assert answer.json()["error"]["message"] == "there is no model other"
    assert HTTP.post(f"{open_monitor.url}/api/chat", content=b"{").status_code == 400


def test_another_sites_page_may_not_make_the_model_work(open_monitor: Pretended) -> None:
    for headers in ({"sec-fetch-site": "cross-site"}, {"origin": "http://example.org"}):
        assert HTTP.post(f"{open_monitor.url}/api/chat", json=CHAT, headers=headers).status_code == 403


def test_without_keys_a_name_that_only_points_here_is_refused(open_monitor: Pretended) -> None:
    assert HTTP.get(f"{open_monitor.url}/metrics", headers={"host": "rebound.example"}).status_code == 421
    assert HTTP.get(f"{open_monitor.url}/metrics", headers={"host": "localhost:8003"}).status_code == 200


def test_with_keys_everything_but_the_door_wants_one(closed_monitor: Pretended) -> None:
    page = HTTP.get(f"{closed_monitor.url}/")
    assert page.status_code == 401
    assert 'type="password"' in page.text
    for path in ("/metrics", "/api/live", "/api/history", "/api/server", "/api/requests", "/api/log", "/app.js"):
        assert HTTP.get(closed_monitor.url + path).status_code == 401, path
        assert HTTP.get(closed_monitor.url + path, headers={"x-api-key": "wrong"}).status_code == 401, path
    assert HTTP.post(f"{closed_monitor.url}/api/chat", json=CHAT).status_code == 401
    assert HTTP.get(f"{closed_monitor.url}/metrics", headers={"authorization": f"Bearer {KEY}"}).status_code == 200


def test_a_key_opens_a_session_that_can_be_ended(closed_monitor: Pretended) -> None:
    with httpx.Client(base_url=closed_monitor.url) as browser:
        assert browser.post("/api/session", content=b"wrong").status_code == 401
        opened = browser.post("/api/session", content=KEY.encode())
        cookie = opened.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        assert KEY not in cookie
        assert browser.get("/api/server").status_code == 200
        browser.request("DELETE", "/api/session")
        assert browser.get("/api/server").status_code == 401


def test_a_body_that_is_too_long_is_not_read(open_monitor: Pretended) -> None:
    answer = HTTP.post(f"{open_monitor.url}/api/chat", content=b"x" * (3 * 2**20))
    assert answer.status_code == 413
