"""A small server with an OpenAI door and a KServe door, which says what the test wants and remembers what came."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from trident.config import Config
from trident.supervisor.processes import Process, identify
from trident.supervisor.state import ServerState


class ChatServer(ThreadingHTTPServer):
    """``pieces`` are streamed; ``endless`` goes on until the client leaves, which sets ``client_left``."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.pieces = ["The capital ", "is Paris.\u2028你好🔱"]
        self.endless = False
        self.refusal: tuple[int, object] | None = None
        self.mid_error: object = None
        self.bodies: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.keys: list[str | None] = []
        self.client_left = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @classmethod
    @contextmanager
    def running(cls) -> Iterator[ChatServer]:
        server = cls()
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join(5)
            server.server_close()

    def write_state(self, run_dir: Path, process: Process | None, phase: str = "ready") -> None:
        """The state of a running Trident server whose doors are this server."""
        run_dir.mkdir(parents=True, exist_ok=True)
        ServerState(
            name=run_dir.name,
            run_dir=str(run_dir),
            process=process or Process(pid=2**22, started_ticks=1),
            started=0.0,
            phase=phase,  # type: ignore[arg-type]
            since=0.0,
            urls={"KServe HTTP": self.url, "OpenAI": f"{self.url}/v1"},
            model={"name": "tiny"},
        ).save(run_dir)
        config = Config.model_validate({"name": run_dir.name})
        (run_dir / "config.json").write_text(config.model_dump_json())


def this_process() -> Process | None:
    return identify(os.getpid())


class _Handler(BaseHTTPRequestHandler):
    server: ChatServer

    def log_message(self, *_: object) -> None:
        """Silence."""

    def do_GET(self) -> None:
        self._json(200, {"data": [{"id": "the-first"}, {"id": "another"}]})

    def do_POST(self) -> None:
        server = self.server
        server.paths.append(self.path)
        server.keys.append(self.headers.get("Authorization"))
        server.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        if server.refusal:
            return self._json(*server.refusal)
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        try:
            for piece in server.pieces:
                self._event(piece)
            while server.endless and not server.client_left.wait(0.01):
                self._event("and on ")
            if server.mid_error:
                self.wfile.write(f"data: {json.dumps(server.mid_error)}\n\n".encode())
            elif "completions" in self.path:
                self.wfile.write(b"data: [DONE]\n\n")
        except OSError:
            server.client_left.set()

    def _event(self, piece: str) -> None:
        if "completions" in self.path:
            content: dict[str, Any] = {"choices": [{"index": 0, "delta": {"content": piece}}]}
        else:
            content = {"model_name": "generate", "text_output": piece}
        self.wfile.write(f"data: {json.dumps(content, ensure_ascii=False)}\n\n".encode())
        self.wfile.flush()

    def _json(self, status: int, content: object) -> None:
        body = (content if isinstance(content, str) else json.dumps(content)).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
