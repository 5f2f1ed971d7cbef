"""A small server that speaks enough of Hugging Face's and ModelScope's protocols, with faults to order."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

COMMIT = "c" * 40
HOLD_S = 30
MAIN = ("main", "master", COMMIT)


def commit(revision: str) -> str:
    """The commit that a revision stands for."""
    if re.fullmatch("[0-9a-f]{40}", revision):
        return revision
    return COMMIT if revision in MAIN else hashlib.sha1(revision.encode()).hexdigest()


def safetensors(payload_bytes: int = 400_000) -> bytes:
    """A weights file of zeros."""
    header = json.dumps({"w": {"dtype": "U8", "shape": [payload_bytes], "data_offsets": [0, payload_bytes]}}).encode()
    return len(header).to_bytes(8, "little") + header + bytes(payload_bytes)


class HubServer(ThreadingHTTPServer):
    """``repositories`` maps an id to its files, ``revisions`` an id and a revision other than the main one; ``gated``
    ids want a token; ``cuts`` counts replies still to cut, ``spoilt`` those still to come with wrong content."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repositories: dict[str, dict[str, bytes]] = {}
        self.revisions: dict[tuple[str, str], dict[str, bytes]] = {}
        self.gated: set[str] = set()
        self.spoilt: Counter[str] = Counter()
        self.cuts: Counter[str] = Counter()
        self.status: int | None = None
        self.hold_after_bytes: int | None = None
        self.let_go = threading.Event()
        self.requests: list[str] = []
        self.ranges: list[str] = []

    def content(self, model_id: str, revision: str) -> dict[str, bytes] | None:
        """The files of a revision, named as a branch or by its commit."""
        for (known, name), files in self.revisions.items():
            if known == model_id and revision in (name, commit(name)):
                return files
        return self.repositories.get(model_id) if revision in MAIN else None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def fetched(self) -> set[str]:
        """Names of the files whose content was asked for."""
        found = (re.search(r"GET .*(?:/resolve/[^/]+/|FilePath=)([^&]+)", line) for line in self.requests)
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
        if match := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            if match[1] in self.server.gated and "authorization" not in self.headers:
                return self._json({"error": "gated"}, 401, {"X-Error-Code": "GatedRepo"})
            files = self.server.content(match[1], match[2]) or {}
            return self._file(match[3], files[match[3]], commit(match[2]))
        return self._json({"error": "nothing here"}, 404)

    def _huggingface(self, model_id: str, rest: str) -> None:
        match = re.fullmatch(r"/(?:tree|revision)/([^/]+)", rest)
        revision = match[1] if match else "main"
        files = self.server.content(model_id, revision)
        if files is None:
            code = "RevisionNotFound" if model_id in self.server.repositories else "RepoNotFound"
            return self._json({"error": "not found"}, 404 if code[2] == "v" else 401, {"X-Error-Code": code})
        if rest.startswith("/tree/"):
            return self._json([{"type": "file", "path": n, "size": len(b), "oid": _oid(b)} for n, b in files.items()])
        siblings = [
            {"rfilename": name, "size": len(body), "blobId": _oid(body), **_large(name, body)}
            for name, body in files.items()
        ]
        return self._json({"id": model_id, "sha": commit(revision), "siblings": siblings})

    def _modelscope(self, model_id: str, rest: str, query: dict[str, str]) -> None:
        files = self.server.content(model_id, query.get("Revision", "master"))
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

    def _file(self, name: str, body: bytes, of_commit: str = COMMIT) -> None:
        start, status = 0, 200
        tag = _large(name, body).get("lfs", {}).get("sha256") or _oid(body)
        headers = {"ETag": f'"{tag}"', "X-Repo-Commit": of_commit, "Accept-Ranges": "bytes"}
        if self.command != "HEAD" and self.server.spoilt[name] > 0:
            self.server.spoilt[name] -= 1
            body = body[:-1] + bytes([body[-1] ^ 1])
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
        self._send(part)

    def _send(self, part: bytes) -> None:
        hold = self.server.hold_after_bytes
        with contextlib.suppress(OSError):  # a client that was killed
            if hold is not None and len(part) > hold:
                self.wfile.write(part[:hold])
                self.wfile.flush()
                self.server.let_go.wait(HOLD_S)
                part = part[hold:]
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
    """Git's id of a file's content."""
    return hashlib.sha1(b"blob %d\0" % len(body) + body).hexdigest()


def _large(name: str, body: bytes) -> dict[str, Any]:
    """What Hugging Face says of a file that git has only a pointer of."""
    if not name.endswith(".safetensors"):
        return {}
    return {"lfs": {"sha256": hashlib.sha256(body).hexdigest(), "size": len(body), "pointerSize": 134}}
