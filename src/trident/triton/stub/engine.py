"""The engine as a stub sees it: submit a request, get its answer called back.

One thread receives from all hosts, turns tokens into text and sends the responses. It takes every message that waits
before it sends, so that a stub that has fallen behind sends longer texts instead of falling further behind.
"""

from __future__ import annotations

import itertools
import logging
import math
import os
import threading
import time
from pathlib import Path
from typing import Any

import msgspec
import zmq
from tokenizers import Tokenizer

from trident.protocol import sockets
from trident.protocol.messages import (
    VERSION,
    Abort,
    Accepted,
    Embedded,
    EngineLost,
    EngineReady,
    FromHost,
    Rejected,
    Stopped,
    Submit,
    Tokens,
)
from trident.protocol.spec import StubSpec
from trident.triton.stub import parent_process
from trident.triton.stub.cancellation import Cancellations
from trident.triton.stub.detokenizer import added_tokens
from trident.triton.stub.link import Link, hello
from trident.triton.stub.pacing import Pacer
from trident.triton.stub.stream import Answer, Stream

log = logging.getLogger("trident.stub")


LOOK_EVERY_S = 0.5
"""How often a stub with nothing to do looks whether its Triton is still there."""


class EngineUnavailable(Exception):
    """No engine host can take a request now."""


