"""A server of known truth: each stream gets its first token ``ttft_ms`` after its request and one more each
``period_ms``.

    python tests/unit/bench/paced_server.py [--port N] [--ttft-ms 50] [--period-ms 10] …

Speaks the OpenAI streams, Triton's generate and generate_stream, and what a client asks before a run. Prints its port
as its first line. ``GET /truth`` gives what it really did: TTFT and TPOT by the clock just before each send, and how
late it was against its own plan. Plain sockets and epoll: a send is a system call at once, so the stamp is the
sending.
"""

from __future__ import annotations

import argparse
import functools
import gc
import heapq
import json
import os
import select
import socket
import struct
import time
from dataclasses import dataclass, field
from typing import Any

MODEL = "paced"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n"
SO_TIMESTAMPNS = 35  # of <asm-generic/socket.h>; Python has no name for it
PADDING = "x" * 60
"""Makes an event about as long as vLLM's."""


@dataclass
class Options:
    """``fail_every``: each n-th request is answered 503. ``cut_every``: each n-th stream is closed after three tokens.
    ``die_after``: the process ends at the n-th request."""

    port: int = 0
    ttft_ms: float = 50.0
    period_ms: float = 10.0
    fail_every: int = 0
    cut_every: int = 0
    die_after: int = 0
    prompt_tokens_per_word: float = 1.5


@dataclass
class Connection:
    """A client, and the stream that it waits for."""

    socket: socket.socket
    received: bytes = b""
    head: bytes = b""
    events: bytes = b""
    last: bytes = b""
    tokens: int = 0
    sent: int = 0
    due_ns: int = 0
    begin_ns: int = 0
    first_ns: int = 0
    cut_at: int = 0
    unsent: bytearray = field(default_factory=bytearray)


