"""Sends conversations, turn after turn, and writes down each request."""

from __future__ import annotations

import asyncio
import time

import msgspec

from trident.bench.apis import Api
from trident.bench.channels import Channel
from trident.bench.exchange import Ask, Exchange
from trident.bench.quota import Quota
from trident.bench.records import Records, Sent
from trident.bench.workload import Conversation, Conversations

ENCODING_LIMIT_S = 3.0
MOST_ENCODED_BYTES = 64 << 20


class Talk(msgspec.Struct, frozen=True):
    """A conversation whose first request is ready for the wire."""

    index: int
    conversation: Conversation
    wire: bytes


class Sender:
    """What both loops share."""

    def __init__(
        self,
        *,
        api: Api,
        channel: Channel,
        conversations: Conversations,
        records: Records,
        quota: Quota,
        first: int,
        step: int,
        timeout_s: float,
        think_time_s: float,
    ) -> None:
        self._api = api
        self._channel = channel
        self._conversations = conversations
        self._records = records
        self._quota = quota
        self._next = first
        self._step = step
        self._timeout_s = timeout_s
        self._think_time_s = think_time_s
        self._ready: list[Talk] = []
        self._over = asyncio.Event()
        self.sent = self.sent_warmup = 0
        self.in_flight: set[Exchange] = set()

    def encode_ahead(self, count: int) -> None:
        """Makes up to ``count`` conversations ready, within ``ENCODING_LIMIT_S`` and ``MOST_ENCODED_BYTES``; others
        are made ready when they are due."""
        until_s, size = time.monotonic() + ENCODING_LIMIT_S, 0
        talks: list[Talk] = []
        while len(talks) < count and size < MOST_ENCODED_BYTES and time.monotonic() < until_s:
            talks.append(self._make())
            size += len(talks[-1].wire)
        self._ready = talks[::-1]

    def next_talk(self) -> Talk:
        """The next conversation of this worker."""
        return self._ready.pop() if self._ready else self._make()

    def stop(self) -> None:
        """Wakes those who pause; what is in flight goes on."""
        self._over.set()

    async def pause(self, until_ns: int) -> bool:
        """False when the sending was over first."""
        wait_s = (until_ns - time.perf_counter_ns()) / 1e9
        if wait_s > 0 and not self._over.is_set():
            try:
                await asyncio.wait_for(self._over.wait(), wait_s)
            except asyncio.TimeoutError:
                return True
        return not self._over.is_set()

    async def converse(self, talk: Talk, scheduled_ns: int) -> Exchange | None:
        """Asks each turn when the one before has been answered and thought about; the last exchange, None without a
        permission."""
        history: list[dict[str, str]] = []
        exchange: Exchange | None = None
        turns = talk.conversation.turns
        for number, turn in enumerate(turns):
            wire = talk.wire
            if number > 0:
                wire = self._api.encode(Ask(history + turn.messages, turn.max_tokens))
            asked = await self._ask(talk, number, wire, scheduled_ns)
            if asked is None:
                return exchange
            exchange = asked
            if number + 1 == len(turns):
                break
            answer = self._api.read(exchange)
            if answer.failure is not None:
                break
            history += [*turn.messages, {"role": "assistant", "content": answer.text}]
            if self._think_time_s and not await self.pause(exchange.end_ns + int(1e9 * self._think_time_s)):
                break
            # Thinking is no appointment: what the loop's timer is late by is no lag.
            scheduled_ns = time.perf_counter_ns()
        return exchange

    async def _ask(self, talk: Talk, number: int, wire: bytes, scheduled_ns: int) -> Exchange | None:
        phase = self._quota.take(time.perf_counter_ns())
        if phase is None:
            return None
        exchange = Exchange(scheduled_ns)
        self.sent += 1
        self.sent_warmup += phase == "warmup"
        self.in_flight.add(exchange)
        is_finished = False
        try:
            await self._channel.exchange(wire, exchange, self._timeout_s)
            is_finished = True
        finally:
            self.in_flight.remove(exchange)
            exchange.end_ns = exchange.end_ns or time.perf_counter_ns()
            turn = talk.conversation.turns[number]
            self._records.add(Sent(exchange, phase, talk.index, number, turn, is_finished))
        return exchange

    def _make(self) -> Talk:
        index, self._next = self._next, self._next + self._step
        conversation = self._conversations[index]
        first = conversation.turns[0]
        return Talk(index, conversation, self._api.encode(Ask(first.messages, first.max_tokens)))
