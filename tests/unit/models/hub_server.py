"""A small server that speaks enough of Hugging Face's and ModelScope's protocols, with faults to order."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

COMMIT = "c" * 40


class HubServer(ThreadingHTTPServer):
    """``repositories`` maps an id to its files; ``gated`` ids want a token; ``cuts`` counts replies still to cut."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repositories: dict[str, dict[str, bytes]] = {}
        self.gated: set[str] = set()
        self.cuts: Counter[str] = Counter()
        self.status: int | None = None
        self.requests: list[str] = []
        self.ranges: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def fetched(self) -> set[str]:
        """Names of the files whose content was asked for."""
        found = (re.search(r"GET .*(?:/resolve/\w+/|FilePath=)([^&]+)", line) for line in self.requests)
        return {unquote(match[1]) for match in found if match}

    @classmethod
    @contextmanager
    def running(cls) -> Iterator[HubServer]:
        server = cls()
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join(5)
            server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: HubServer

    def log_message(self, *_: object) -> None:
        """Silence."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        self.server.requests.append(f"{self.command} {self.path}")
        url = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        path = unquote(url.path)
        if self.server.status is not None:
            return self._json({"error": "as ordered"}, self.server.status)
        if match := re.fullmatch(r"/api/v1/models/([^/]+/[^/]+)(/.*)?", path):
            return self._modelscope(match[1], match[2] or "", query)
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)(/.*)?", path):
            return self._huggingface(match[1], match[2] or "")
        if match := re.fullmatch(r"/([^/]+/[^/]+)/resolve/\w+/(.+)", path):
            if match[1] in self.server.gated and "authorization" not in self.headers:
                return self._json({"error": "gated"}, 401, {"X-Error-Code": "GatedRepo"})
            return self._file(match[2], self.server.repositories[match[1]][match[2]])
        return self._json({"error": "nothing here"}, 404)

    def _huggingface(self, model_id: str, rest: str) -> None:
        files = self.server.repositories.get(model_id)
        if files is None:
            return self._json({"error": "Repository not found"}, 401, {"X-Error-Code": "RepoNotFound"})
        if rest.startswith("/tree/"):
            return self._json([{"type": "file", "path": n, "size": len(b), "oid": _oid(b)} for n, b in files.items()])
        siblings = [{"rfilename": name, "size": len(body), "blobId": _oid(body)} for name, body in files.items()]
        return self._json({"id": model_id, "sha": COMMIT, "siblings": siblings})

    def _modelscope(self, model_id: str, rest: str, query: dict[str, str]) -> None:
        files = self.server.repositories.get(model_id)
        if files is None:
            return self._json({"Code": 10010205001, "Message": "not found", "Success": False}, 404)
        if rest == "/repo":
            if model_id in self.server.gated and "authorization" not in self.headers:
                return self._json({"Code": 403, "Message": "no access", "Success": False}, 403)
            return self._file(query["FilePath"], files[query["FilePath"]])
        listed = [
            {"Path": name, "Name": name, "Type": "blob", "Size": len(body), "Sha256": hashlib.sha256(body).hexdigest()}
            for name, body in files.items()
        ]
        return self._json({"Code": 200, "Success": True, "Data": {"Files": listed}})

    def _file(self, name: str, body: bytes) -> None:
        start, status = 0, 200
        headers = {"ETag": f'"{_oid(body)}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
        if asked := re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", "")):
            self.server.ranges.append(f"{name} {asked[1]}")
            start, status = int(asked[1]), 206
            headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
        part = body[start:]
        self.send_response(status)
        for header, value in headers.items():
            self.send_header(header, value)
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if self.server.cuts[name] > 0:
            self.server.cuts[name] -= 1
            self.wfile.write(part[: len(part) // 2])
            self.wfile.flush()
            self.close_connection = True
            self.connection.shutdown(2)
            return
        self.wfile.write(part)

    def _json(self, content: object, status: int = 200, headers: dict[str, str] | None = None) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        for header, value in (headers or {}).items():
            self.send_header(header, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _oid(body: bytes) -> str:
    return hashlib.sha1(body).hexdigest()
