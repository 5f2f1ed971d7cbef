"""Requests offered at a rate, whatever the server does with them, by one lean process that knows how late it is itself.

A client here is patient for ``patience_s`` and then closes its connection, as users and proxies do.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import streams

from trident.bench.channels.http import HttpChannel
from trident.bench.exchange import Exchange

LATEST_S = 2.0
"""A request that the client itself would send later than this is not sent, and counted: the offer was smaller."""
RETRY_S = 1.0
WORDS_OF_A_PROMPT = 24
REFUSED = (429, 503)
SAYS_SO = "overloaded: "
"""Triton gives every error of ``generate`` the status 400."""
RANDOM = re.compile(r"\[request id: [^\]]*\] ?|\d+(\.\d+)?")
NICE = -10


@dataclass
class Seen:
    """One request. ``kind`` is "ok", "refused" (a status that is no 200), "given up" (the client's patience) or
    "failed" (anything else); times are in seconds, ``end_s`` since the load began."""

    kind: str
    ttft_s: float
    e2e_s: float
    end_s: float
    why: str = ""


@dataclass
class Offer:
    """A whole load. ``lag_s`` is how late each request was sent."""

    seconds: float = 0.0
    seen: list[Seen] = field(default_factory=list)
    lag_s: list[float] = field(default_factory=list)
    not_sent: int = 0
    cpu_share: float = 0.0

    def kinds(self) -> dict[str, int]:
        """How many there are of each."""
        return {kind: sum(one.kind == kind for one in self.seen) for kind in ("ok", "refused", "given up", "failed")}

    def in_time(self, slo: Slo, begin_s: float, end_s: float) -> float:
        """Good requests per second that ended in this part of the load."""
        good = sum(slo.is_met(one) for one in self.seen if begin_s <= one.end_s < end_s)
        return good / max(1e-9, end_s - begin_s)


@dataclass(frozen=True)
class Slo:
    """What a good answer is."""

    ttft_s: float
    e2e_s: float

    def is_met(self, one: Seen) -> bool:
        return one.kind == "ok" and one.ttft_s <= self.ttft_s and one.e2e_s <= self.e2e_s


@contextlib.contextmanager
def ahead_of_the_server() -> Iterator[None]:
    """On few cores a client that waits for its turn offers less than it says; where it may, it need not wait."""
    before = os.getpriority(os.PRIO_PROCESS, 0)
    try:
        with contextlib.suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, 0, NICE)
        yield
    finally:
        with contextlib.suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, 0, before)


class Asker:
    """One server. Prompts differ, so that no prefix is cached."""

    def __init__(self, target: streams.Target, tokens: int, patience_s: float, seed: int = 0) -> None:
        self._target = target
        self._tokens = tokens
        self._patience_s = patience_s
        self._rng = random.Random(seed)
        self._channel = HttpChannel(f"http://{target.host}:{target.port}")
        self._head = (
            f"POST {target.path} HTTP/1.1\r\nHost: {target.host}:{target.port}\r\nContent-Type: application/json\r\n"
            "Accept: */*\r\nContent-Length: "
        ).encode()

    async def closed_loop(self, clients: int, seconds: float) -> Offer:
        """``clients`` at a time, each at once again after its answer, a moment later after a refusal; ``Offer.seconds``
        is until the last one ended."""
        offer = Offer(seconds)
        begun_s = time.perf_counter()

        async def client() -> None:
            while time.perf_counter() - begun_s < seconds:
                offer.seen.append(await self._ask(begun_s))
                if offer.seen[-1].kind != "ok":
                    await asyncio.sleep(RETRY_S)

        await asyncio.gather(*(client() for _ in range(clients)))
        offer.seconds = time.perf_counter() - begun_s
        return offer

    async def open_loop(self, rate: float, seconds: float) -> Offer:
        """``rate`` requests a second for ``seconds``, by a Poisson process; returns when the last has ended."""
        offer = Offer(seconds)
        tasks: set[asyncio.Task[None]] = set()
        begun_s, cpu_s = time.perf_counter(), time.process_time()

        async def one() -> None:
            offer.seen.append(await self._ask(begun_s))

        due_s = begun_s
        while (due_s := due_s + self._rng.expovariate(rate)) < begun_s + seconds:
            if (early_s := due_s - time.perf_counter()) > 0:
                await asyncio.sleep(early_s)
            lag_s = time.perf_counter() - due_s
            if lag_s > LATEST_S:
                offer.not_sent += 1
                continue
            offer.lag_s.append(lag_s)
            task = asyncio.ensure_future(one())
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            if len(offer.lag_s) % 20 == 0:
                await asyncio.sleep(0)  # a client that is late must still read
        offer.cpu_share = (time.process_time() - cpu_s) / (time.perf_counter() - begun_s)
        if tasks:
            await asyncio.wait(tasks)
        return offer

    async def close(self) -> None:
        """Closes all connections."""
        await self._channel.close()

    async def _ask(self, begun_s: float) -> Seen:
        body = self._target.body(" ".join(self._rng.choices(streams.WORDS, k=WORDS_OF_A_PROMPT)), self._tokens)
        exchange = Exchange(time.perf_counter_ns())
        asked_s = time.perf_counter()
        await self._channel.exchange(b"%s%d\r\n\r\n%s" % (self._head, len(body), body), exchange, self._patience_s)
        now_s = time.perf_counter()
        first_s = exchange.stamps_ns[0] / 1e9 if exchange.stamps_ns else now_s
        kind, why = _kind(exchange)
        return Seen(kind, first_s - asked_s, now_s - asked_s, now_s - begun_s, why)


def _kind(exchange: Exchange) -> tuple[str, str]:
    if exchange.failure is not None:
        return ("given up" if exchange.failure.kind == "timeout" else "failed"), exchange.failure.kind
    if exchange.status != 200:
        why = f"HTTP {exchange.status} {exchange.pieces[0][:100].decode(errors='replace') if exchange.pieces else ''}"
        is_refused = exchange.status in REFUSED or SAYS_SO in why
        return ("refused" if is_refused else "failed"), RANDOM.sub("", why)
    if any(b'"error"' in piece for piece in exchange.pieces[-2:]):
        return "failed", exchange.pieces[-1][:100].decode(errors="replace")
    return "ok", ""
