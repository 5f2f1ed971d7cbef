"""Carries requests from stubs to the engine and tokens back: one message for each engine step and stub."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from typing import Any

import msgspec
import zmq
import zmq.asyncio
from vllm.v1.engine import EngineCoreOutputs, EngineCoreRequest
from vllm.v1.engine.core_client import AsyncMPClient
from vllm.v1.engine.exceptions import EngineDeadError

from trident.engine import in_flight
from trident.engine.admission.control import Admission
from trident.engine.admission.counts import Counts
from trident.engine.admission.limits import Limits
from trident.engine.admission.refusal import Refusal
from trident.engine.admission.ticket import Ticket, ticket
from trident.engine.intake import Admitted, Intake
from trident.engine.ledger import Account, Ledger
from trident.engine.peers import Peer, Sequence
from trident.protocol import sockets
from trident.protocol.in_flight import Question, Told
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
from trident.protocol.pulse import LATER_STEPS

log = logging.getLogger("trident.relay")

SWEEP_EVERY_S = 0.25
"""How exactly ``max_queue_wait_s`` is kept."""
COMPLAIN_EVERY_S = 10.0


class Relay:
    """One engine's side of the protocol.

    ``serve`` runs until the engine fails (vLLM's EngineDeadError) or it is cancelled; either way the stubs, which keep
    what is in flight for another engine, are told by ``EngineLost``.
    """

    def __init__(
        self, client: AsyncMPClient, intake: Intake, ledger: Ledger | None, ready: EngineReady, limits: Limits
    ) -> None:
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
        self._is_paused = False
        self._leaving: Rejected | None = None
        self._step_times: dict[int, deque[float]] = {}
        self._complains_s = 0.0
        counts = Counts(ready.model_name) if ledger is not None else None
        self._admission = Admission(limits, self._hand_over, self._refuse, time.monotonic, counts)

    @property
    def running(self) -> int:
        """Sequences that the engine works on for the stubs."""
        return len(self._sequences)

    @property
    def in_flight(self) -> int:
        """Requests of the stubs that have not ended, those among them that the engine has not got yet."""
        return sum(len(peer.requests) for peer in self._peers.values())

    def told(self, question: Question) -> Told:
        """What is in flight for the stubs, for somebody who looks on."""
        return in_flight.told(self._peers.values(), self._ready.model_name, question)

    def leave(self, why: str) -> None:
        """As ``pause``, for good; what waits for its turn still gets it."""
        self._leaving = Rejected(0, "unavailable", f"{why}; try again soon")

    def expel(self, why: str) -> int:
        """Every request in flight ends with this error, and so does every new one; returns how many were in flight."""
        self._leaving = Rejected(0, "expelled", why)
        self._admission.pause()  # each place that becomes free would let in one that waits
        expelled = [(peer, id) for peer in self._peers.values() for id in peer.requests]
        for peer, id in expelled:
            self._cancel(peer.forget(id))
            peer.send(self._codec, Rejected(id, "expelled", why))
        return len(expelled)

    def pause(self) -> None:
        """From now on requests wait for the engine, and stubs for their greeting; what is in flight stays."""
        self._is_paused = True
        self._admission.pause()

    def resume(self) -> None:
        """The engine answers again."""
        self._is_paused = False
        for peer in list(self._peers.values()):
            self._welcome(peer)
        self._admission.resume()

    def steps_since(self, engine: int, monotonic_s: float) -> int:
        """How many of the engine's latest steps (at most ``LATER_STEPS``, which prove it) were made after that."""
        return sum(time_s > monotonic_s for time_s in self._step_times.get(engine, ()))

    async def serve(self, address: str) -> None:
        """Opens the door for stubs and relays until something ends it."""
        inbound = sockets.pull(self._context, address)
        receiver = asyncio.ensure_future(self._receive(inbound))
        relaying = asyncio.ensure_future(self._relay_tokens())
        sweeping = asyncio.ensure_future(self._sweep())
        try:
            done, _ = await asyncio.wait({receiver, relaying, sweeping}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in (receiver, relaying, sweeping, *self._tasks):
                task.cancel()
            await asyncio.gather(receiver, relaying, sweeping, *self._tasks, return_exceptions=True)
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
                self._submit(peer, message, len(frame))
            elif isinstance(message, Stopped):
                self._stopped(peer, message)
            else:
                self._cancel([sequence for id in message.ids for sequence in peer.forget(id)])

    def _greet(self, hello: Hello) -> None:
        if hello.version != VERSION:
            log.error("stub %s speaks protocol %d, this host %d; it is ignored", hello.name, hello.version, VERSION)
            return
        if old := self._peers.get(hello.pid):
            self._bury(old)  # it had lost this host, and submits again what it had here
        try:
            peer = Peer(self._plain, hello, self._bury)
        except ProcessLookupError:
            return  # it died while its greeting was under way
        self._peers[hello.pid] = peer
        log.info("stub %s (pid %d) is connected", hello.name, hello.pid)
        self._welcome(peer)

    def _welcome(self, peer: Peer) -> None:
        if not self._is_paused and self._leaving is None and not peer.is_welcome:
            peer.is_welcome = True
            peer.send(self._codec, self._ready)

    def _submit(self, peer: Peer, submit: Submit, size_bytes: int) -> None:
        if submit.refused:
            self._admission.refused_elsewhere(submit.refused)
        if submit.id in peer.requests:
            return  # a repeated id would end two requests at once
        if self._leaving is not None:
            peer.send(self._codec, msgspec.structs.replace(self._leaving, id=submit.id))
            return
        place = ticket(submit, size_bytes, time.monotonic(), self._ready.max_model_len, (peer, submit))
        peer.requests[submit.id] = []
        peer.tickets[submit.id] = place
        if submit.deadline_s is not None:
            peer.timers[submit.id] = asyncio.get_running_loop().call_later(
                max(0.0, submit.deadline_s), self._overdue, peer, submit.id, submit.deadline_s
            )
        self._admission.enter(place)

    def _refuse(self, place: Ticket, why: Refusal) -> None:
        peer, submit = place.payload
        now_s = time.monotonic()
        if now_s >= self._complains_s:
            self._complains_s = now_s + COMPLAIN_EVERY_S
            log.warning("%s (said at most every %g s)", why.message, COMPLAIN_EVERY_S)
        peer.forget(submit.id)
        peer.send(self._codec, Rejected(submit.id, "overloaded", why.message, why.retry_after_s, why.holds_s))

    def _hand_over(self, place: Ticket) -> None:
        task = asyncio.ensure_future(self._admit(place))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_EVERY_S)
            self._admission.sweep()

    async def _admit(self, place: Ticket) -> None:
        peer, submit = place.payload
        if submit.id not in peer.requests:
            return  # aborted before its turn
        admitted = await self._intake.admit(submit)
        if submit.id not in peer.requests:
            return  # aborted meanwhile
        if isinstance(admitted, Rejected):
            peer.forget(submit.id)
            peer.send(self._codec, admitted)
            return
        try:
            await self._begin(peer, submit, place, admitted)
        except EngineDeadError:
            return  # everybody's end, and told to everybody by ``serve``
        except Exception as error:
            log.exception("request %s cannot be handed to the engine", submit.request_id)
            self._cancel(peer.forget(submit.id))
            peer.send(self._codec, Rejected(submit.id, "internal", f"cannot be handed to the engine: {error}"))

    async def _begin(self, peer: Peer, submit: Submit, place: Ticket, admitted: Admitted) -> None:
        self._admission.resize(place, len(admitted.requests))
        sequences = []
        for index, request in admitted.requests.items():
            request.arrival_time -= place.waited_s  # vLLM's times are the client's
            sequences.append(self._sequence(peer, submit, index, request, admitted))
        peer.requests[submit.id] = sequences
        self._sequences.update((sequence.request_id, sequence) for sequence in sequences)
        if admitted.accepted is not None:
            peer.send(self._codec, admitted.accepted)
        for request in admitted.requests.values():
            if request.request_id in self._sequences:  # else it has been given up since
                await self._client.add_request_async(request)

    def _sequence(
        self, peer: Peer, submit: Submit, index: int, request: EngineCoreRequest, admitted: Admitted
    ) -> Sequence:
        answer = admitted.answers.get(index)
        shows_tokens = answer is None or not answer.hides_tokens
        logprobs = self._intake.logprobs(request) if submit.logprobs and shows_tokens else None
        account, place = Account(request, admitted.n), peer.tickets[submit.id]
        if self._ledger is not None:
            self._ledger.open(account, request, place.waited_s)
        return Sequence(peer, submit.id, index, request, account, logprobs, answer, place)

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
            if self._admission.is_paced:
                self._admission.stepped(sum(len(output.new_token_ids) for output in outputs.outputs))

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
            sequence.heard()
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
            made_tokens = sequence.account.stats.num_generation_tokens if self._ledger is not None else None
            sequence.peer.tickets[sequence.id].sequence_ended(made_tokens)
            if not rest:
                sequence.peer.forget(sequence.id)