class Engine:
    """All hosts of the model. ``submit`` may be called from any thread; answers are called on the engine's own."""

    def __init__(self, spec: StubSpec, name: str) -> None:
        self._context: zmq.Context[Any] = zmq.Context()
        self._codec: sockets.Codec[FromHost] = sockets.Codec(FromHost)
        self._address = sockets.address(Path(spec.sockets_dir), f"stub-{os.getpid()}.sock")
        self._inbound = sockets.pull(self._context, self._address)
        greeting = hello(name, self._address)
        self._links = [Link(self._context, relay, greeting, self._codec) for relay in spec.relays]
        self._pacer = Pacer(spec.response_share)
        self._ids = itertools.count(1)
        self._streams: dict[int, Stream] = {}
        self._dirty: dict[int, Stream] = {}
        self._cancellations = Cancellations(self._streams.__contains__)
        self._tokenizer: Tokenizer | None = None
        self._added: dict[int, str] = {}
        self._served = threading.Event()
        self._closing = False
        self._wake = os.eventfd(0)
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    def wait_until_ready(self, timeout_s: float) -> bool:
        """Blocks until a host serves; False when none does in time."""
        return self._served.wait(timeout_s)

    def submit(self, answer: Answer, **request: Any) -> int:
        """Sends a request (the fields of ``Submit`` but ``id``) to the least loaded host.

        Its outcome is called back on ``answer``. Raises EngineUnavailable when no host can take it and OverflowError
        for an integer that does not fit 64 bits.
        """
        link = self._least_loaded()
        id = next(self._ids)
        self._streams[id] = Stream(id, self._links.index(link), answer)
        try:
            link.send(Submit(id=id, **request))
        except Exception as error:
            if self._streams.pop(id, None) is None:
                return id  # the host was lost meanwhile, and that has been answered
            if isinstance(error, sockets.PeerNotReading):
                raise EngineUnavailable("the engine is not there; it may be restarting, try again soon") from error
            raise
        return id

    def abort(self, ids: list[int]) -> None:
        """The clients of these requests want no more; nothing is called back."""
        for id in ids:
            stream = self._streams.pop(id, None)
            self._dirty.pop(id, None)
            if stream is not None:
                self._tell_host(stream, Abort([id]))

    def close(self) -> None:
        """Ends the thread and the connections; requests in flight are aborted by the hosts."""
        self._closing = True
        os.eventfd_write(self._wake, 1)  # Triton ends its stubs one after the other: half a second each adds up
        self._thread.join(timeout=2)
        for link in self._links:
            link.close()
        self._inbound.close()
        sockets.remove(self._address)
        self._context.destroy(linger=0)
        os.close(self._wake)

    def _least_loaded(self) -> Link:
        load = [0] * len(self._links)
        for stream in list(self._streams.values()) if len(load) > 1 else ():
            load[stream.host] += 1
        ready = [(load[index], index) for index, link in enumerate(self._links) if link.ready is not None]
        if not ready:
            raise EngineUnavailable("no engine is ready; it may be restarting, try again soon")
        return self._links[min(ready)[1]]

    def _run(self) -> None:
        poller = zmq.Poller()
        poller.register(self._inbound, zmq.POLLIN)
        poller.register(self._wake, zmq.POLLIN)
        for link in self._links:
            poller.register(link.monitor, zmq.POLLIN)
        parent = parent_process.triton_pid()
        while not self._closing:
            if os.getppid() != parent:
                # Triton was killed; its stubs would live on for half a minute and keep their shared memory.
                os._exit(1)
            events = dict(poller.poll(math.ceil(self._wait_s() * 1000)))
            for link in self._links:
                if link.monitor in events:
                    link.heed(self._lost)
            if self._inbound in events:
                self._drain()
            now_s = time.monotonic()
            if self._dirty and self._pacer.due_in_s(now_s) == 0:
                self._answer_all()
            if self._cancellations.due_in_s(now_s) == 0:
                self._ask_clients()

    def _wait_s(self) -> float:
        """How long nothing has to be done unless a message comes."""
        now_s = time.monotonic()
        answers_s = self._pacer.due_in_s(now_s) if self._dirty else math.inf
        return min(LOOK_EVERY_S, answers_s, self._cancellations.due_in_s(now_s))

    def _ask_clients(self) -> None:
        for stream in self._cancellations.cancelled():
            # Tests of Triton's vLLM backend look for these two in the server's log.
            log.info("[vllm] Cancelling the request")
            self._tell_host(stream, Abort([stream.id]))
            self._fail(stream.id, "cancelled", "the client has cancelled the request")
            log.info("[vllm] Successfully cancelled the request")

    def _drain(self) -> None:
        urgent: dict[int, Stream] = {}
        while True:
            try:
                frame = self._inbound.recv(zmq.NOBLOCK)
            except zmq.Again:
                break
            try:
                self._take(self._codec.decode(frame), urgent)
            except msgspec.DecodeError:
                log.exception("a message of the engine host is not of the protocol")
        for stream in urgent.values():
            self._answer(stream)

    def _take(self, message: FromHost, urgent: dict[int, Stream]) -> None:
        if isinstance(message, Tokens):
            self._take_tokens(message, urgent)
        elif isinstance(message, Accepted):
            self._accepted(message)
        elif isinstance(message, Rejected):
            self._fail(message.id, message.code, message.message)
        elif isinstance(message, Embedded):
            self._embedded(message)
        elif isinstance(message, EngineReady):
            self._welcome(message)
        elif isinstance(message, EngineLost):
            for link in self._links:
                if link.ready is not None and link.ready.epoch == message.epoch:
                    link.ready = None
                    self._lost(link)

    def _accepted(self, message: Accepted) -> None:
        stream = self._streams.get(message.id)
        if stream is not None and self._tokenizer is not None:
            try:
                stream.accept(message, self._tokenizer, self._added)
                self._cancellations.add(stream, time.monotonic())
            except Exception as error:
                log.exception("request %d cannot be begun", stream.id)
                self._give_up(stream, error)

    def _take_tokens(self, tokens: Tokens, urgent: dict[int, Stream]) -> None:
        streams = self._streams
        for delta in tokens.deltas:
            stream = streams.get(delta.id)
            if stream is None:
                continue  # aborted; its last tokens were on their way
            try:
                stopped = stream.take(delta)
            except Exception as error:
                log.exception("the tokens of request %d cannot be read", stream.id)
                self._give_up(stream, error)
                continue
            if stopped:
                self._tell_host(stream, Stopped(delta.id, delta.index))
            if stream.finished or (not stream.started and stream.answer.wants_progress):
                urgent[delta.id] = stream
            elif stream.answer.wants_progress:
                self._dirty[delta.id] = stream

    def _welcome(self, ready: EngineReady) -> None:
        if ready.version != VERSION:
            log.error("the engine host speaks protocol %d, this stub %d", ready.version, VERSION)
            return
        self._tokenizer = Tokenizer.from_file(ready.tokenizer_path)
        self._added = added_tokens(self._tokenizer)
        for link in self._links:
            if link.relay == ready.relay_address:
                link.ready = ready
        self._served.set()

    def _answer_all(self) -> None:
        begun_s = time.monotonic()
        dirty, self._dirty = self._dirty, {}
        for stream in dirty.values():
            self._answer(stream)
        self._pacer.sent(begun_s, time.monotonic())

    def _answer(self, stream: Stream) -> None:
        self._dirty.pop(stream.id, None)
        if stream.id not in self._streams:
            return  # failed or aborted by a message that came together with its tokens
        try:
            stream.answer_now()
        except Exception as error:
            log.exception("answering request %d failed", stream.id)
            self._give_up(stream, error)
        else:
            if stream.finished:
                self._streams.pop(stream.id, None)

    def _embedded(self, message: Embedded) -> None:
        stream = self._streams.pop(message.id, None)
        if stream is not None:
            try:
                stream.answer.accepted(message.num_prompt_tokens)
                stream.answer.embedded(message.embedding)
            except Exception:
                log.exception("the embedding of request %d cannot be sent", message.id)

    def _fail(self, id: int, code: str, message: str) -> None:
        stream = self._streams.pop(id, None)
        self._dirty.pop(id, None)
        if stream is not None:
            try:
                stream.answer.fail(code, message)
            except Exception:
                log.exception("request %d cannot be told that it has failed", id)

    def _give_up(self, stream: Stream, error: Exception) -> None:
        """A defect that one request brings to light must not end the thread that answers all."""
        self._fail(stream.id, "internal", f"the answer could not be sent: {error}")
        self._tell_host(stream, Abort([stream.id]))

    def _lost(self, link: Link) -> None:
        host = self._links.index(link)
        for stream in [stream for stream in list(self._streams.values()) if stream.host == host]:
            self._fail(stream.id, "unavailable", "the engine was lost while it worked on this request; send it again")

    def _tell_host(self, stream: Stream, message: Abort | Stopped) -> None:
        try:
            self._links[stream.host].send(message)
        except sockets.PeerNotReading:
            log.info("request %d ends with its host", stream.id)
