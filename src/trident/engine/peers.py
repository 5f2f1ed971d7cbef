"""The stubs connected to this host, and the requests that each has in flight."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable
from typing import Any

import zmq
from vllm.v1.engine import EngineCoreOutput, EngineCoreRequest, FinishReason
from vllm.v1.engine.exceptions import EngineDeadError

from trident.engine.admission.ticket import Ticket
from trident.engine.chat_answer import ChatAnswer
from trident.engine.ledger import Account
from trident.engine.logprobs import Logprobs
from trident.protocol import sockets
from trident.protocol.messages import Delta, Embedded, FromHost, Hello, Rejected

log = logging.getLogger("trident.peers")


class Sequence:
    """One of a request's ``n`` sequences while the engine works on it. ``answer`` where a chat's parser makes it,
    ``place`` until its first output."""

    __slots__ = ("_is_structured", "account", "answer", "id", "index", "logprobs", "peer", "place", "request_id")

    def __init__(
        self,
        peer: Peer,
        id: int,
        index: int,
        request: EngineCoreRequest,
        account: Account,
        logprobs: Logprobs | None,
        answer: ChatAnswer | None,
        place: Ticket | None,
    ) -> None:
        self.peer = peer
        self.id = id
        self.index = index
        self.request_id = request.request_id
        self._is_structured = request.sampling_params is not None and bool(request.sampling_params.structured_outputs)
        self.account = account
        self.logprobs = logprobs
        self.answer = answer
        self.place = place

    def heard(self) -> None:
        """The engine has sent something of it."""
        if self.place is not None:
            self.place.started()
            self.place = None

    def final(self, output: EngineCoreOutput) -> Embedded | Rejected | None:
        """The end of the whole request, where tokens cannot tell it. Raises vLLM's EngineDeadError."""
        if output.finish_reason is FinishReason.ABORT:
            # Nobody here has asked for it: the engine was told to end, and may take seconds to.
            raise EngineDeadError
        if output.pooling_output is not None:
            return Embedded(self.id, output.pooling_output.float().tolist(), self.account.prompt_tokens)
        if output.finish_reason is FinishReason.ERROR and self._is_structured:
            # vLLM looks at a constraint twice, and its engine, the second time, says no more than this.
            return Rejected(self.id, "invalid", "structured_outputs: the engine cannot follow it; its log says why")
        return None

    def delta(self, output: EngineCoreOutput) -> Delta:
        """The engine's news in the protocol's form. Raises what a chat's parser raises."""
        finish = None if output.finish_reason is None else int(output.finish_reason)
        if self.logprobs is None and self.answer is None:
            return Delta(self.id, output.new_token_ids, finish, self.index, output.stop_reason)
        stop_reason, logprobs, cumulative_logprob, parsed = output.stop_reason, None, None, None
        if self.answer is not None:
            parsed, finish, stop_reason = self.answer.take(output)
        if self.logprobs is not None:
            logprobs, cumulative_logprob = self.logprobs.take(output)
        return Delta(
            self.id, output.new_token_ids, finish, self.index, stop_reason, logprobs, cumulative_logprob, parsed
        )


class Peer:
    """A stub: where to send, what it waits for, and a watch on its life. Raises ProcessLookupError for a dead one."""

    def __init__(self, context: zmq.Context[Any], hello: Hello, on_death: Callable[[Peer], None]) -> None:
        self.pid = hello.pid
        self.name = hello.name
        self.address = hello.address
        self.is_welcome = False
        self.news: list[Delta] = []
        self.requests: dict[int, list[Sequence]] = {}
        self.timers: dict[int, asyncio.TimerHandle] = {}
        self.tickets: dict[int, Ticket] = {}
        self._pidfd = os.pidfd_open(hello.pid)  # first: the stub may be dead
        self._socket = sockets.push(context, queue_unconnected=True)
        self._socket.connect(hello.address)
        self._on_death = on_death
        asyncio.get_running_loop().add_reader(self._pidfd, self._died)

    def _died(self) -> None:
        log.warning("stub %s (pid %d) has died with %d requests in flight", self.name, self.pid, len(self.requests))
        self._on_death(self)

    def send(self, codec: sockets.Codec[Any], message: FromHost) -> None:
        """Never waits. A stub that has stopped reading for 100,000 messages is treated as dead."""
        if self._pidfd < 0:
            return  # closed since the caller looked: telling one request may have shown that the stub is dead
        try:
            sockets.send(self._socket, codec.encode(message))
        except sockets.PeerNotReading:
            log.error("stub %s (pid %d) does not read; ending it", self.name, self.pid)
            # Living on, it would wait for ever for answers that were thrown away; its death is seen by the supervisor.
            if self._pidfd >= 0:
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
            self._on_death(self)

    def forget(self, id: int) -> list[Sequence]:
        """Ends a request's bookkeeping and returns the sequences that were still running."""
        if timer := self.timers.pop(id, None):
            timer.cancel()
        sequences = self.requests.pop(id, [])
        if place := self.tickets.pop(id, None):
            place.leave()
        return sequences

    def close(self) -> None:
        """Lets go of socket, timers and watch."""
        for timer in self.timers.values():
            timer.cancel()
        if self._pidfd >= 0:
            asyncio.get_running_loop().remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1
        self._socket.close()
