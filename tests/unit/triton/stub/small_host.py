"""A small engine host that speaks the real protocol over real sockets."""

from __future__ import annotations

import queue
import threading
from pathlib import Path
from typing import Any

import zmq
from triton_fakes import Heard

from trident.protocol import sockets
from trident.protocol.messages import VERSION, Accepted, EngineReady, FromStub, Hello, Submit
from trident.triton.stub.engine import Engine

DEADLINE_S = 5


class Host:
    """Answers ``Hello`` and keeps everything else for the test to look at."""

    def __init__(
        self, folder: Path, tokenizer_path: Path, *, epoch: int = 1, fingerprint: str = "demo", name: str = "relay"
    ) -> None:
        self._epoch = epoch
        self._fingerprint = fingerprint
        self.address = sockets.address(folder, f"{name}.sock")
        self.heard: queue.Queue[FromStub] = queue.Queue()
        self._tokenizer_path = tokenizer_path
        self._context: zmq.Context[Any] = zmq.Context()
        self._codec: sockets.Codec[FromStub] = sockets.Codec(FromStub)
        self._inbound = sockets.pull(self._context, self.address)
        self._outbound: zmq.Socket[Any] | None = None
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._closing.is_set():
            if not self._inbound.poll(20):
                continue
            _, frame = self._inbound.recv_multipart()
            message = self._codec.decode(frame)
            if isinstance(message, Hello):
                self._outbound = sockets.push(self._context, queue_unconnected=True)
                self._outbound.connect(message.address)
                self.greet()
            else:
                self.heard.put(message)

    def greet(self) -> None:
        path = str(self._tokenizer_path)
        self.send(EngineReady(VERSION, self._epoch, self.address, "m", 99, 1, path, self._fingerprint))

    def send(self, message: Any) -> None:
        assert self._outbound is not None
        sockets.send(self._outbound, self._codec.encode(message))

    def next(self, kind: type[Any]) -> Any:
        message = self.heard.get(timeout=DEADLINE_S)
        assert isinstance(message, kind), message
        return message

    def close(self) -> None:
        if self._closing.is_set():
            return
        self._closing.set()
        self._thread.join()
        self._inbound.close()
        if self._outbound is not None:
            self._outbound.close(linger=0)
        self._context.destroy(linger=0)


def submit(engine: Engine, host: Host, heard: Heard, **accepted: Any) -> int:
    id = engine.submit(heard, request_id="r", prompt="p", prompt_token_ids=None, sampling={}).id
    assert host.next(Submit).id == id
    fields = {"n": 1, "stop": [], "include_stop_str_in_output": False, "min_tokens": 0, "detokenize": True}
    host.send(Accepted(id, [], **{**fields, **accepted}, skip_special_tokens=True, spaces_between_special_tokens=True))
    return id
