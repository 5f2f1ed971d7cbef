"""So many clients, each of which asks again when its answer has ended: the load falls when the server is slow."""

from __future__ import annotations

import asyncio
import time

from trident.bench.quota import Quota
from trident.bench.sender import Sender

PAUSE_AFTER_FAILURE_NS = 100_000_000
"""A server that is gone or full refuses in microseconds: asking again at once would only count how fast."""


async def run(sender: Sender, quota: Quota, *, clients: list[int], ramp_ns: int, of: int, start_ns: int) -> None:
    """``clients`` are this worker's numbers among ``of``; in the ramp they begin one after the other."""
    begins_ns = [start_ns + ramp_ns * client // of for client in clients]
    await asyncio.gather(*(_client(sender, quota, begin_ns) for begin_ns in begins_ns))


async def _client(sender: Sender, quota: Quota, begin_ns: int) -> None:
    if not await sender.pause(begin_ns):
        return
    scheduled_ns = time.perf_counter_ns()
    while not quota.is_over:
        exchange = await sender.converse(sender.next_talk(), scheduled_ns)
        if exchange is None:
            return
        scheduled_ns = exchange.end_ns
        if exchange.failure is not None or exchange.status not in (0, 200):
            scheduled_ns += PAUSE_AFTER_FAILURE_NS
            if not await sender.pause(scheduled_ns):
                return
            scheduled_ns = time.perf_counter_ns()
