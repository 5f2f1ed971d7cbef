"""What a worker remembers of its requests: raw until the load is over, then counted.

Counting while the clock runs would hold up other requests' stamps, most of all in a wave of ends and beginnings. Only
when more than ``MOST_PIECES`` wait, some are counted between two turns of the loop, one request at a time.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from trident.bench.apis import Api
from trident.bench.exchange import Answer, Exchange, Failure
from trident.bench.result import CountSource, Phase, RequestRow, Status
from trident.bench.text import Texts
from trident.bench.workload import Turn

MOST_PIECES = 1_000_000
"""Some 300 bytes each."""


class Sent(NamedTuple):
    """A request that has ended or was cut off."""

    exchange: Exchange
    phase: Phase
    conversation: int
    turn_index: int
    turn: Turn
    is_finished: bool


class Samples:
    """Of requests that ended since the last look, from reads instead of events: for the live view."""

    def __init__(self, *, is_streamed: bool) -> None:
        self.is_streamed = is_streamed
        self.ttft_ms: list[float] = []
        self.tpot_ms: list[float] = []
        self.e2e_ms: list[float] = []

    def add(self, exchange: Exchange) -> None:
        stamps_ns = exchange.stamps_ns
        self.e2e_ms.append((exchange.end_ns - exchange.sent_ns) / 1e6)
        if self.is_streamed and len(stamps_ns) > 1:
            self.ttft_ms.append((stamps_ns[0] - exchange.sent_ns) / 1e6)
            self.tpot_ms.append((stamps_ns[-1] - stamps_ns[0]) / 1e6 / (len(stamps_ns) - 1))


class Records:
    """Of one worker at one load level."""

    def __init__(
        self, *, point: int, worker: int, workers: int, api: Api, texts: Texts, ignores_eos: bool, is_streamed: bool
    ) -> None:
        self._point, self._worker, self._workers = point, worker, workers
        self._api = api
        self._texts = texts
        self._ignores_eos = ignores_eos
        self._waiting: deque[Sent] = deque()
        self._pieces = 0
        self._is_counting = False
        self.origin_ns = 0
        self.rows: list[RequestRow] = []
        self.arrivals: list[NDArray[np.int64]] = []
        self.coalesced = 0
        self.ok = self.errors = self.events = 0
        self.last_error: str | None = None
        self.samples = Samples(is_streamed=is_streamed)

    def add(self, sent: Sent) -> None:
        """Keeps it for later."""
        exchange = sent.exchange
        self._waiting.append(sent)
        self._pieces += len(exchange.pieces)
        self.events += len(exchange.pieces)
        if not sent.is_finished:
            return
        if exchange.failure is not None or exchange.status not in (0, 200):
            self.errors += 1
            failure = exchange.failure or Failure(f"http_{exchange.status}", "")
            self.last_error = f"{failure.kind}: {failure.message}"[:200]
        else:
            self.ok += 1
            self.samples.add(exchange)
        if self._pieces > MOST_PIECES and not self._is_counting:
            self._is_counting = True
            asyncio.get_running_loop().call_soon(self._count_some)

    def take_samples(self) -> Samples:
        """Those since the last call."""
        taken, self.samples = self.samples, Samples(is_streamed=self.samples.is_streamed)
        return taken

    def count_all(self) -> None:
        """All that wait, in the order of their ends."""
        while self._waiting:
            self._count(self._waiting.popleft())

    def _count_some(self) -> None:
        self._is_counting = self._pieces > MOST_PIECES // 2 and bool(self._waiting)
        if self._is_counting:
            self._count(self._waiting.popleft())
            asyncio.get_running_loop().call_soon(self._count_some)

    def _count(self, sent: Sent) -> None:
        exchange = sent.exchange
        self._pieces -= len(exchange.pieces)
        answer = self._api.read(exchange) if sent.is_finished else Answer()
        if sent.is_finished and answer.failure is None and not answer.arrivals_ns:
            answer.failure = Failure("empty", "the answer has no token")
        arrivals = np.array(answer.arrivals_ns if sent.is_finished else exchange.stamps_ns, np.int64) - self.origin_ns
        self.coalesced += int(np.count_nonzero(np.diff(arrivals) == 0))
        self.arrivals.append(arrivals)
        self.rows.append(self._row(sent, answer, arrivals))

    def _row(self, sent: Sent, answer: Answer, arrivals: NDArray[np.int64]) -> RequestRow:
        exchange, failure = sent.exchange, answer.failure
        status: Status = "unfinished" if not sent.is_finished else "error" if failure else "ok"
        input_tokens, input_source = self._input_tokens(sent.turn, answer)
        output_tokens, output_source = self._output_tokens(sent.turn, answer, len(arrivals))
        return RequestRow(
            point=self._point,
            request=self._worker + self._workers * len(self.rows),
            worker=self._worker,
            phase=sent.phase,
            conversation=sent.conversation,
            turn=sent.turn_index,
            status=status,
            error_kind=failure.kind if failure else "",
            error=failure.message if failure else "",
            http_status=exchange.status,
            scheduled_ns=exchange.scheduled_ns - self.origin_ns,
            sent_ns=exchange.sent_ns - self.origin_ns,
            first_ns=int(arrivals[0]) if len(arrivals) and answer.is_streamed else None,
            last_ns=int(arrivals[-1]) if len(arrivals) else None,
            end_ns=exchange.end_ns - self.origin_ns,
            events=len(arrivals),
            input_tokens=input_tokens,
            input_source=input_source,
            output_tokens=output_tokens,
            output_source=output_source,
            send_lag_ms=(exchange.sent_ns - exchange.scheduled_ns) / 1e6,
        )

    def _input_tokens(self, turn: Turn, answer: Answer) -> tuple[int, CountSource]:
        if answer.input_tokens is not None:
            return answer.input_tokens, "server"
        text = " ".join(message["content"] for message in turn.messages)
        if self._texts.is_exact:
            return self._texts.count(text), "tokenizer"
        return turn.input_tokens or self._texts.count(text), "estimate"

    def _output_tokens(self, turn: Turn, answer: Answer, events: int) -> tuple[int, CountSource]:
        """Without a count: what was asked for, where the end of the text could not come before; else events, or
        words."""
        if answer.output_tokens is not None:
            return answer.output_tokens, "server"
        if answer.text and self._texts.is_exact:
            return self._texts.count(answer.text), "tokenizer"
        if answer.failure is None and events and self._ignores_eos:
            return turn.max_tokens, "estimate"
        return events if answer.is_streamed else self._texts.count(answer.text), "estimate"
