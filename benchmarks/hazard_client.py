"""Asks one of ``hazard_requests`` and says how it ended: the channels of ``trident.bench`` and one judgement.

A request ends in one of: *ok* (its text and number of tokens are those of a quiet run), *refused* (an error before
anything came, by a server that had not begun), *lost* (an error or a cut connection after the server had taken it),
*duplicated*, *corrupted* (other or missing text), *hung* (nothing came in ``hung_s`` of service).
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import hazard_requests
from hazard_requests import Heard, NotAnAnswer, Request

from trident.bench.channels.grpc import GrpcStreamChannel, GrpcUnaryChannel
from trident.bench.channels.http import HttpChannel
from trident.bench.exchange import Exchange

Outcome = Literal["ok", "refused", "lost", "duplicated", "corrupted", "hung"]
OUTCOMES: tuple[Outcome, ...] = ("ok", "refused", "lost", "duplicated", "corrupted", "hung")
LONGEST_S = 3600.0
LOOK_S = 1.0
BEGUN = ("while it worked on", "gave this request up", "failed on this request")
"""Words of errors for a request that the engine had already taken."""
REFUSALS = (
    "HTTP 404",
    "HTTP 429",
    "HTTP 503",
    "connect: ",  # nobody listens
    "failed to connect",
    "no engine is ready",
    "the engine is not there",
    "is not ready",
    "is not healthy",
    "no available versions",
    "unknown model",
    "overloaded",
)


@dataclass(eq=False)
class Attempt:
    """One try of one request. Times are of the monotonic clock. ``responses`` came, the first at ``first_s``, the last
    at ``last_s``, with at most ``gap_s`` between two things that happened."""

    request: Request
    begun_s: float
    ended_s: float = 0.0
    first_s: float | None = None
    last_s: float | None = None
    gap_s: float = 0.0
    responses: int = 0
    outcome: Outcome | None = None
    message: str = ""
    heard: Heard | None = None


class Client:
    """All doors of one server. ``in_flight`` are the attempts that have not ended."""

    def __init__(self, http_url: str, grpc_address: str, hung_s: float) -> None:
        self._url = http_url
        self._hung_s = hung_s
        self._out_s = 0.0
        self._out_since_s: float | None = None
        self._grpc_address = grpc_address
        self._http = HttpChannel(http_url)
        # One connection for each call, as many clients have it: where calls share one, nobody outside can end one of
        # them alone when the stub that held it has died.
        self._free: dict[str, list[GrpcStreamChannel | GrpcUnaryChannel]] = {"stream grpc": [], "infer grpc": []}
        self.in_flight: list[Attempt] = []

    @contextlib.contextmanager
    def out_of_service(self) -> Iterator[None]:
        """Silence in this time is nobody's fault: on a slow machine an engine may be away for longer than it is
        there, and an answer in one piece has to wait for many of them."""
        self._out_since_s = time.perf_counter()
        try:
            yield
        finally:
            self._out_s, self._out_since_s = self._out_until(time.perf_counter()), None

    def _out_until(self, now_s: float) -> float:
        return self._out_s + (now_s - self._out_since_s if self._out_since_s is not None else 0.0)

    def _service_s(self) -> float:
        """A clock that stands still while there is no service."""
        now_s = time.perf_counter()
        return now_s - self._out_until(now_s)

    async def ask(self, request: Request, quiet: Heard | None = None) -> Attempt:
        """One try, to its end. Without ``quiet`` any answer is ok."""
        wire = hazard_requests.encode(request, self._url)
        channel = self._channel(request.door)
        exchange = Exchange(time.perf_counter_ns())
        attempt = Attempt(request, time.perf_counter())
        self.in_flight.append(attempt)
        task = asyncio.ensure_future(channel.exchange(wire, exchange, LONGEST_S))
        is_hung, seen, seen_s = False, 0, self._service_s()
        try:
            while not task.done() and not is_hung:
                await asyncio.wait({task}, timeout=LOOK_S)
                if len(exchange.stamps_ns) != seen:
                    seen, seen_s = len(exchange.stamps_ns), self._service_s()
                is_hung = not task.done() and self._service_s() - seen_s > self._hung_s
        finally:
            task.cancel()
            self.in_flight.remove(attempt)
            if not is_hung and not isinstance(channel, HttpChannel):
                self._free[request.door].append(channel)
        attempt.ended_s = time.perf_counter()
        if is_hung:
            attempt.outcome, attempt.message = "hung", f"nothing came in {self._hung_s:g} s of service"
        else:
            await task
            _judge(attempt, exchange, quiet)
        _time(attempt, exchange)
        return attempt

    async def close(self) -> None:
        """Closes all connections."""
        for channel in (self._http, *self._free["stream grpc"], *self._free["infer grpc"]):
            await channel.close()

    def _channel(self, door: str) -> HttpChannel | GrpcStreamChannel | GrpcUnaryChannel:
        if door not in self._free:
            return self._http
        kind = GrpcStreamChannel if door == "stream grpc" else GrpcUnaryChannel
        return self._free[door].pop() if self._free[door] else kind(self._grpc_address)


def without_ids(message: str) -> str:
    """Messages that mean the same are equal."""
    return re.sub(r"\[request id: [^\]]*\] ?|\d{5,}", "", message).strip()[:150]


def _time(attempt: Attempt, exchange: Exchange) -> None:
    stamps_s = [stamp_ns / 1e9 for stamp_ns in exchange.stamps_ns]
    attempt.responses = len(stamps_s)
    attempt.first_s = stamps_s[0] if stamps_s else None
    attempt.last_s = stamps_s[-1] if stamps_s else None
    happened_s = [attempt.begun_s, *stamps_s, attempt.ended_s]
    attempt.gap_s = max(after - before for before, after in itertools.pairwise(happened_s))


def _judge(attempt: Attempt, exchange: Exchange, quiet: Heard | None) -> None:
    try:
        if exchange.failure is not None:
            raise NotAnAnswer(": ".join(exchange.failure), len(exchange.pieces))
        attempt.heard = hazard_requests.read(attempt.request, exchange)
    except NotAnAnswer as said:
        attempt.message = str(said)
        is_refused = any(words in attempt.message for words in REFUSALS) and not said.responses
        attempt.outcome = "refused" if is_refused and not any(words in attempt.message for words in BEGUN) else "lost"
        return
    except (ValueError, KeyError, TypeError) as error:
        attempt.message, attempt.outcome = f"not readable: {error}", "corrupted"
        return
    attempt.outcome, attempt.message = compare(attempt.request, attempt.heard, quiet or attempt.heard)


def compare(request: Request, heard: Heard, quiet: Heard) -> tuple[Outcome, str]:
    """What came against the quiet run's."""
    if request.is_text_compared:
        for text, expected in zip(heard.texts, quiet.texts, strict=False):
            if text != expected:
                return _difference(text, expected)
        if heard.token_ids != quiet.token_ids:
            return "corrupted", "other token ids than in the quiet run"
    if len(heard.texts) != len(quiet.texts):
        return "corrupted", f"{len(heard.texts)} sequences, {len(quiet.texts)} in the quiet run"
    if heard.tokens != quiet.tokens:
        more = (heard.tokens or 0) > (quiet.tokens or 0)
        said = f"{heard.tokens} tokens, {quiet.tokens} in the quiet run"
        return ("duplicated" if more else "corrupted"), said
    return "ok", ""


def _difference(text: str, expected: str) -> tuple[Outcome, str]:
    same = next((at for at, pair in enumerate(zip(text, expected, strict=False)) if pair[0] != pair[1]), None)
    same = min(len(text), len(expected)) if same is None else same
    more = len(text) - len(expected)
    at = f"at character {same} of {len(expected)}"
    if 0 < more <= same and text[same:] == expected[same - more :]:
        return "duplicated", f"{more} characters come twice, {at}: {text[same : same + 40]!r}"
    if more < 0 and text[same:] == expected[same - more :]:
        return "corrupted", f"{-more} characters are missing, {at}"
    return "corrupted", f"other text {at}: {text[same : same + 40]!r}, expected {expected[same : same + 40]!r}"
