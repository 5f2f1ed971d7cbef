"""Carries requests from stubs to the engine and tokens back: one message for each engine step and stub."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from itertools import zip_longest
from typing import Any

import msgspec
import zmq
import zmq.asyncio
from vllm.v1.engine import EngineCoreOutputs, EngineCoreRequest
from vllm.v1.engine.core_client import AsyncMPClient
from vllm.v1.engine.exceptions import EngineDeadError

from trident.engine.chat_answer import ChatAnswer
from trident.engine.intake import Intake
from trident.engine.ledger import Account, Ledger
from trident.engine.peers import Peer, Sequence
from trident.engine.pulse import LATER_STEPS
from trident.protocol import sockets
from trident.protocol.messages import (
    VERSION,
    Embedded,
    EngineLost,
    EngineReady,
    FromStub,
    Hello,
    Rejected,
    Stopped,
    Submit,
    Tokens,
)

log = logging.getLogger("trident.relay")


class Relay:
    """One engine's side of the protocol.

    ``serve`` runs until the engine fails (vLLM's EngineDeadError) or it is cancelled; either way every request in
    flight ends with ``EngineLost``.
    """

    def __init__(self, client: AsyncMPClient, intake: Intake, ledger: Ledger | None, ready: EngineReady) -> None:
        self._client = client
        self._intake = intake
        self._ledger = ledger
        self._ready = ready
        self._context = zmq.asyncio.Context()
        self._plain = zmq.Context(self._context)  # the same context; its sockets send without a loop
        self._codec: sockets.Codec[FromStub] = sockets.Codec(FromStub)
        self._peers: dict[int, Peer] = {}
        self._sequences: dict[str, Sequence] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._paused: str | None = None
        self._step_times: dict[int, deque[float]] = {}

    @property
    def running(self) -> int:
        """Sequences that the engine works on for the stubs."""
        return len(self._sequences)

    def pause(self, why: str) -> None:
        """From now on requests are refused and stubs wait for their greeting; what is in flight stays."""
        self._paused = why

    def resume(self) -> None:
        """The engine answers again."""
        self._paused = None
        for peer in list(self._peers.values()):
            self._welcome(peer)

    def steps_since(self, engine: int, monotonic_s: float) -> int:
        """How many of the engine's latest steps (at most ``LATER_STEPS``, which prove it) were made after that."""
        return sum(time_s > monotonic_s for time_s in self._step_times.get(engine, ()))

    async def serve(self, address: str) -> None:
        """Opens the door for stubs and relays until something ends it."""
        inbound = sockets.pull(self._context, address)
        receiver = asyncio.ensure_future(self._receive(inbound))
        relaying = asyncio.ensure_future(self._relay_tokens())
        try:
            done, _ = await asyncio.wait({receiver, relaying}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in (receiver, relaying, *self._tasks):
                task.cancel()
            await asyncio.gather(receiver, relaying, *self._tasks, return_exceptions=True)
            for peer in list(self._peers.values()):
                peer.send(self._codec, EngineLost(self._ready.epoch, "the engine host is stopping"))
            # The farewell must leave the process before its sockets go.
            await asyncio.sleep(0.05)
            for peer in list(self._peers.values()):
                peer.close()
            inbound.close()
            sockets.remove(address)

    async def _receive(self, inbound: zmq.Socket[Any]) -> None:
        while True:
            sender, frame = await inbound.recv_multipart()  # type: ignore[misc]
            try:
                message = self._codec.decode(frame)
            except (msgspec.DecodeError, RecursionError) as error:
                log.error("a message from pid %s is not of the protocol: %s", sender, error)
                continue
            if isinstance(message, Hello):
                self._greet(message)
                continue
            peer = self._peers.get(int.from_bytes(sender, "little"))
            if peer is None:
                log.warning("a message from an unknown stub (pid %d) is dropped", int.from_bytes(sender, "little"))
            elif isinstance(message, Submit):
                task = asyncio.ensure_future(self._submit(peer, message))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            elif isinstance(message, Stopped):
                self._stopped(peer, message)
            else:
                self._cancel([sequence for id in message.ids for sequence in peer.forget(id)])

    def _greet(self, hello: Hello) -> None:
        if hello.version != VERSION:
            log.error("stub %s speaks protocol %d, this host %d; it is ignored", hello.name, hello.version, VERSION)
            return
        if old := self._peers.pop(hello.pid, None):
            old.close()
        try:
            peer = Peer(self._plain, hello, self._bury)
        except ProcessLookupError:
            return  # it died while its greeting was under way
        self._peers[hello.pid] = peer
        log.info("stub %s (pid %d) is connected", hello.name, hello.pid)
        self._welcome(peer)

    def _welcome(self, peer: Peer) -> None:
        if self._paused is None and not peer.is_welcome:
            peer.is_welcome = True
            peer.send(self._codec, self._ready)

    async def _submit(self, peer: Peer, submit: Submit) -> None:
        if submit.id in peer.requests:
            return  # a repeated id would end two requests at once
        if self._paused is not None:
            peer.send(self._codec, Rejected(submit.id, "unavailable", f"{self._paused}; try again soon"))
            return
        peer.requests[submit.id] = []
        admitted = await self._intake.admit(submit)
        if isinstance(admitted, Rejected):
            peer.forget(submit.id)
            peer.send(self._codec, admitted)
            return
        accepted, requests, answers = admitted
        if submit.id not in peer.requests:
            return  # aborted meanwhile
        if accepted is not None:
            peer.send(self._codec, accepted)
        peer.requests[submit.id] = [
            self._open(peer, submit, index, request, len(requests), answer)
            for index, (request, answer) in enumerate(zip_longest(requests, answers))
        ]
        if submit.deadline_s is not None:
            peer.timers[submit.id] = asyncio.get_running_loop().call_later(
                max(0.0, submit.deadline_s), self._overdue, peer, submit.id, submit.deadline_s
            )
        try:
            for request in requests:
                await self._client.add_request_async(request)
        except EngineDeadError:
            raise  # everybody's end, and told to everybody
        except Exception as error:
            log.exception("request %s cannot be handed to the engine", submit.request_id)
            self._cancel(peer.forget(submit.id))
            peer.send(self._codec, Rejected(submit.id, "internal", f"cannot be handed to the engine: {error}"))

    def _open(
        self, peer: Peer, submit: Submit, index: int, request: EngineCoreRequest, n: int, answer: ChatAnswer | None
    ) -> Sequence:
        shows_tokens = answer is None or not answer.hides_tokens
        logprobs = self._intake.logprobs(request) if submit.logprobs and shows_tokens else None
        sequence = Sequence(peer, submit.id, index, request, Account(request, n), logprobs, answer)
        self._sequences[request.request_id] = sequence
        return sequence

    def _overdue(self, peer: Peer, id: int, deadline_s: float) -> None:
        self._cancel(peer.forget(id))
        peer.send(self._codec, Rejected(id, "deadline", f"not finished within its deadline of {deadline_s:g} s"))

    def _stopped(self, peer: Peer, stopped: Stopped) -> None:
        for sequence in list(peer.requests.get(stopped.id, ())):
            if sequence.index == stopped.index:
                self._end_early(sequence)

    def _bury(self, peer: Peer) -> None:
        self._peers.pop(peer.pid, None)
        self._cancel([sequence for id in list(peer.requests) for sequence in peer.forget(id)])
        peer.close()

    def _cancel(self, sequences: list[Sequence]) -> None:
        ids = [sequence.request_id for sequence in sequences]
        for id in ids:
            self._sequences.pop(id, None)
        if ids:
            task = asyncio.ensure_future(self._client.abort_requests_async(ids))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _relay_tokens(self) -> None:
        while True:
            outputs = await self._client.get_output_async()
            self._deal(outputs)

    def _deal(self, outputs: EngineCoreOutputs) -> None:
        """Sorts one step's tokens by stub and sends them off."""
        self._step_times.setdefault(outputs.engine_index, deque(maxlen=LATER_STEPS)).append(outputs.timestamp)
        ledger = self._ledger
        page = ledger.step(outputs.engine_index) if ledger is not None and outputs.outputs else None
        sequences = self._sequences
        touched: dict[int, Peer] = {}
        for output in outputs.outputs:
            sequence = sequences.get(output.request_id)
            if sequence is None:
                continue  # aborted; the engine had not heard of it yet
            if ledger is not None and page is not None:
                ledger.count(sequence.account, output, outputs.timestamp, page)
            if (final := sequence.final(output)) is not None:
                self._finish(sequence, final)
                continue
            try:
                delta = sequence.delta(output)
            except Exception as error:  # noqa: BLE001 - a parser's, and logged
                self._fail(sequence, error)
                continue
            peer = sequence.peer
            touched[peer.pid] = peer
            peer.news.append(delta)
            if output.finish_reason is not None:
                self._close(sequence)
            elif delta.finish is not None:
                self._end_early(sequence, outputs.engine_index)
        for peer in touched.values():
            news, peer.news = peer.news, []
            peer.send(self._codec, Tokens(news))
        if ledger is not None:
            ledger.end_step(outputs, page)

    def _finish(self, sequence: Sequence, final: Embedded | Rejected) -> None:
        """The engine has done with a sequence, and that is the end of the whole request."""
        self._close(sequence)
        self._cancel(sequence.peer.forget(sequence.id))
        sequence.peer.send(self._codec, final)

    def _fail(self, sequence: Sequence, error: Exception) -> None:
        """A defect that one answer brings to light ends its request and no other."""
        log.error("the answer of request %s cannot be read", sequence.request_id, exc_info=error)
        self._cancel(sequence.peer.forget(sequence.id))
        message = f"the answer could not be read: {error}"
        sequence.peer.send(self._codec, Rejected(sequence.id, "internal", message))

    def _end_early(self, sequence: Sequence, engine: int = 0) -> None:
        """A stop string has ended a sequence that the engine still works on."""
        if self._ledger is not None:
            self._ledger.stopped(sequence.account, engine)
        self._close(sequence)
        self._cancel([sequence])

    def _close(self, sequence: Sequence) -> None:
        """A sequence is over; with the last one, its request."""
        self._sequences.pop(sequence.request_id, None)
        rest = sequence.peer.requests.get(sequence.id)
        if rest is not None:
            rest.remove(sequence)
            if not rest:
                sequence.peer.forget(sequence.id)
