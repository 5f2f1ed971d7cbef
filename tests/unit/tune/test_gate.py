"""The quality gate: its prompts, its answers over a real socket, and what the search makes of them."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from trident.errors import ConfigurationError, RequestFailed
from trident.tune import gate
from trident.tune.gate import Gate


class Echo(BaseHTTPRequestHandler):
    """Answers a prompt with itself and what was asked for; refuses ``bad``."""

    def do_GET(self) -> None:
        self._say({"data": [{"id": "demo", "object": "model"}]})

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if asked["prompt"] == "bad":
            self.send_error(400)
            return
        text = f"{asked['prompt']} {asked['max_tokens']} {asked['temperature']} {asked['model']}"
        self._say({"choices": [{"text": text, "index": 0}]})

    def _say(self, answer: dict[str, Any]) -> None:
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    thread.join()
    server.server_close()


def test_prompts_are_asked_greedily_in_their_order(url: str) -> None:
    assert gate.ask(url, Gate(prompts=["one", "two"], tokens=5)) == ["one 5 0.0 demo", "two 5 0.0 demo"]


def test_refused_prompt_is_an_error(url: str) -> None:
    with pytest.raises(RequestFailed, match="not answered"):
        gate.ask(url, Gate(prompts=["one", "bad"]))


def test_agreement_is_the_share_of_equal_answers() -> None:
    assert gate.agreement(["a", "b", "c", "d"], ["a", "b", "x", "d"]) == 0.75


def test_own_prompts_are_read_a_line_each(tmp_path: Path) -> None:
    file = tmp_path / "prompts.txt"
    file.write_text("one\n\ntwo\n", encoding="utf-8")
    assert gate.prompts(file) == ["one", "two"]
    assert len(gate.prompts()) >= 30 and len(set(gate.prompts())) == len(gate.prompts())


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe"])
def test_file_without_prompts_is_refused(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "prompts.txt"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigurationError):
        gate.prompts(file)
