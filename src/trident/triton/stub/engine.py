"""The engine as a stub sees it: submit a request, get its answer called back.

One thread receives from all hosts, turns tokens into text and sends the responses. It takes every message that waits
before it sends, so that a stub that has fallen behind sends longer texts instead of falling further behind.
"""

from __future__ import annotations

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
from trident.protocol.ages import Ages
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
    Tokens,
)
from trident.protocol.spec import StubSpec
from trident.triton.stub import parent_process
from trident.triton.stub.cancellation import Cancellations
from trident.triton.stub.detokenizer import added_tokens
from trident.triton.stub.hosts import EngineUnavailable, Hosts
from trident.triton.stub.in_flight import InFlight
from trident.triton.stub.link import hello
from trident.triton.stub.pacing import Pacer
from trident.triton.stub.refusals import Overloaded, Refusals
from trident.triton.stub.stranded import Failure, Stranded
from trident.triton.stub.stream import Answer, Stream

log = logging.getLogger("trident.stub")


LOOK_EVERY_S = 0.5
"""How often a stub with nothing to do looks whether its Triton is still there."""

_CHANGED = Failure("unavailable", "the model was changed while the engine worked on this request; send it again")


class Engine:
    """All hosts of the model. ``submit`` may be called from any thread; answers are called on the engine's own.

    A request outlives its engine: when that is lost, the next one goes on from the tokens that were delivered.
    """

    def __init__(self, spec: StubSpec, name: str) -> None:
        self._context: zmq.Context[Any] = zmq.Context()
        self._codec: sockets.Codec[FromHost] = sockets.Codec(FromHost)
        self._address = sockets.address(Path(spec.sockets_dir), f"stub-{os.getpid()}.sock")
        self._inbound = sockets.pull(self._context, self._address)
        self._hosts = Hosts(self._context, spec.relays, hello(name, self._address), self._codec)
        self._pacer = Pacer(spec.response_share)
        self._ages = Ages(Path(spec.sockets_dir), os.getpid())
        self._in_flight = InFlight(self._ages.tell, self._ages.began, self._ages.ended)
        self._dirty: dict[Stream, None] = {}
        self._stranded = Stranded(spec.engine_patience_s, (Path(spec.sockets_dir) / sockets.FAREWELL).exists)
        self._cancellations = Cancellations(self._in_flight.__contains__)
        self._refusals = Refusals()
        self._refused = 0
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

    def check(self, client: str, priority: int) -> None:
        """Call it before anything else is read of a request, from the thread that submits. Raises Overloaded while the
        host has no place for this client, and EngineUnavailable as ``submit`` does."""
        if not self._refusals:
            return  # to know the host takes a walk over all that is in flight
        host = self._hosts.least_loaded(self._in_flight.hosts())
        message = self._refusals.standing(host, client, priority, time.monotonic())
        if message is not None:
            self._refused += 1
            raise Overloaded(message)

    def submit(self, answer: Answer, **request: Any) -> Stream:
        """Sends a request (the fields of ``Submit`` but ``id`` and ``resume_from``) to the least loaded host.

        Its outcome is called back on ``answer``. Raises EngineUnavailable when no host can take it and OverflowError
        for an integer that does not fit 64 bits.
        """
        host = self._hosts.least_loaded(self._in_flight.hosts())
        now_s = time.monotonic()
        stream = Stream(self._in_flight.next_id(), host, answer, request, now_s)
        stream.engine = self._hosts.ready(host)
        submission = stream.submission(now_s)  # before others know of it: it may get another id from then on
        if self._refused:
            submission = msgspec.structs.replace(submission, refused=self._refused)
            self._refused = 0
        self._in_flight.add(stream)
        try:
            self._hosts.send(host, submission)
        except Exception as error:
            if not self._in_flight.end(stream):
                return stream  # it has had its outcome meanwhile
            if isinstance(error, sockets.PeerNotReading):
                raise EngineUnavailable("the engine is not there; it may be restarting, try again soon") from error
            raise
        if stream.engine is None or self._hosts.ready(host) is not stream.engine:
            # The host went while this was sent; nobody may have it, and the list of what was lost may be older.
            self._stranded.add(stream, now_s)
        # From now on, not once it is accepted: it may wait long before. Not earlier: what cannot be sent is answered by
        # the caller, on another thread than the one that asks for clients.
        self._cancellations.add(stream, now_s)
        return stream

    def abort(self, streams: list[Stream]) -> None:
        """The clients of these requests want no more; nothing is called back."""
        for stream in streams:
            if self._in_flight.end(stream):
                self._tell_host(stream, Abort([stream.id]))

    def close(self) -> None:
        """Ends the thread and the connections; requests in flight are aborted by the hosts."""
        self._closing = True
        os.eventfd_write(self._wake, 1)  # Triton ends its stubs one after the other: half a second each adds up
        self._thread.join(timeout=2)
        # What is left of requests holds on to Triton's shared memory: freed after it, it would crash the process.
        self._in_flight.clear()
        self._ages.close()
        self._dirty.clear()
        self._cancellations.clear()
        self._hosts.close()
        self._inbound.close()
        sockets.remove(self._address)
        self._context.destroy(linger=0)
        os.close(self._wake)

    def _run(self) -> None:
        try:
            self._attend()
        except Exception:
            if self._closing:
                return
            # Nobody would be answered any more. The death of a stub is seen, and mended.
            log.exception("the thread that answers has failed; this stub ends")
            os._exit(1)

    def _attend(self) -> None:
        poller = zmq.Poller()
        poller.register(self._inbound, zmq.POLLIN)
        poller.register(self._wake, zmq.POLLIN)
        monitors = self._hosts.monitors
        for monitor in monitors:
            poller.register(monitor, zmq.POLLIN)
        parent = parent_process.triton_pid()
        while not self._closing:
            if os.getppid() != parent:
                # Triton was killed; its stubs would live on for half a minute and keep their shared memory.
                os._exit(1)
            events = dict(poller.poll(math.ceil(self._wait_s() * 1000)))
            for monitor in monitors:
                if monitor in events:
                    self._hosts.heed(monitor, self._lost)
            if self._inbound in events:
                self._drain()
            if self._stranded:
                self._settle_stranded()
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
            self._fail(stream, "cancelled", "the client has cancelled the request")
            log.info("[vllm] Successfully cancelled the request")

    def _drain(self) -> None:
        urgent: dict[Stream, None] = {}
        while True:
            try:
                frame = self._inbound.recv(zmq.NOBLOCK)
            except zmq.Again:
                break
            try:
                self._take(self._codec.decode(frame), urgent)
            except msgspec.DecodeError:
                log.exception("a message of the engine host is not of the protocol")
            except Exception:
                log.exception("a message of the engine host cannot be taken")
        for stream in urgent:
            self._answer(stream)

    def _take(self, message: FromHost, urgent: dict[Stream, None]) -> None:
        if isinstance(message, Tokens):
            self._take_tokens(message, urgent)
        elif isinstance(message, Accepted):
            self._accepted(message)
        elif isinstance(message, Rejected):
            self._rejected(message)
        elif isinstance(message, Embedded):
            self._embedded(message)
        elif isinstance(message, EngineReady):
            self._welcome(message)
        elif isinstance(message, EngineLost):
            for host in self._hosts.lose(message.epoch):
                self._lost(host)

    def _accepted(self, message: Accepted) -> None:
        stream = self._in_flight.get(message.id)
        if stream is not None and self._tokenizer is not None:
            try:
                stream.accept(message, self._tokenizer, self._added)
            except Exception as error:
                log.exception("request %d cannot be begun", stream.id)
                self._give_up(stream, error)

    def _take_tokens(self, tokens: Tokens, urgent: dict[Stream, None]) -> None:
        stream_of = self._in_flight.get
        for delta in tokens.deltas:
            stream = stream_of(delta.id)
            if stream is None:
                continue  # aborted; its last tokens were on their way
            if stream.lost_s is not None:
                stream.progressed()
            try:
                stopped = stream.take(delta)
            except Exception as error:
                log.exception("the tokens of request %d cannot be read", stream.id)
                self._give_up(stream, error)
                continue
            if stopped:
                self._tell_host(stream, Stopped(delta.id, delta.index))
            if stream.finished or (not stream.started and stream.answer.wants_progress):
                urgent[stream] = None
            elif stream.answer.wants_progress:
                self._dirty[stream] = None

    def _welcome(self, ready: EngineReady) -> None:
        if ready.version != VERSION:
            log.error("the engine host speaks protocol %d, this stub %d", ready.version, VERSION)
            return
        self._tokenizer = Tokenizer.from_file(ready.tokenizer_path)
        self._added = added_tokens(self._tokenizer)
        self._hosts.welcome(ready)
        self._served.set()

    def _answer_all(self) -> None:
        begun_s = time.monotonic()
        dirty, self._dirty = self._dirty, {}
        for stream in dirty:
            self._answer(stream)
        self._pacer.sent(begun_s, time.monotonic())

    def _answer(self, stream: Stream) -> None:
        self._dirty.pop(stream, None)
        if stream.id not in self._in_flight:
            return  # failed or aborted by a message that came together with its tokens
        try:
            stream.answer_now()
        except Exception as error:
            log.exception("answering request %d failed", stream.id)
            self._give_up(stream, error)
        else:
            if stream.finished:
                self._in_flight.end(stream)

    def _embedded(self, message: Embedded) -> None:
        stream = self._in_flight.get(message.id)
        if stream is None:
            return
        try:
            stream.answer.accepted(message.num_prompt_tokens)
            stream.answer.embedded(message.embedding)
        except Exception as error:
            log.exception("the embedding of request %d cannot be sent", message.id)
            self._give_up(stream, error)
        else:
            self._in_flight.end(stream)

    def _rejected(self, message: Rejected) -> None:
        stream = self._in_flight.get(message.id)
        if stream is None:
            return
        if stream.lost_s is not None and message.code == "unavailable":
            self._strand(stream, LOOK_EVERY_S)  # one engine had it; that the next is not quite there is not its end
        else:
            if stream.host is not None:
                self._refusals.hear(stream.host, stream.client, stream.priority, message, time.monotonic())
            self._fail(stream, message.code, message.message)

    def _fail(self, stream: Stream, code: str, message: str) -> None:
        self._dirty.pop(stream, None)
        if self._in_flight.end(stream):
            try:
                stream.answer.fail(code, message)
            except Exception:
                log.exception("request %d cannot be told that it has failed", stream.id)

    def _give_up(self, stream: Stream, error: Exception) -> None:
        """A defect that one request brings to light must not end the thread that answers all."""
        self._fail(stream, "internal", f"the answer could not be sent: {error}")
        self._tell_host(stream, Abort([stream.id]))

    def _lost(self, host: int) -> None:
        lost = self._in_flight.at(host)
        if lost:
            log.warning("the engine is lost; %d requests wait for the next one", len(lost))
        for stream in lost:
            self._strand(stream)

    def _strand(self, stream: Stream, rest_s: float = 0.0) -> None:
        if stream.host is not None:
            self._stranded.add(stream, time.monotonic(), rest_s=rest_s)

    def _settle_stranded(self) -> None:
        self._stranded.settle(
            time.monotonic(),
            is_running=lambda stream: stream.id in self._in_flight,
            go_on=self._go_on,
            fail=lambda stream, failure: self._fail(stream, *failure),
        )

    def _go_on(self, stream: Stream) -> bool:
        """False when no host can take it now."""
        try:
            host = self._hosts.least_loaded(self._in_flight.hosts())
        except EngineUnavailable:
            return False
        before, engine = stream.engine, self._hosts.ready(host)
        assert engine is not None
        if stream.is_accepted and before is not None and before.fingerprint != engine.fingerprint:
            self._fail(stream, *_CHANGED)
            return True
        # Under another id, so that nothing that the lost engine has still sent is taken for news of this one.
        old = stream.id
        if not self._in_flight.renumber(stream):
            return True
        stream.host, stream.engine = host, engine
        try:
            if before is not None and before.epoch == engine.epoch:
                self._hosts.send(host, Abort([old]))  # some of its sequences may still run there
            self._hosts.send(host, stream.submission(time.monotonic()))
        except sockets.PeerNotReading:
            stream.host = None
            return False
        except Exception as error:
            log.exception("request %d cannot be sent again", stream.id)
            self._give_up(stream, error)
            return True
        if stream.id not in self._in_flight:
            self._tell_host(stream, Abort([stream.id]))  # given up meanwhile, perhaps before it was sent
        return True

    def _tell_host(self, stream: Stream, message: Abort | Stopped) -> None:
        if stream.host is None:
            return
        try:
            self._hosts.send(stream.host, message)
        except sockets.PeerNotReading:
            log.info("request %d ends with its host", stream.id)