class PacedServer:
    """One thread, one epoll."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._listener = socket.create_server(("127.0.0.1", options.port), backlog=4096)
        self._listener.setblocking(False)
        self._listener.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)  # accepted sockets inherit it
        self.port: int = self._listener.getsockname()[1]
        self._epoll = select.epoll()
        self._epoll.register(self._listener.fileno(), select.EPOLLIN)
        self._connections: dict[int, Connection] = {}
        self._due: list[tuple[int, int]] = []
        self._requests = 0
        self._truth = Truth()

    def run(self) -> None:
        """Until the process is ended."""
        while True:
            wait_s = (self._due[0][0] - time.perf_counter_ns()) / 1e9 if self._due else 1.0
            for fd, _ in self._epoll.poll(max(0.0, wait_s), maxevents=512):
                if fd == self._listener.fileno():
                    self._accept()
                else:
                    self._receive(self._connections[fd])
            self._send_due()

    def _send_due(self) -> None:
        due = self._due
        while due:
            now_ns = time.perf_counter_ns()
            if due[0][0] > now_ns:
                return
            due_ns, fd = heapq.heappop(due)
            connection = self._connections.get(fd)
            if connection is None or connection.due_ns != due_ns:
                continue
            self._send_token(connection, now_ns)

    def _send_token(self, connection: Connection, now_ns: int) -> None:
        connection.sent += 1
        self._truth.late_ns.append(now_ns - connection.due_ns)
        if connection.sent == 1:
            connection.first_ns = now_ns
        if connection.sent == connection.tokens:
            self._send(connection, connection.last)
            self._truth.ended(connection, now_ns)
            connection.due_ns = 0
            return
        self._send(connection, connection.head + connection.events if connection.sent == 1 else connection.events)
        if connection.sent == connection.cut_at:
            self._close(connection)
            return
        connection.due_ns += int(self._options.period_ms * 1e6)
        heapq.heappush(self._due, (connection.due_ns, connection.socket.fileno()))

    def _send(self, connection: Connection, data: bytes) -> None:
        if connection.unsent:
            connection.unsent += data
            data = bytes(connection.unsent)
            connection.unsent.clear()
        try:
            sent = connection.socket.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._close(connection)
            return
        if sent < len(data):
            connection.unsent += data[sent:]
            self._truth.stalled += 1

    def _accept(self) -> None:
        while True:
            try:
                accepted, _ = self._listener.accept()
            except BlockingIOError:
                return
            accepted.setblocking(False)
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._connections[accepted.fileno()] = Connection(accepted)
            self._epoll.register(accepted.fileno(), select.EPOLLIN)

    def _receive(self, connection: Connection) -> None:
        try:
            data, ancillary, _, _ = connection.socket.recvmsg(1 << 18, 64)
        except OSError:
            data, ancillary = b"", []
        if not data:
            self._close(connection)
            return
        connection.received += data
        head, found, rest = connection.received.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
        if found and len(rest) >= length:
            connection.received = rest[length:]
            self._answer(connection, head.split(b" ")[1].decode(), rest[:length], _arrival_ns(ancillary))

    def _answer(self, connection: Connection, path: str, body: bytes, begin_ns: int) -> None:
        told = self._told(path)
        if told is not None:
            self._whole(connection, told)
            return
        self._requests += 1
        if self._options.die_after and self._requests >= self._options.die_after:
            os._exit(9)
        if self._options.fail_every and self._requests % self._options.fail_every == 0:
            self._whole(connection, {"error": {"message": "overloaded, as asked"}}, "503 Service Unavailable")
            return
        asked = json.loads(body)
        self._begin(connection, path, asked, begin_ns)

    def _begin(self, connection: Connection, path: str, asked: dict[str, Any], begin_ns: int) -> None:
        tokens = _tokens(asked)
        prompt = asked.get("prompt") or asked.get("text_input") or _said(asked["messages"])
        prompt_tokens = round(len(prompt.split()) * self._options.prompt_tokens_per_word)
        connection.tokens, connection.sent = tokens, 0
        connection.begin_ns = begin_ns
        connection.due_ns = begin_ns + int(self._options.ttft_ms * 1e6)
        cut = self._options.cut_every and self._requests % self._options.cut_every == 0
        connection.cut_at = min(3, tokens - 1) if cut else 0
        connection.head = HEAD
        if path.startswith("/v1/"):
            connection.head, connection.events, connection.last = _openai(path, prompt_tokens, tokens)
        elif path.endswith("/generate_stream"):
            connection.events = _chunk(_event(_triton(prompt_tokens, 1)))
            connection.last = connection.events + b"0\r\n\r\n"
        else:
            answer = {**_triton(prompt_tokens, tokens), "text_output": "word " * tokens}
            connection.last, connection.tokens = _response(answer, "200 OK"), 1
            connection.due_ns += int((tokens - 1) * self._options.period_ms * 1e6)
        if connection.tokens == 1 and not connection.last.startswith(b"HTTP"):
            connection.last = connection.head + connection.last
        heapq.heappush(self._due, (connection.due_ns, connection.socket.fileno()))

    def _told(self, path: str) -> Any:
        path, _, query = path.partition("?")
        if path == "/truth":
            return self._truth.told(int(query.partition("last=")[2] or 0))
        if path == "/reset":
            self._truth = Truth()
            return {}
        if path == "/v1/models":
            return {"data": [{"id": MODEL}]}
        if path == "/metrics":
            return "# TYPE paced_requests counter\n" + f"paced_requests_total {self._requests}\n"
        if path == "/v2":
            return {"name": "paced", "version": "1"}
        if path == "/v2/repository/index":
            return [{"name": MODEL, "state": "READY"}]
        if path == f"/v2/models/{MODEL}":
            names = ("text_input", "return_num_input_tokens", "return_num_output_tokens")
            return {"name": MODEL, "inputs": [{"name": name} for name in names]}
        if path == f"/v2/models/{MODEL}/config":
            return {"name": MODEL, "model_transaction_policy": {"decoupled": True}}
        return None

    def _whole(self, connection: Connection, content: Any, status: str = "200 OK") -> None:
        self._send(connection, _response(content, status))

    def _close(self, connection: Connection) -> None:
        fd = connection.socket.fileno()
        if self._connections.pop(fd, None) is not None:
            self._epoll.unregister(fd)
            connection.socket.close()


@dataclass
class Truth:
    """What was really sent."""

    ttft_ns: list[int] = field(default_factory=list)
    tpot_ns: list[float] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    late_ns: list[int] = field(default_factory=list)
    stalled: int = 0

    def ended(self, connection: Connection, now_ns: int) -> None:
        self.tokens.append(connection.tokens)
        self.ttft_ns.append(connection.first_ns - connection.begin_ns)
        self.tpot_ns.append((now_ns - connection.first_ns) / max(1, connection.tokens - 1))

    def told(self, last: int) -> dict[str, float]:
        """Of the ``last`` requests (0: all), in ms; ``late`` is against the plan, so the mock's own overload shows."""
        ttft_ns, tpot_ns, tokens = self.ttft_ns[-last:], self.tpot_ns[-last:], self.tokens[-last:]
        return {
            "requests": len(ttft_ns),
            "tokens": sum(tokens),
            "stalled": self.stalled,
            "ttft_p50_ms": _percentile(ttft_ns, 50),
            "ttft_p99_ms": _percentile(ttft_ns, 99),
            "tpot_p50_ms": _percentile(tpot_ns, 50),
            "tpot_p99_ms": _percentile(tpot_ns, 99),
            "late_p50_ms": _percentile(self.late_ns, 50),
            "late_p99_ms": _percentile(self.late_ns, 99),
        }


