from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from paced import paced_server, recording_server

from trident.bench import preflight
from trident.bench.plan import Api, Workload
from trident.errors import NotRunning, RequestFailed


def look(api: Api, url: str, model: str | None = None) -> preflight.Found:
    return asyncio.run(preflight.look(api, url, model, Workload()))


@contextmanager
def telling(content: Any, status: int = 200) -> Iterator[str]:
    """A server that says one thing to everything."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join(10)


def test_model_tensors_and_words_are_found_out() -> None:
    with paced_server(ttft_ms=1, period_ms=1) as url:
        found = look("triton-generate-stream", url)
        chat = look("openai-chat", f"{url}/v1/")
    assert found.target.url == f"{url}/v2/models/paced/generate_stream"
    assert (found.target.contract, found.target.asks_token_counts, found.target.server) == ("vllm", True, "paced 1")
    assert (found.text.source, round(found.text.tokens_per_word, 2)) == ("server", 1.5)
    assert found.notes == []
    assert (chat.target.url, chat.target.model) == (f"{url}/v1/chat/completions", "paced")


def test_server_that_does_not_count_is_told() -> None:
    with recording_server() as (url, _):
        found = look("openai-completions", url)
    assert found.text.source == "guess"
    assert "estimates" in found.notes[0]


def test_decoupled_model_is_not_asked_by_infer() -> None:
    with (
        paced_server() as url,
        pytest.raises(RequestFailed, match="No model of this server can be asked by kserve-http"),
    ):
        look("kserve-http", url)


@pytest.mark.parametrize("content", [{}, [], "x", {"data": [{}]}, {"data": []}])
@pytest.mark.parametrize("api", ["openai-chat", "triton-generate"])
def test_other_protocols_are_refused(api: Api, content: Any) -> None:
    with telling(content) as url, pytest.raises(RequestFailed):
        look(api, url)


def test_refusal_has_the_servers_words() -> None:
    with telling({"error": "no key"}, 401) as url, pytest.raises(RequestFailed) as refused:
        look("openai-chat", url)
    assert "HTTP 401" in refused.value.what
    assert "no key" in refused.value.why


@pytest.mark.parametrize("api", ["openai-chat", "triton-generate", "kserve-grpc"])
def test_nobody_there(api: Api) -> None:
    with pytest.raises(NotRunning):
        look(api, "127.0.0.1:1" if "grpc" in api else "http://127.0.0.1:1")