def _arrival_ns(ancillary: list[tuple[int, int, bytes]]) -> int:
    """When the kernel had the request, on the monotonic clock: in a wave of requests the last waits for the first ones'
    work."""
    if not ancillary:  # came before the kernel began to take times
        return time.perf_counter_ns()
    seconds, nanoseconds = struct.unpack("qq", ancillary[0][2])
    return time.perf_counter_ns() - (time.time_ns() - seconds * 1_000_000_000 - nanoseconds)


def _percentile(values_ns: list[Any], percent: float) -> float:
    values = sorted(values_ns)
    return values[min(len(values) - 1, int(len(values) * percent / 100))] / 1e6 if values else 0.0


def _said(messages: list[dict[str, Any]]) -> str:
    """All texts; vLLM's own benchmark sends content as a list of parts."""
    contents = [message["content"] for message in messages]
    parts = [[{"text": content}] if isinstance(content, str) else content for content in contents]
    return " ".join(part["text"] for each in parts for part in each)


def _tokens(asked: dict[str, Any]) -> int:
    sampling = asked.get("sampling_parameters")
    asked = json.loads(sampling) if sampling else asked
    return int(asked.get("max_completion_tokens") or asked.get("max_tokens") or 16)


@functools.lru_cache(4096)
def _openai(path: str, prompt_tokens: int, tokens: int) -> tuple[bytes, bytes, bytes]:
    """The head with what precedes the first token, one token, and the last token with all that follows it."""
    is_chat = "chat" in path
    kind = "chat.completion.chunk" if is_chat else "text_completion"  # AIPerf reads an event by this
    common = {"id": f"cmpl-{PADDING}", "object": kind, "created": 1, "model": MODEL}
    text: dict[str, Any] = {"delta": {"content": " word"}} if is_chat else {"text": " word"}
    token = _event({**common, "choices": [{"index": 0, **text, "logprobs": None, "finish_reason": None}]})
    role = _event({**common, "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]})
    usage = _event({**common, "choices": [], "usage": {"prompt_tokens": prompt_tokens, "completion_tokens": tokens}})
    head = HEAD + _chunk(role) if is_chat else HEAD
    return head, _chunk(token), _chunk(token) + _chunk(usage) + _chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n"


def _triton(prompt_tokens: int, tokens: int) -> dict[str, Any]:
    counts = {"num_input_tokens": prompt_tokens, "num_output_tokens": tokens}
    return {"model_name": MODEL, "model_version": "1", **counts, "text_output": " word", "padding": PADDING}


def _event(content: Any) -> bytes:
    return b"data: " + json.dumps(content).encode() + b"\n\n"


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def _response(content: Any, status: str) -> bytes:
    body = content.encode() if isinstance(content, str) else json.dumps(content).encode()
    kind = "text/plain" if isinstance(content, str) else "application/json"
    return f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def main() -> None:
    parser = argparse.ArgumentParser()
    for name, default in vars(Options()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(default), default=default)
    server = PacedServer(Options(**vars(parser.parse_args())))
    gc.disable()
    print(server.port, flush=True)  # noqa: T201
    server.run()


if __name__ == "__main__":
    main()
